"""`geodesic mean`: options to settings, settings to the task, the result to the screen."""

from typing import TYPE_CHECKING, Any

import typer

from geodesic_cli.cli.command import METRICS_AS_JSON, STRICT, flag, options_of
from geodesic_cli.cli.common import VERBOSE, Closing, planned, ran
from geodesic_cli.runs.plain import aligned
from geodesic_cli.settings import MeanSettings, from_command_line
from geodesic_cli.settings.option import COMMON

if TYPE_CHECKING:
    from geodesic_cli.verbs.mean.run import MeanImage


@options_of(
    MeanSettings,
    dry=flag("--dry-run", "Print what each stage would cost; run nothing.", COMMON),
    strict=STRICT,
    verbose=VERBOSE,
    as_json=METRICS_AS_JSON,
)
def mean(options: dict[str, Any]) -> None:
    """Find the image in the middle of others, along geodesics.

    Of all images it has the least sum of squared geodesic distances. It is drawn with the geodesics from it to each
    image, and with the average of the latents for comparison, which mixes pictures where the mean moves things.

    \b
    Examples:
      geodesic mean a.png b.png c.png
      geodesic mean frames/ --stride 4
      geodesic mean a.png b.png --weights 3,1
      geodesic mean photos/*.jpg --model path/to/stable-diffusion --dry-run

    Writes report.html, mean.png, sheet.png, frames/ (a folder for each geodesic), distances.csv (one row an image),
    mean.safetensors, metrics.json, config.toml, manifest.json, log.txt. Every option can also be set by a variable
    such as GEODESIC_MEAN_WEIGHTS.
    """
    settings = from_command_line(MeanSettings, options)
    if options["dry"]:
        planned("mean.run", settings, options["as_json"])
        return
    result = ran("mean.run", settings, options["as_json"], lambda found: _closing(found, options["verbose"]))
    if options["strict"] and not result.converged:
        raise typer.Exit(3)


def _closing(result: "MeanImage", verbose: bool) -> Closing:
    metrics = result.metrics
    rows = [
        (
            str(k + 1),
            name,
            f"{metrics['weights'][k]:.3g}",
            f"{metrics['distances'][k]:.4g}",
            "unknown" if k + 1 in metrics["not_converged"] else f"{metrics['plus_minus'][k]:.2g}",
            f"{metrics['euclidean'][k]:.4g}",
            "not converged" if k + 1 in metrics["not_converged"] else "",
        )
        for k, name in enumerate(result.names)
    ]
    more = [
        f"alpha {metrics['alpha']:.3g} (bend {metrics['bend']:.2f}) at tau {metrics['tau']:g}; {metrics['moves']} "
        f"moves, {metrics['evaluations']} evaluations in {metrics['seconds']:.1f} s",
    ]
    return Closing(
        made=f"The image in the middle of {len(result.names)} images.",
        verdict=result.status,
        files="sheet.png (the mean and the geodesics to each image), mean.png, distances.csv (a row for each image).",
        fine=result.converged,
        numbers=[
            *aligned(("image", "", "weight", "distance", "+-", "in latents", ""), rows, str.rjust),
            "Distances are in units of the latents where the density is that of the mean.",
            *(more if verbose else []),
        ],
    )
