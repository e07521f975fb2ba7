"""`geodesic isometry`: options to settings, settings to the task, the table to the screen."""

from typing import TYPE_CHECKING, Any

from geodesic_cli.cli.command import AS_JSON, options_of
from geodesic_cli.cli.common import VERBOSE, Closing, ran
from geodesic_cli.runs.plain import aligned
from geodesic_cli.settings import IsometrySettings, from_command_line

if TYPE_CHECKING:
    from geodesic_cli.verbs.isometry.run import Isometry


@options_of(IsometrySettings, verbose=VERBOSE, as_json=AS_JSON)
def isometry(options: dict[str, Any]) -> None:
    """Measure how far a model's encoder is from an isometry.

    The encoder carries noisy latents x to the output h of the network's mid block. An isometry, up to scale, carries
    directions in x to directions in h without preferring any: the isometry loss is small, the condition number MCN 1,
    the metric the same everywhere (VoR 0), and great circles are carried to straight lines (mRTL 1). Images then
    change evenly along noise (small PPL), and planes in it tell what they show (small LS).

    \b
    Examples:
      geodesic isometry
      geodesic isometry clevr-mini --against runs/finetune
      geodesic isometry path/to/ddpm-celebahq-256 --taus 1 --points 4 --json

    Writes report.html, table.md, spectrum.png, metrics.json, config.toml, manifest.json and log.txt. Every option but
    --prompt and --lora can also be set by a variable such as GEODESIC_ISOMETRY_POINTS.
    """
    settings = from_command_line(IsometrySettings, options)
    ran("isometry.run", settings, options["as_json"], lambda result: _closing(result, options["verbose"]))


def _closing(result: "Isometry", verbose: bool) -> Closing:
    from geodesic_cli.verbs.isometry.table import notes, rows, values

    (heads, lines), metrics = rows(result.metrics), result.metrics
    some = " and ".join(model["name"] for model in metrics["models"])
    return Closing(
        made=f"Measures of {some} on {metrics['points']} points ({metrics['data']}).",
        verdict=result.status,
        files="table.md (the table with its legend), spectrum.png (the singular values).",
        numbers=[*aligned(heads, lines, str.ljust), *(notes(metrics) if verbose else values(metrics))],
    )
