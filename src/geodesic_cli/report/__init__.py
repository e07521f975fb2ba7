"""The page of a run: one file of HTML that holds everything it shows, so that it can be sent to somebody.

    page(folder, manifest, metrics)     the text of report.html

It shows what the folder of a run holds: `story` says what that is, each verb's way of telling it is in `paths`,
`sequences_told` and `others`, `album` makes pictures small enough, `repeat` gives the command, and `document` fills the
template.
The same run gives the same bytes: neither the time nor the place of a run is in it.
"""

from geodesic_cli.report.document import REPORT, page
