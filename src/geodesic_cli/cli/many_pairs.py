"""`geodesic interpolate` with --pairs or lists of numbers: options for all, the runs, and what came of them."""

import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import typer

from geodesic_cli.cli.common import begun, show_plan, watched
from geodesic_cli.cli.saying import say
from geodesic_cli.errors import InputError
from geodesic_cli.runs.plain import aligned, to_json

if TYPE_CHECKING:
    from geodesic_cli.many.interpolating import ManyRuns


@dataclass(frozen=True)
class _Folder:
    """What an interruption says to go on with."""

    out: str | None


def many(options: dict[str, Any]) -> None:
    """Draw many runs. The program ends with 1 where one of them could not be drawn."""
    if options["images"] and options["many_pairs"]:
        raise InputError(
            f"Either images or --pairs are needed; got {len(options['images'])} images, too.", "Leave one of them out."
        )
    if options["resume"] and options["out"] is None:
        raise InputError("--resume needs the folder of the runs to go on with.", "Pass --out FOLDER --resume.")
    from geodesic_cli.many.interpolating import ManyOptions, draw_inputs, draw_many, runs_of

    given = options | {"method": "global" if options["globally"] else options["method"], "prompt": options["prompt"]}
    images, sweep = tuple(options["images"] or ()), tuple(options["sweep"] or ())
    asked = ManyOptions(
        options["many_pairs"], images, sweep, options["out"], bool(options["resume"]), options["many_part"], given
    )
    runs_of(asked, Path())  # what is refused is refused at once
    begun()
    if options["dry"]:
        from geodesic_cli.many.planning import planned_runs

        with TemporaryDirectory() as name:
            layout, rows, _ = runs_of(asked, Path(name))
            draw_inputs(asked, Path(name))
            words = f"{len(rows)} runs ({layout})."
            plan = watched(lambda job: planned_runs(rows, Path(name), job.observer, words), _Folder(None))
        show_plan(plan, options["as_json"])
        return
    made = watched(lambda job: draw_many(asked, job.observer, job.command), _Folder(options["out"]), True)
    if options["as_json"]:
        told = {"folder": str(made.folder), made.unit: made.count, "missing": made.missing, **asdict(made.ended)}
        told |= {"sweep": [asdict(point) for point in made.points]} if made.swept else {}
        typer.echo(to_json(told).rstrip())
    else:
        beside = " heatmap.png and sweep.csv have the means over pairs." if made.swept else ""
        say("\n".join([*_sweep_table(made), made.sentence]))
        say(f"Open {made.table} for a row of numbers on each run; its folder lies beside it.{beside}")
    if made.ended.failed:
        sys.stdout.flush()
        raise typer.Exit(1)


def _sweep_table(made: "ManyRuns") -> list[str]:
    """A line for each combination."""
    if not made.swept:
        return []
    heads = [*(name.replace("_", "-") for name in made.swept), "runs"]
    heads += [name.replace("_", " ") for name in made.points[0].means]
    rows = [
        (*point.values, str(point.n), *(f"{value:.4g}" if point.n else "-" for value in point.means.values()))
        for point in made.points
    ]
    return list(aligned(heads, rows, str.rjust))
