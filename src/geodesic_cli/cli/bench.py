"""`geodesic bench`: options to settings, settings to the task, the table to the screen."""

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import typer

from geodesic_cli.cli.command import AS_JSON, add, options_of
from geodesic_cli.cli.common import begun, watched
from geodesic_cli.cli.saying import say
from geodesic_cli.runs.plain import aligned, to_json
from geodesic_cli.settings import BenchModelSettings, BenchSettings, from_command_line

if TYPE_CHECKING:
    from geodesic_cli.verbs.bench.table import Bench, BenchTable


bench = typer.Typer(
    help="Measure this program on problems with known answers.", no_args_is_help=True, rich_markup_mode=None
)


@bench.callback()
def _group() -> None:
    pass


@options_of(BenchSettings, config=False, as_json=AS_JSON)
def solver(options: dict[str, Any]) -> None:
    """Race path solvers on problems whose shortest length is known.

    surrogate is the solver of every other command; gradient-flow is the published one, as published and tuned; scipy
    joins in the plane.

    \b
    Examples:
      geodesic bench solver --problems closed --solvers surrogate,gradient-flow
      geodesic bench solver --problems high --json
      geodesic bench solver --problems clevr --out runs/bench

    All of it takes some minutes, most of them spent on the tuning. Everything can also be set by a variable such as
    GEODESIC_BENCH_SOLVER_TOL.
    """
    settings = from_command_line(BenchSettings, options)
    begun()
    from geodesic_cli.verbs.bench.race import run

    _show(watched(run, settings), options["as_json"], str.ljust, rich=True)


@options_of(BenchModelSettings, config=False, as_json=AS_JSON)
def model(options: dict[str, Any]) -> None:
    """Measure score evaluations against the bare network, interleaved in one run, and peak memory.

    \b
    Examples:
      geodesic bench model
      geodesic bench model --dtype fp32,bf16 --batches 1,8,33
      geodesic bench model --model path/to/stable-diffusion --device cuda --size 512 --json

    Everything can also be set by a variable such as GEODESIC_BENCH_MODEL_BATCHES.
    """
    settings = from_command_line(BenchModelSettings, options)
    begun()
    from geodesic_cli.verbs.bench.model import run

    _show(watched(run, settings), options["as_json"], str.rjust)


for each in (solver, model):
    add(bench, each, "GEODESIC_BENCH")


def _show(result: "Bench", as_json: bool, align: Callable[[str, int], str], rich: bool = False) -> None:
    """The table, as one with rules where that is asked for and a person reads it, and what its columns mean."""
    table = result.table
    where = (
        [] if result.folder is None else [f"Open {result.folder}/table.md for the table; bench.json has all numbers."]
    )
    if as_json:
        typer.echo(to_json(result.metrics).rstrip())
        return
    coloured = rich and sys.stdout.isatty()
    if coloured:
        typer.echo(_rich(table))  # every cell is a name or a number of our own
    lines = [] if coloured else aligned(table.heads, table.lines, align)
    say("\n".join([*lines, table.legend, result.status, *where]))


def _rich(shown: "BenchTable") -> str:
    from rich.console import Console
    from rich.table import Table

    table = Table(*shown.heads)
    before = ""
    for row in shown.lines:
        if before and row[0] != before:
            table.add_section()
        table.add_row(row[0] if row[0] != before else "", *row[1:])
        before = row[0]
    console = Console()
    with console.capture() as text:
        console.print(table)
    return text.get().rstrip()
