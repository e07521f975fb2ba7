"""`geodesic isometry`: options to settings, settings to the task, the table to the screen."""

from typing import TYPE_CHECKING, Any

from geodesic_cli.cli.command import AS_JSON, options_of
from geodesic_cli.cli.common import ran
from geodesic_cli.runs.plain import aligned
from geodesic_cli.settings import IsometrySettings, from_command_line

if TYPE_CHECKING:
    from geodesic_cli.verbs.isometry.run import Isometry


@options_of(IsometrySettings, as_json=AS_JSON)
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
    ran("isometry.run", from_command_line(IsometrySettings, options), options["as_json"], _table)


def _table(result: "Isometry") -> str:
    from geodesic_cli.verbs.isometry.table import notes, rows

    heads, lines = rows(result.metrics)
    return "\n".join(
        [
            *aligned(heads, lines, str.ljust),
            *notes(result.metrics),
            result.status,
            f"{result.folder}/table.md, spectrum.png, metrics.json",
        ]
    )
