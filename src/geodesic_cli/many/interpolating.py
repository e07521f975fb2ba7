"""`geodesic interpolate --pairs`, and with lists of numbers: each pair and combination in a run folder of its own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from geodesic_cli.errors import InputError
from geodesic_cli.layouts import PairsFound, pairs_of
from geodesic_cli.many.batch import Ended, begin, run_rows, typed
from geodesic_cli.many.rows import Row, row_of, row_of_images
from geodesic_cli.many.scene_pairs import draw_scenes, scene_pairs
from geodesic_cli.many.share import my_share
from geodesic_cli.many.sweep import SweepPoint, Values, point_folder, points_of, values_of, write_sweep
from geodesic_cli.many.table import PAIRS_TABLE, write_table
from geodesic_cli.runs.names import first_free
from geodesic_cli.runs.observer import Observer
from geodesic_cli.settings.evaluate import scenes_asked


@dataclass(frozen=True)
class ManyOptions:
    """What is asked.

    Args:
        pairs: a table, a folder, or `scenes:N`; None goes through the images.
        images: that are gone through in every run, where there are no pairs.
        sweep: options with several values, as `tau=0.2,0.4`.
        out: the folder of all runs; None is a free one in runs/.
        resume: whether what is there may be gone on with.
        part: `K/N`; None asks the environment.
        given: options of `geodesic interpolate` for all runs; None where one was not given.
    """

    pairs: str | None
    images: tuple[str, ...]
    sweep: Sequence[str]
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
        unit: what is counted: pairs or runs.
        count: of all runs, those of other processes included.
        missing: runs that are not drawn yet.
        ended: how those of this process ended.
        swept: names of the options that have several values.
        points: what came of each combination of them.
    """

    folder: Path
    layout: str
    unit: str
    count: int
    missing: int
    ended: Ended
    swept: tuple[str, ...] = ()
    points: Sequence[SweepPoint] = ()

    @property
    def table(self) -> Path:
        """Where the table is."""
        return self.folder / PAIRS_TABLE

    @property
    def sentence(self) -> str:
        """What was drawn, for a person."""
        drawn = f"{self.count - self.missing} of {self.count} {self.unit} are drawn ({self.layout})."
        here = f"{self.ended.done} were drawn now, {self.ended.kept} were there already."
        failed = f" {len(self.ended.failed)} could not be drawn." if self.ended.failed else ""
        return f"{drawn} {here}{failed}"


def draw_many(options: ManyOptions, observer: Observer, command: str) -> ManyRuns:
    """Draw the runs of this process, and write the tables of all that are there.

    Raises:
        GeodesicError: no pairs, a list that makes no sense, or a folder that cannot be used; a pair that fails is told
            and left.
    """
    number, count = my_share(options.part)
    if count > 1 and options.out is None:
        raise InputError("Several processes need one folder for all pairs.", "Pass --out.")
    root = Path(options.out or first_free(f"runs/{_stem(options)}"))
    layout, rows, swept = runs_of(options, root)
    begin(root, rows, options.resume or count > 1)
    draw_inputs(options, root)
    ended = run_rows(root, rows[number::count], observer, command)
    missing = write_table(root, rows, tuple(swept))
    points = write_sweep(root, rows, swept) if swept else ()
    unit = "runs" if swept else "pairs"
    return ManyRuns(root, layout, unit, len(rows), missing, ended, tuple(swept), points)


def draw_inputs(options: ManyOptions, root: Path) -> None:
    """Draw what the runs go between where that is not there yet: rendered scenes, if they are asked for."""
    if (count := scenes_asked(options.pairs)) is not None:
        draw_scenes(scene_pairs(count, _seed(options), root), _seed(options))


def _seed(options: ManyOptions) -> int:
    return int(typed(options.given).get("seed", 0))


def _found(options: ManyOptions, root: Path) -> PairsFound:
    count = scenes_asked(options.pairs)
    return pairs_of(Path(str(options.pairs))) if count is None else scene_pairs(count, _seed(options), root)


def runs_of(options: ManyOptions, root: Path) -> tuple[str, list[Row], Values]:
    """How the pairs were found, the runs of each, and what is swept; `draw_inputs` draws what they need.

    Args:
        options: what is asked.
        root: of all runs.

    Raises:
        InputError: no pairs; a list of numbers that makes no sense, alone or with the other options.
    """
    swept, given = values_of(options.sweep), typed(options.given)
    points = points_of(swept)
    if options.pairs is None:
        rows = [row_of_images(options.images, given | point, point_folder(point)) for point in points]
        wrong = next((row.wrong for row in rows if row.wrong), "")
        said = f"{len(points)} combinations of {_named(swept)}"
    else:
        found = _found(options, root)
        _columns_are_not_swept(found, swept)
        rows = [
            row_of(pair, given | point, "/".join(filter(None, (pair.name, point_folder(point)))))
            for pair in found.pairs
            for point in points
        ]
        checked = [row_of_images(("a", "b"), given | point, "") for point in points] if swept else []
        wrong = next((row.wrong for row in checked if row.wrong), "")
        said = f"{found.layout}{f', captions from {found.captions}' if found.captions else ''}"
        said += f"; {len(points)} combinations of {_named(swept)}" if swept else ""
    if wrong:
        raise InputError(wrong)
    return said, rows, swept


def _columns_are_not_swept(found: PairsFound, swept: Values) -> None:
    columns = {name.replace("-", "_") for pair in found.pairs for name in pair.options}
    for name in swept:
        if name in columns:
            raise InputError(
                f"--{name.replace('_', '-')} is a column of the table, and also has a list of values.",
                "Leave one of them out.",
            )


def _named(swept: Values) -> str:
    return " and ".join(name.replace("_", "-") for name in swept)


def _stem(options: ManyOptions) -> str:
    if options.pairs is None:
        return "sweep"
    return Path(options.pairs).resolve().stem.replace(":", "-")
