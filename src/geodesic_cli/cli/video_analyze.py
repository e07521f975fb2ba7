"""`geodesic video-analyze`: options to settings, settings to the task, the verdict to the screen."""

from typing import TYPE_CHECKING, Any

from geodesic_cli.cli.command import AS_JSON, options_of
from geodesic_cli.cli.common import VERBOSE, Closing, ran
from geodesic_cli.runs.plain import aligned
from geodesic_cli.settings import VideoAnalyzeSettings, from_command_line

if TYPE_CHECKING:
    from geodesic_cli.verbs.video_analyze.report import ClipReport
    from geodesic_cli.verbs.video_analyze.run import VideoAnalysis

JOINED_SHOWN = 12
"""Numbers of joined frames on the screen, at most."""


@options_of(VideoAnalyzeSettings, verbose=VERBOSE, as_json=AS_JSON)
def video_analyze(options: dict[str, Any]) -> None:
    """Ask how close a clip is to a geodesic, and where it is not.

    The clip's path is compared with the local geodesic between its ends, with copies of itself that have noise or are
    smoothed, and with the great circle. The first sentence is the verdict; it names the frames where the clip jumps or
    turns back. Frames that repeat the one before, but for a codec's noise, count as one with it, and are named.

    \b
    Examples:
      geodesic video-analyze clip.mp4
      geodesic video-analyze frames/ --stride 2 --denoise 1 --verbose
      geodesic video-analyze film.mp4 --start 10s --stop 14s --model path/to/stable-diffusion --prompt "a ball rolls"

    Writes report.html, metrics.json, clip.csv (one row a frame), analysis.png, sheet.png, config.toml, manifest.json
    and log.txt. Every option but --prompt can also be set by a variable such as GEODESIC_VIDEO_ANALYZE_TAU.
    """
    settings = from_command_line(VideoAnalyzeSettings, options)
    ran("video_analyze.run", settings, options["as_json"], lambda made: _closing(made, options["verbose"]))


def _closing(result: "VideoAnalysis", verbose: bool) -> Closing:
    report, metrics = result.report, result.metrics
    if report is None:
        return Closing(result.verdict, f"{metrics['frames']} frames were looked at.", "sheet.png (the frames).")
    others = (
        "with the local geodesic between their ends and three other paths."
        if "optimised" in report.means
        else "with copies of the clip, with noise and smoothed; it ends where it began, so no path is between its ends."
    )
    parts = [f"{metrics['frames']} frames were compared {others}"]
    if report.joined:
        parts.append(f"{_joined(report.joined)}, but for noise: they count as one.")
    return Closing(
        made=result.verdict,
        verdict=" ".join([*parts, *filter(None, [report.reference, report.advice])]),
        files="sheet.png (the frames), analysis.png (the curves), clip.csv and metrics.json (all numbers).",
        numbers=_numbers(report, metrics) if verbose else [],
    )


def _joined(frames: tuple[int, ...]) -> str:
    shown = ", ".join(map(str, frames[:JOINED_SHOWN]))
    rest = f" and {len(frames) - JOINED_SHOWN} more" if len(frames) > JOINED_SHOWN else ""
    return (
        f"Frame {shown} repeats the one before it"
        if len(frames) == 1
        else f"Frames {shown}{rest} repeat those before them"
    )


def _numbers(report: "ClipReport", metrics: dict[str, Any]) -> list[str]:
    heads = ("path", "gradient", "curvature", "score", "relative", "cosine", "log length")
    units = ("", "0 is a geodesic", "", "", "0 is a geodesic", "1 is a geodesic", "low is short")
    rows = [
        (
            report.names[name],
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
    return [
        *aligned(heads, [units, *rows], str.rjust),
        "gradient is the norm of curvature plus alpha times score, per unit of latent distance; relative is it over",
        "the sum of their norms; cosine is that between curvature and minus score.",
        report.detail,
        f"alpha {report.alpha:.3g} at tau {metrics['tau']:g}, {metrics['embedding']} embedding; most geodesic at "
        f"alpha {best.alpha:.3g} +- {best.error:.2g}, which explains {100 * best.explained:.0f}% of the bending.",
        f"{metrics['frames_that_move']} of {metrics['frames']} frames move; roughness H "
        f"{max(0.0, report.roughness):.2f} (1 smooth, 0.5 a random walk); "
        f"{metrics['score_evaluations']} network evaluations in {metrics['seconds']:.1f} s.",
    ]
