"""The settings of `geodesic report`."""

from geodesic_cli.settings.option import opt, record


@record()
class ReportSettings:
    """Of which run the page is, and where it is written."""

    run: str = opt(..., "Folder that an earlier run wrote.", argument=True)
    out: str | None = opt(None, "The page. Default: report.html in the folder of the run.", metavar="FILE")
