"""`geodesic report`: the page of an earlier run."""

from pathlib import Path
from typing import Any

from geodesic_cli.cli.command import options_of
from geodesic_cli.cli.saying import say
from geodesic_cli.settings import ReportSettings, from_command_line


@options_of(ReportSettings, config=False)
def report(options: dict[str, Any]) -> None:
    """Make the page of an earlier run: one file to look at, and to send.

    \b
    Examples:
      geodesic report runs/a-to-b
      geodesic report runs/a-to-b --out a-to-b.html

    Every run writes its own page, report.html, at its end. This makes it again, also for runs of older versions and for
    runs that were interrupted; what such a run has not written is left out. The page needs no network and no other
    file: frames, curves and numbers are within it.
    """
    settings = from_command_line(ReportSettings, options)
    from geodesic_cli.runs.pages import write_page

    written = write_page(Path(settings.run), None if settings.out is None else Path(settings.out))
    say(f"{written}: open it in a browser, or send it.")
