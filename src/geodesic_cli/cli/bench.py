"""`geodesic bench`: options to settings, settings to the task, the table to the screen."""

import sys
from dataclasses import fields
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from geodesic_cli.cli.common import aligned, watched
from geodesic_cli.settings import PROBLEMS, SOLVERS, BenchSettings

if TYPE_CHECKING:
    from geodesic_cli.tasks.bench import Bench

_option = partial(typer.Option, show_envvar=False)
DEFAULT: dict[str, Any] = {field.name: field.default for field in fields(BenchSettings)}

bench = typer.Typer(
    help="Measure this program on problems with known answers.", no_args_is_help=True, rich_markup_mode=None
)


@bench.callback()
def _group() -> None:
    pass


@bench.command(context_settings={"auto_envvar_prefix": "GEODESIC_BENCH_SOLVER"})
def solver(
    problems: Annotated[
        str, _option(metavar="A,B,...", help=f"Groups of problems, of {', '.join(PROBLEMS)}.")
    ] = ",".join(DEFAULT["problems"]),
    solvers: Annotated[str, _option(metavar="A,B,...", help=f"Of {', '.join(SOLVERS)}.")] = ",".join(
        DEFAULT["solvers"]
    ),
    tol: Annotated[float, _option(help="Relative residual at which a solver may stop.")] = DEFAULT["tol"],
    seed: Annotated[int, _option(help="Of the noise, and of the scenes.")] = DEFAULT["seed"],
    model: Annotated[str, _option(help="Of the group clevr.")] = DEFAULT["model"],
    pairs: Annotated[int, _option(help="Pairs of rendered scenes in the group clevr.")] = DEFAULT["pairs"],
    out: Annotated[str | None, _option(help="Folder for table.md and bench.json. Default: none.")] = DEFAULT["out"],
    overwrite: Annotated[
        bool, _option("--overwrite", help="Replace the run in --out; other files there stay.")
    ] = DEFAULT["overwrite"],
    as_json: Annotated[bool, _option("--json", help="Print one JSON object instead of a table.")] = False,
) -> None:
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
    settings = BenchSettings(
        problems=_words(problems),
        solvers=_words(solvers),
        tol=tol,
        seed=seed,
        model=model,
        pairs=pairs,
        out=out,
        overwrite=overwrite,
    )
    from geodesic_cli.tasks.bench import run
    from geodesic_cli.tasks.run import to_json

    result = watched(run, settings)
    typer.echo(to_json(result.metrics).rstrip() if as_json else _table(result))


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())


def _table(result: "Bench") -> str:
    from geodesic_cli.tasks.bench import HEADS, LEGEND, cells

    rows = [cells(row) for row in result.rows]
    where = [] if result.folder is None else [f"{result.folder}/table.md, bench.json"]
    if sys.stdout.isatty():
        return "\n".join([_rich(HEADS, rows), LEGEND, *where])
    return "\n".join([*aligned(HEADS, rows, str.ljust), LEGEND, *where])


def _rich(heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    from rich.console import Console
    from rich.table import Table

    table = Table(*heads)
    before = ""
    for row in rows:
        if before and row[0] != before:
            table.add_section()
        table.add_row(row[0] if row[0] != before else "", *row[1:])
        before = row[0]
    console = Console()
    with console.capture() as text:
        console.print(table)
    return text.get().rstrip()
