"""`geodesic interpolate --pairs`: options for all pairs, the runs, and what came of them to the screen."""

import sys
from dataclasses import asdict, dataclass
from typing import Any

import typer

from geodesic_cli.cli.common import begun, watched
from geodesic_cli.cli.saying import say
from geodesic_cli.errors import InputError
from geodesic_cli.runs.plain import to_json


@dataclass(frozen=True)
class _Folder:
    """What an interruption says to go on with."""

    out: str | None


def many(options: dict[str, Any]) -> None:
    """Draw many pairs. The program ends with 1 where one of them could not be drawn."""
    if options["images"]:
        raise InputError(
            f"Either images or --pairs are needed; got {len(options['images'])} images, too.", "Leave one of them out."
        )
    if options["resume"] and options["out"] is None:
        raise InputError("--resume needs the folder of the pairs to go on with.", "Pass --out FOLDER --resume.")
    begun()
    from geodesic_cli.many.interpolating import ManyOptions, draw_many

    given = options | {"method": "global" if options["globally"] else options["method"], "prompt": options["prompt"]}
    asked = ManyOptions(options["many_pairs"], options["out"], bool(options["resume"]), options["many_part"], given)
    made = watched(lambda job: draw_many(asked, job.observer, job.command), _Folder(options["out"]), True)
    if options["as_json"]:
        told = {"folder": str(made.folder), "pairs": made.count, "missing": made.missing, **asdict(made.ended)}
        typer.echo(to_json(told).rstrip())
    else:
        say(f"{made.sentence}\nOpen {made.table} for a row of numbers on each pair; its folder lies beside it.")
    if made.ended.failed:
        sys.stdout.flush()
        raise typer.Exit(1)
