"""`geodesic toy`: options to settings, settings to the task, the result to the screen."""

from typing import TYPE_CHECKING, Any

import typer

from geodesic_cli.cli.command import METRICS_AS_JSON, STRICT, options_of
from geodesic_cli.cli.common import VERBOSE, Closing, ran
from geodesic_cli.runs.plain import aligned
from geodesic_cli.settings import ToySettings, from_command_line

if TYPE_CHECKING:
    from geodesic_cli.verbs.toy.result import Toy


@options_of(ToySettings, strict=STRICT, verbose=VERBOSE, as_json=METRICS_AS_JSON)
def toy(options: dict[str, Any]) -> None:
    """See the method in the plane, in seconds.

    A density, the straight line and the geodesic between two places, and a fan of geodesics shot from the first.

    \b
    Examples:
      geodesic toy
      geodesic toy moons --bend 8
      geodesic toy ring --a 2,0 --b -2,0 --alpha 1
      geodesic toy --points measured.csv --out runs/mine

    Writes report.html, toy.png, evolution.png, evolution.gif, metrics.json, path.safetensors, config.toml,
    manifest.json and log.txt. Everything can also be set by a variable such as GEODESIC_TOY_BEND.
    """
    settings = from_command_line(ToySettings, options)
    result = ran("toy.run", settings, options["as_json"], lambda toy: _closing(toy, settings.gif, options["verbose"]))
    if options["strict"] and not result.converged:
        raise typer.Exit(3)


def _closing(result: "Toy", gif: bool, verbose: bool) -> Closing:
    metrics = result.metrics
    ratio = metrics["length_ratio"]
    left = f" Its residual is {result.solution.residual:.2g}; 0 is a geodesic. See --max-steps, --bend and --nodes."
    residual = "" if result.converged else left
    return Closing(
        made=f"A path on the density {metrics['density']}, {ratio:.2g} times as long as the straight line.",
        verdict=result.status + residual,
        files="toy.png (the paths), evolution.png (the steps of the solver"
        + (", and as a film evolution.gif)." if gif else ")."),
        fine=result.converged,
        numbers=_numbers(metrics) if verbose else [],
    )


def _numbers(metrics: dict[str, Any]) -> list[str]:
    heads = ("path", "length", "mean log p", "least log p", "residual")
    units = ("", "short is good", "nats, high is good", "nats, high is good", "0 is a geodesic")
    rows = [
        (
            metrics["names"][name].partition(",")[0],
            f"{path['length']:.4g}",
            f"{path['mean_log_density']:+.2f}",
            f"{path['min_log_density']:+.2f}",
            f"{path['residual']:.4f}",
        )
        for name, path in metrics["paths"].items()
    ]
    return [
        *aligned(heads, [units, *rows], str.rjust),
        "Lengths are in units of the weight at A; log p is relative to A.",
        f"alpha {metrics['alpha']:.3g} (bend {metrics['bend']:.2f}); score evaluations: "
        f"{metrics['evaluations']['path']} for the path, {metrics['evaluations']['rays']} for the rays",
    ]
