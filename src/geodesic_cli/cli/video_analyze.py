"""`geodesic video-analyze`: options to settings, settings to the task, the verdict to the screen."""

from typing import TYPE_CHECKING, Any

from geodesic_cli.cli.command import AS_JSON, options_of
from geodesic_cli.cli.common import ran
from geodesic_cli.runs.plain import aligned
from geodesic_cli.settings import VideoAnalyzeSettings, from_command_line

if TYPE_CHECKING:
    from geodesic_cli.verbs.video_analyze.run import VideoAnalysis


@options_of(VideoAnalyzeSettings, as_json=AS_JSON)
def video_analyze(options: dict[str, Any]) -> None:
    """Ask how close a clip is to a geodesic, and where it is not.

    The clip's path is compared with the geodesic between its ends, with perturbed and smoothed copies of itself, and
    with the straight path. One sentence says what came out; the frames where the clip jumps or turns back are named.

    \b
    Examples:
      geodesic video-analyze clip.mp4
      geodesic video-analyze frames/ --stride 2 --denoise 1
      geodesic video-analyze film.mp4 --start 10s --stop 14s --model path/to/stable-diffusion --prompt "a ball rolls"

    Writes report.html, metrics.json, clip.csv (one row a frame), analysis.png, sheet.png, config.toml, manifest.json
    and log.txt. Every option but --prompt can also be set by a variable such as GEODESIC_VIDEO_ANALYZE_TAU.
    """
    ran("video_analyze.run", from_command_line(VideoAnalyzeSettings, options), options["as_json"], _table)


def _table(result: "VideoAnalysis") -> str:
    report, metrics = result.report, result.metrics
    if report is None:
        return f"{result.verdict}\n{result.folder}/sheet.png, metrics.json"
    heads = ("path", "gradient", "curvature", "score", "relative", "cosine", "log length")
    rows = [
        (
            name,
            f"{report.means[name]:.3f}",
            f"{terms['curvature_term']:.3f}",
            f"{terms['score_term']:.3f}",
            f"{terms['relative']:.2f}",
            f"{terms['alignment']:+.2f}",
            f"{terms['log_length']:.2f}",
        )
        for name, terms in report.terms.items()
    ]
    best = report.best
    return "\n".join(
        [
            report.verdict,
            "",
            *aligned(heads, rows, str.rjust),
            "gradient is the norm of curvature plus alpha times score, relative is it over the sum of their norms;",
            "both are 0 on a geodesic; cosine is that between curvature and minus score, 1 on a geodesic",
            f"alpha {report.alpha:.3g} at tau {metrics['tau']:g}, {metrics['embedding']} embedding; most geodesic at "
            f"alpha {best.alpha:.3g} +- {best.error:.2g}, which explains {100 * best.explained:.0f}% of the bending",
            f"{metrics['frames_that_move']} of {metrics['frames']} frames move; roughness H {report.roughness:.2f} "
            f"(1 smooth, 0.5 a random walk); {metrics['score_evaluations']} network evaluations in "
            f"{metrics['seconds']:.1f} s",
            f"{result.folder}/analysis.png, sheet.png, clip.csv, metrics.json",
        ]
    )
