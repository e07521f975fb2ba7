"""`geodesic toy`: options to settings, settings to the task, the result to the screen."""

import sys
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from geodesic_cli.cli.common import aligned, watched
from geodesic_cli.cli.config import config_option
from geodesic_cli.settings import DENSITIES, ToySettings, from_command_line

if TYPE_CHECKING:
    from geodesic_cli.verbs.toy.result import Toy

_option = partial(typer.Option, show_envvar=False)
DEFAULT: dict[str, Any] = {field.name: field.default for field in fields(ToySettings)}


def toy(
    density: Annotated[
        str,
        typer.Argument(
            help=f"One of {', '.join(DENSITIES)}.",
            metavar="[DENSITY]",
            envvar="GEODESIC_TOY_DENSITY",
            show_envvar=False,
        ),
    ] = DEFAULT["density"],
    points: Annotated[
        str | None, _option(help="Take the density of the points in this .csv, .txt or .npy file (two columns).")
    ] = DEFAULT["points"],
    a: Annotated[
        str | None, _option(metavar="X,Y", help="Where the path begins. Default: depends on the density.")
    ] = DEFAULT["a"],
    b: Annotated[str | None, _option(metavar="X,Y", help="Where it ends.")] = DEFAULT["b"],
    bend: Annotated[
        float, _option(help="How far the path leaves the straight line to find density; 0 is the straight line.")
    ] = DEFAULT["bend"],
    alpha: Annotated[
        float | None, _option(help="The exponent in ds = p^(-alpha) |dx| itself; overrides --bend.")
    ] = DEFAULT["alpha"],
    nodes: Annotated[int, _option(help="Nodes of the path.")] = DEFAULT["nodes"],
    tol: Annotated[float, _option(help="Relative residual at which the path is solved.")] = DEFAULT["tol"],
    max_steps: Annotated[int, _option(help="Most steps of the solver.")] = DEFAULT["max_steps"],
    rays: Annotated[int, _option(help="Geodesics to shoot from A, in a fan about the path.")] = DEFAULT["rays"],
    components: Annotated[
        int, _option(help="Most Gaussians to fit to --points; how many it takes is chosen by BIC.")
    ] = DEFAULT["components"],
    seed: Annotated[int, _option(help="Of the fit, and of the bump that keeps the path off a saddle.")] = DEFAULT[
        "seed"
    ],
    gif: Annotated[bool, _option("--gif/--no-gif", help="Draw evolution.gif, too.")] = DEFAULT["gif"],
    out: Annotated[
        str | None, _option(help="Folder for the results. Default: the first free runs/toy-NAME.")
    ] = DEFAULT["out"],
    overwrite: Annotated[
        bool, _option("--overwrite", help="Replace the run in --out; other files there stay.")
    ] = DEFAULT["overwrite"],
    strict: Annotated[bool, _option("--strict", help="Exit with code 3 if the path did not converge.")] = False,
    as_json: Annotated[bool, _option("--json", help="Print the metrics as JSON instead of a table.")] = False,
    config: Annotated[Path | None, config_option(ToySettings)] = None,
) -> None:
    """See the method in the plane, in seconds.

    A density, the straight line and the geodesic between two places, and a fan of geodesics shot from the first.

    \b
    Examples:
      geodesic toy
      geodesic toy moons --bend 8
      geodesic toy ring --a 2,0 --b -2,0 --alpha 1
      geodesic toy --points measured.csv --out runs/mine

    Writes toy.png, evolution.png, evolution.gif, metrics.json, path.safetensors, config.toml, manifest.json and
    log.txt. Everything can also be set by a variable such as GEODESIC_TOY_BEND. --points needs the extra `toy`:
    pip install 'geodesic-cli[toy]'
    """
    settings = from_command_line(ToySettings, locals())
    from geodesic_cli.runs.folder import first_free, to_json
    from geodesic_cli.verbs.toy.run import run, stem

    settings = replace(settings, out=out or first_free(f"runs/{stem(settings)}"))
    result = watched(run, settings)
    typer.echo(to_json(result.metrics | {"folder": str(result.folder)}).rstrip() if as_json else _table(result, gif))
    if not result.converged:
        residual = result.solution.residual
        sys.stderr.write(
            f"Warning: {result.status} The residual is {residual:.3g}, --tol is {tol:g}; "
            f"see --max-steps, --bend and --nodes.\n"
        )
        if strict:
            raise typer.Exit(3)


def _table(result: "Toy", gif: bool) -> str:
    metrics = result.metrics
    heads = ("", "length", "mean log p", "least log p", "residual")
    rows = [
        (
            name,
            f"{path['length']:.4g}",
            f"{path['mean_log_density']:+.2f}",
            f"{path['min_log_density']:+.2f}",
            f"{path['residual']:.4f}",
        )
        for name, path in metrics["paths"].items()
    ]
    return "\n".join(
        [
            *aligned(heads, rows, str.rjust),
            "length is in units of the weight at A; log p is relative to A, in nats",
            f"alpha {metrics['alpha']:.3g} (bend {metrics['bend']:.2f}); score evaluations: "
            f"{metrics['evaluations']['path']} for the path, {metrics['evaluations']['rays']} for the rays",
            *([result.status] if result.converged else []),
            f"{result.folder}/toy.png, evolution.png{', evolution.gif' if gif else ''}",
        ]
    )
