"""`geodesic toy`: options to settings, settings to the task, the result to the screen."""

import sys
from typing import TYPE_CHECKING, Any

import typer

from geodesic_cli.cli.command import METRICS_AS_JSON, STRICT, options_of
from geodesic_cli.cli.common import ran
from geodesic_cli.runs.plain import aligned
from geodesic_cli.settings import ToySettings, from_command_line

if TYPE_CHECKING:
    from geodesic_cli.verbs.toy.result import Toy


@options_of(ToySettings, strict=STRICT, as_json=METRICS_AS_JSON)
def toy(options: dict[str, Any]) -> None:
    """See the method in the plane, in seconds.

    A density, the straight line and the geodesic between two places, and a fan of geodesics shot from the first.

    \b
    Examples:
      geodesic toy
      geodesic toy moons --bend 8
      geodesic toy ring --a 2,0 --b -2,0 --alpha 1
      geodesic toy --points measured.csv --out runs/mine

    Writes toy.png, evolution.png, evolution.gif, metrics.json, path.safetensors, config.toml, manifest.json and
    log.txt. Everything can also be set by a variable such as GEODESIC_TOY_BEND.
    """
    settings = from_command_line(ToySettings, options)
    result = ran("toy.run", settings, options["as_json"], lambda toy: _table(toy, settings.gif))
    if not result.converged:
        residual = result.solution.residual
        sys.stderr.write(
            f"Warning: {result.status} The residual is {residual:.3g}, --tol is {settings.tol:g}; "
            f"see --max-steps, --bend and --nodes.\n"
        )
        if options["strict"]:
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
