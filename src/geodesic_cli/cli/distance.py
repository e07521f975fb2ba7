"""`geodesic distance`: options to settings, settings to the task, the result to the screen."""

from typing import TYPE_CHECKING, Any

import typer

from geodesic_cli.cli.command import METRICS_AS_JSON, STRICT, flag, options_of
from geodesic_cli.cli.common import VERBOSE, Closing, planned, ran
from geodesic_cli.runs.plain import aligned
from geodesic_cli.settings import DistanceSettings, from_command_line
from geodesic_cli.settings.option import COMMON

if TYPE_CHECKING:
    from geodesic_cli.verbs.distance.run import Distances

MOST_ROWS = 30


@options_of(
    DistanceSettings,
    dry=flag("--dry-run", "Print what each stage would cost; run nothing.", COMMON),
    strict=STRICT,
    verbose=VERBOSE,
    as_json=METRICS_AS_JSON,
)
def distance(options: dict[str, Any]) -> None:
    """Measure how far images are from each other along geodesics.

    Every pair is joined by a path that keeps to pictures the model finds likely, and the distance is its length. Each
    has an uncertainty, and stands beside the distance in the same latents without the metric.

    \b
    Examples:
      geodesic distance a.png b.png c.png
      geodesic distance frames/ --stride 4
      geodesic distance photos/*.jpg --model path/to/stable-diffusion --prompt "a photo of a cat" --dry-run
      geodesic distance a.png b.png --bend 8 --json

    Writes report.html, distances.png, plane.png, images/, distances.csv (one row a pair), distances.safetensors,
    metrics.json, config.toml, manifest.json, log.txt. Every option can also be set by a variable such as
    GEODESIC_DISTANCE_BEND.
    """
    settings = from_command_line(DistanceSettings, options)
    if options["dry"]:
        planned("distance.run", settings, options["as_json"])
        return
    result = ran("distance.run", settings, options["as_json"], lambda found: _closing(found, options["verbose"]))
    if options["strict"] and not bool(result.converged.all()):
        raise typer.Exit(3)


def _closing(result: "Distances", verbose: bool) -> Closing:
    metrics, n = result.metrics, len(result.names)
    pairs = [(i, j) for i in range(n) for j in range(i + 1, n)]
    rows = [
        (
            f"{i + 1}",
            f"{j + 1}",
            f"{float(result.distances[i, j]):.4g}",
            f"{metrics['plus_minus'][i][j]:.2g}",
            f"{float(result.euclidean[i, j]):.4g}",
            "" if bool(result.converged[i, j]) else "not converged",
        )
        for i, j in pairs[:MOST_ROWS]
    ]
    plane = metrics["plane"]
    near = [", ".join(map(str, numbers)) for numbers in metrics["nearest"]]
    names = [f"{k + 1} {name}: nearest {near[k]}" for k, name in enumerate(result.names)]
    more = [
        f"The plane holds {100 * plane['share']:.0f}% of the squared distances; in latents alone "
        f"{100 * plane['euclidean_share']:.0f}%.",
        f"alpha {metrics['alpha']:.3g} (bend {metrics['bend']:.2f}) at tau {metrics['tau']:g}; "
        f"{metrics['evaluations']} evaluations in {metrics['seconds']:.1f} s",
    ]
    return Closing(
        made=f"{len(pairs)} distance{'s' if len(pairs) > 1 else ''} between {n} images.",
        verdict=result.status.partition(". ")[2],
        files="distances.png (the matrix), plane.png (the images by their distances), distances.csv (a row for each "
        "pair).",
        fine=bool(result.converged.all()),
        numbers=[
            *names[:MOST_ROWS],
            "",
            *aligned(("image", "image", "distance", "+-", "in latents", ""), rows, str.rjust),
            *([f"... and {len(pairs) - MOST_ROWS} more in distances.csv"] if len(pairs) > MOST_ROWS else []),
            "Distances are in units of the latents where the density is that of the images on average.",
            *(more if verbose else []),
        ],
    )
