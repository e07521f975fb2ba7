"""`geodesic bench`: options to settings, settings to the task, the table to the screen."""

import sys
from dataclasses import fields
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from geodesic_cli.cli.common import aligned, watched
from geodesic_cli.cli.options import AsJson, Compile, Lora, LowMemory, Model, Overwrite, Revision, Variant
from geodesic_cli.errors import InputError
from geodesic_cli.settings import PROBLEMS, SOLVERS, BenchModelSettings, BenchSettings

if TYPE_CHECKING:
    from geodesic_cli.verbs.bench.model import ModelBench
    from geodesic_cli.verbs.bench.race import Bench

_option = partial(typer.Option, show_envvar=False)
DEFAULT: dict[str, Any] = {field.name: field.default for field in fields(BenchSettings)}
OF_MODEL: dict[str, Any] = {field.name: field.default for field in fields(BenchModelSettings)}

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
    from geodesic_cli.runs.folder import to_json
    from geodesic_cli.verbs.bench.race import run

    result = watched(run, settings)
    typer.echo(to_json(result.metrics).rstrip() if as_json else _table(result))


@bench.command(name="model", context_settings={"auto_envvar_prefix": "GEODESIC_BENCH_MODEL"})
def of_model(
    model: Model = OF_MODEL["model"],
    revision: Revision = OF_MODEL["revision"],
    variant: Variant = OF_MODEL["variant"],
    lora: Lora = None,
    device: Annotated[
        str, _option(metavar="A,B,...", help="One or several of auto, cpu, cuda, cuda:1 and mps.")
    ] = OF_MODEL["device"],
    dtype: Annotated[
        str, _option(metavar="A,B,...", help="Of the networks, one or several of auto, fp32, fp16 and bf16.")
    ] = OF_MODEL["dtype"],
    low_memory: LowMemory = OF_MODEL["low_memory"],
    compile: Compile = OF_MODEL["compile"],
    size: Annotated[
        str | None, _option(metavar="N|WxH", help="Pixels of the images. Default: the model's own size.")
    ] = OF_MODEL["size"],
    batches: Annotated[str, _option(metavar="N,N,...", help="Points evaluated at once, a row for each.")] = ",".join(
        str(batch) for batch in OF_MODEL["batches"]
    ),
    seconds: Annotated[float, _option(help="Spent on each row, about, after warming up.")] = OF_MODEL["seconds"],
    out: Annotated[str | None, _option(help="Folder for table.md and bench.json. Default: none.")] = OF_MODEL["out"],
    overwrite: Overwrite = OF_MODEL["overwrite"],
    as_json: AsJson = False,
) -> None:
    """Measure score evaluations against the bare network, interleaved in one run, and peak memory.

    \b
    Examples:
      geodesic bench model
      geodesic bench model --dtype fp32,bf16 --batches 1,8,33
      geodesic bench model --model path/to/stable-diffusion --device cuda --size 512 --json

    Everything can also be set by a variable such as GEODESIC_BENCH_MODEL_BATCHES.
    """
    settings = BenchModelSettings(
        model=model,
        revision=revision,
        variant=variant,
        lora=tuple(lora or ()),
        device=device,
        dtype=dtype,
        low_memory=low_memory,
        compile=compile,
        size=size,
        batches=_numbers(batches),
        seconds=seconds,
        out=out,
        overwrite=overwrite,
    )
    from geodesic_cli.runs.folder import to_json
    from geodesic_cli.verbs.bench.model import run

    result = watched(run, settings)
    typer.echo(to_json(result.metrics).rstrip() if as_json else _model_table(result))


def _numbers(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(word) for word in _words(text))
    except ValueError:
        raise InputError(
            f"--batches takes whole numbers with commas between; got {text!r}.", "1,4,16 is a good start."
        ) from None


def _model_table(result: "ModelBench") -> str:
    from geodesic_cli.verbs.bench.model import HEADS, LEGEND, cells

    where = [] if result.folder is None else [f"{result.folder}/table.md, bench.json"]
    return "\n".join([*aligned(HEADS, [cells(row) for row in result.rows], str.rjust), LEGEND, *where])


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())


def _table(result: "Bench") -> str:
    from geodesic_cli.verbs.bench.race import HEADS, LEGEND, cells

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
