"""`geodesic video-analyze`: options to settings, settings to the task, the verdict to the screen."""

from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from geodesic_cli.cli.common import aligned, watched
from geodesic_cli.cli.config import config_option
from geodesic_cli.cli.options import (
    AsJson,
    Compile,
    Device,
    Dtype,
    Lora,
    LowMemory,
    MaxFrames,
    Model,
    Out,
    Overwrite,
    Prompt,
    Resume,
    Revision,
    Size,
    Start,
    Stop,
    Stride,
    Variant,
    option,
)
from geodesic_cli.settings import EMBEDDINGS, VideoAnalyzeSettings, from_command_line

if TYPE_CHECKING:
    from geodesic_cli.verbs.video_analyze.run import VideoAnalysis

DEFAULT: dict[str, Any] = {field.name: field.default for field in fields(VideoAnalyzeSettings)}


def video_analyze(
    clip: Annotated[list[str], typer.Argument(help="A video, a folder of frames, or several images.", metavar="CLIP")],
    start: Start = DEFAULT["start"],
    stop: Stop = DEFAULT["stop"],
    stride: Stride = DEFAULT["stride"],
    max_frames: MaxFrames = DEFAULT["max_frames"],
    prompt: Prompt = None,
    embedding: Annotated[
        str,
        option(
            help=f"One of {', '.join(EMBEDDINGS)}: the frames' own encodings, or carried to the noise level, where no "
            "clip is a geodesic."
        ),
    ] = DEFAULT["embedding"],
    tau: Annotated[float, option(help="Noise level whose density is asked, 0 (clean) to 1 (noise).")] = DEFAULT["tau"],
    alpha: Annotated[
        float | None,
        option(help="The exponent in ds = p^(-alpha) |dx|. Default: what makes curvature and score equally large."),
    ] = DEFAULT["alpha"],
    denoise: Annotated[
        float, option(help="Width in frames of a moving mean before all else: less noise, blurred jumps.")
    ] = DEFAULT["denoise"],
    window: Annotated[int, option(help="Frames of a window.")] = DEFAULT["window"],
    overlap: Annotated[int, option(help="Frames that neighbouring windows share.")] = DEFAULT["overlap"],
    noise: Annotated[float, option(help="Size of the perturbation, in steps from frame to frame.")] = DEFAULT["noise"],
    waves: Annotated[
        int | None, option(help="Half waves of the perturbation; few are smooth. Default: white noise.")
    ] = DEFAULT["waves"],
    draws: Annotated[int, option(help="Perturbed paths of a window.")] = DEFAULT["draws"],
    smoothing: Annotated[
        float, option(help="Width in frames of the moving mean that makes the smoothed path.")
    ] = DEFAULT["smoothing"],
    model: Model = DEFAULT["model"],
    revision: Revision = DEFAULT["revision"],
    variant: Variant = DEFAULT["variant"],
    lora: Lora = None,
    size: Size = DEFAULT["size"],
    steps: Annotated[int, option(help="Network evaluations a frame, with the embedding flow.")] = DEFAULT["steps"],
    guidance: Annotated[float, option(help="Classifier-free guidance; 1 is none.")] = DEFAULT["guidance"],
    tol: Annotated[float, option(help="Relative residual at which the optimised path is solved.")] = DEFAULT["tol"],
    max_steps: Annotated[int, option(help="Most steps of the solver, in each window.")] = DEFAULT["max_steps"],
    device: Device = DEFAULT["device"],
    dtype: Dtype = DEFAULT["dtype"],
    low_memory: LowMemory = DEFAULT["low_memory"],
    compile: Compile = DEFAULT["compile"],
    seed: Annotated[int, option(help="Of the perturbations and the random orders.")] = DEFAULT["seed"],
    out: Out = DEFAULT["out"],
    resume: Resume = DEFAULT["resume"],
    overwrite: Overwrite = DEFAULT["overwrite"],
    as_json: AsJson = False,
    config: Annotated[Path | None, config_option(VideoAnalyzeSettings, clip=["clip"])] = None,
) -> None:
    """Ask how close a clip is to a geodesic, and where it departs from one.

    The clip's path is compared with the geodesic between its ends, with perturbed and smoothed copies of itself, and
    with the straight path. One sentence says what came out; the frames where the clip jumps or turns back are named.

    \b
    Examples:
      geodesic video-analyze clip.mp4
      geodesic video-analyze frames/ --stride 2 --denoise 1
      geodesic video-analyze film.mp4 --start 10s --stop 14s --model path/to/stable-diffusion --prompt "a ball rolls"

    Writes metrics.json, clip.csv (one row a frame), analysis.png, sheet.png, config.toml, manifest.json and log.txt.
    Every option but --prompt can also be set by a variable such as GEODESIC_VIDEO_ANALYZE_TAU.
    """
    settings = from_command_line(VideoAnalyzeSettings, locals())
    from geodesic_cli.runs.folder import first_free, to_json
    from geodesic_cli.verbs.video_analyze.run import run, stem

    folder = out or first_free(f"runs/{stem(settings)}")
    result = watched(run, replace(settings, out=folder), folder)
    typer.echo(to_json(result.metrics | {"folder": str(result.folder)}).rstrip() if as_json else _table(result))


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
