"""The tables of `geodesic bench`, as they are written and shown."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from geodesic_cli.runs.job import Job, RunResult
from geodesic_cli.settings.shared import FolderOptions


@dataclass(frozen=True, eq=False)
class BenchTable:
    """A table of texts, and a sentence on what its columns mean."""

    heads: tuple[str, ...]
    lines: Sequence[tuple[str, ...]]
    legend: str

    @property
    def markdown(self) -> str:
        """The table in Markdown, and the sentence below it."""
        lines = [self.heads, ("---",) * len(self.heads), *self.lines]
        return "\n".join([*(f"| {' | '.join(line)} |" for line in lines), "", self.legend, ""])


@dataclass(frozen=True, eq=False)
class Bench(RunResult):
    """What was measured: all rows, dataclasses with `cells` for the table and the evaluations `spent`."""

    rows: tuple[Any, ...]
    table: BenchTable


def benched(
    job: Job[FolderOptions],
    measure: Callable[[], list[Any]],
    empty: BenchTable,
    about: dict[str, Any],
    words: Callable[[list[Any]], str],
) -> Bench:
    """Measure; table.md and bench.json are written where a folder is asked for.

    Args:
        job: settings and observer.
        measure: gives the rows.
        empty: the table without lines.
        about: what metrics.json says beside the rows.
        words: what came out, of the rows, for the status.
    """
    job = job if job.settings.out else replace(job, command=None)
    with job.in_folder("bench") as job:
        rows = measure()
        table = replace(empty, lines=[row.cells for row in rows])
        metrics = about | {"rows": [asdict(row) for row in rows]}
        if job.directory is not None:
            job.directory.write_text("table.md", table.markdown)
            job.directory.write_json("bench.json", metrics)
        result = Bench(tuple(rows), table, metrics=metrics, status=words(rows))
        return job.done(result, sum(row.spent for row in rows))
