"""`geodesic interpolate --pairs`: the pairs of a table or a folder, each in a run folder of its own."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from geodesic_cli.errors import InputError
from geodesic_cli.layouts import pairs_of
from geodesic_cli.many.batch import Ended, begin, run_rows, typed
from geodesic_cli.many.rows import row_of
from geodesic_cli.many.share import my_share
from geodesic_cli.many.table import PAIRS_TABLE, write_table
from geodesic_cli.runs.names import first_free
from geodesic_cli.runs.observer import Observer


@dataclass(frozen=True)
class ManyOptions:
    """What is asked.

    Args:
        pairs: a table or a folder.
        out: the folder of all runs; None is a free one in runs/.
        resume: whether what is there may be gone on with.
        part: `K/N`; None asks the environment.
        given: options of `geodesic interpolate` for all pairs; None where one was not given.
    """

    pairs: str
    out: str | None
    resume: bool
    part: str | None
    given: Mapping[str, Any]


@dataclass(frozen=True)
class ManyRuns:
    """What came out.

    Args:
        folder: of all runs.
        layout: how the pairs were found, in words.
        count: of all pairs, those of other processes included.
        missing: pairs that are not drawn yet.
        ended: how those of this process ended.
    """

    folder: Path
    layout: str
    count: int
    missing: int
    ended: Ended

    @property
    def table(self) -> Path:
        """Where the table is."""
        return self.folder / PAIRS_TABLE

    @property
    def sentence(self) -> str:
        """What was drawn, for a person."""
        drawn = f"{self.count - self.missing} of {self.count} pairs are drawn ({self.layout})."
        here = f"{self.ended.done} were drawn now, {self.ended.kept} were there already."
        failed = f" {len(self.ended.failed)} could not be drawn." if self.ended.failed else ""
        return f"{drawn} {here}{failed}"


def draw_many(options: ManyOptions, observer: Observer, command: str) -> ManyRuns:
    """Draw the pairs of this process, and write the table of all that are there.

    Raises:
        GeodesicError: no pairs, or a folder that cannot be used; a pair that fails is told and left.
    """
    number, count = my_share(options.part)
    if count > 1 and options.out is None:
        raise InputError("Several processes need one folder for all pairs.", "Pass --out.")
    found = pairs_of(Path(options.pairs))
    root = Path(options.out or first_free(f"runs/{Path(options.pairs).resolve().stem}"))
    given = typed(options.given)
    rows = [row_of(pair, given, pair.name) for pair in found.pairs]
    begin(root, rows, options.resume or count > 1)
    ended = run_rows(root, rows[number::count], observer, command)
    missing = write_table(root, rows)
    said = f", captions from {found.captions}" if found.captions else ""
    return ManyRuns(root, f"{found.layout}{said}", len(rows), missing, ended)
