"""`geodesic extrapolate`: options to settings, settings to the task, the result to the screen."""

import sys
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
    Resume,
    Revision,
    Size,
    Start,
    Stop,
    Stride,
    Variant,
    option,
)
from geodesic_cli.settings import PLACES, STEPPERS, ExtrapolateSettings, from_command_line

if TYPE_CHECKING:
    from geodesic_cli.verbs.extrapolate.run import Extrapolation

DEFAULT: dict[str, Any] = {field.name: field.default for field in fields(ExtrapolateSettings)}


def extrapolate(
    source: Annotated[
        list[str], typer.Argument(help="A video, a GIF, a folder of frames, or images in their order.", metavar="CLIP")
    ],
    start: Start = DEFAULT["start"],
    stop: Stop = DEFAULT["stop"],
    stride: Stride = DEFAULT["stride"],
    max_frames: MaxFrames = DEFAULT["max_frames"],
    frames: Annotated[int, option(help="New frames, at the sequence's own speed.")] = DEFAULT["frames"],
    backward: Annotated[bool, option("--backward", help="As many before the first frame, too.")] = DEFAULT["backward"],
    context: Annotated[int, option(help="Frames that the velocity is taken from.")] = DEFAULT["context"],
    order: Annotated[
        int, option(help="Degree of the polynomial fitted to them; --context - 1 is exact, less smooths.")
    ] = DEFAULT["order"],
    guide: Annotated[
        float,
        option(help="How strongly new frames are drawn to high density; 0: a straight line, negative: driven away."),
    ] = DEFAULT["guide"],
    alpha: Annotated[
        float | None,
        option(help="The exponent in ds = p^(-alpha) |dx| itself; overrides --guide. Positive bends away."),
    ] = DEFAULT["alpha"],
    tau: Annotated[float, option(help="Noise level whose density guides, above 0 (clean) to 1 (noise).")] = DEFAULT[
        "tau"
    ],
    embedding: Annotated[
        str, option(help="Frames as they are, or carried to tau by the probability flow.", metavar="|".join(PLACES))
    ] = DEFAULT["embedding"],
    stepper: Annotated[str, option(help="How to integrate.", metavar="|".join(STEPPERS))] = DEFAULT["stepper"],
    substeps: Annotated[int, option(help="Steps from frame to frame; 0 chooses them as the ray needs.")] = DEFAULT[
        "substeps"
    ],
    max_drop: Annotated[
        float | None, option(help="Nats of log p that may be lost before the ray is ended. Default: 0.4 a dimension.")
    ] = DEFAULT["max_drop"],
    prompt: Annotated[
        str | None, option(help="What the frames show. Default: nothing.", allow_from_autoenv=False)
    ] = DEFAULT["prompt"],
    target_prompt: Annotated[
        str | None, option(help="What the last new frame shows. Default: --prompt.", allow_from_autoenv=False)
    ] = DEFAULT["target_prompt"],
    compare: Annotated[
        bool, option("--compare", help="Draw the last step repeated, and the last frame, on the sheet, too.")
    ] = DEFAULT["compare"],
    model: Model = DEFAULT["model"],
    revision: Revision = DEFAULT["revision"],
    variant: Variant = DEFAULT["variant"],
    lora: Lora = None,
    size: Size = DEFAULT["size"],
    steps: Annotated[int, option(help="Of --embedding flow: network evaluations up to tau, and from there back.")] = (
        DEFAULT["steps"]
    ),
    guidance: Annotated[float, option(help="Classifier-free guidance; 1 is none.")] = DEFAULT["guidance"],
    device: Device = DEFAULT["device"],
    dtype: Dtype = DEFAULT["dtype"],
    low_memory: LowMemory = DEFAULT["low_memory"],
    compile: Compile = DEFAULT["compile"],
    fps: Annotated[float | None, option(help="Frames a second of the films. Default: the sequence's own.")] = DEFAULT[
        "fps"
    ],
    out: Out = DEFAULT["out"],
    resume: Resume = DEFAULT["resume"],
    overwrite: Overwrite = DEFAULT["overwrite"],
    strict: Annotated[bool, option("--strict", help="Exit with code 3 if a ray ended early.")] = False,
    as_json: AsJson = False,
    config: Annotated[Path | None, config_option(ExtrapolateSettings, source=["clip"])] = None,
) -> None:
    """Continue a sequence: after its last frame and, with --backward, before its first.

    The motion of the last frames goes on as a ray of the model's density, at the same speed. It is drawn towards high
    density, where pictures are whole, and ends where log p has fallen too far. Things that move fast may change on the
    way: --prompt tells what they are and keeps them so.

    \b
    Examples:
      geodesic extrapolate clip.mp4
      geodesic extrapolate frames/ --frames 8 --backward --compare
      geodesic extrapolate clip.mp4 --stop 2.5s --prompt "a red rubber sphere"
      geodesic extrapolate a.png b.png --frames 2

    Writes frames/ (the whole sequence), sheet.png (new frames have an orange border), video.mp4, video.gif,
    density.png, metrics.json, path.safetensors, config.toml, manifest.json and log.txt. Every option but the prompts
    can also be set by a variable such as GEODESIC_EXTRAPOLATE_TAU.
    """
    settings = from_command_line(ExtrapolateSettings, locals())
    from geodesic_cli.runs.folder import first_free, to_json
    from geodesic_cli.verbs.extrapolate.run import run, stem

    folder = out or first_free(f"runs/{stem(settings)}")
    result = watched(run, replace(settings, out=folder), folder)
    typer.echo(to_json(result.metrics | {"folder": str(result.folder)}).rstrip() if as_json else _table(result))
    if not result.complete:
        sys.stderr.write(f"Warning: {result.status}\n")
        if strict:
            raise typer.Exit(3)


def _table(result: "Extrapolation") -> str:
    metrics = result.metrics
    rows = [
        (name, str(k), f"{density:+.1f}", f"{step:.2f}")
        for name, ray in metrics["rays"].items()
        for k, (density, step) in enumerate(zip(ray["log_density"], ray["steps"], strict=True), 1)
    ]
    after, spent = metrics["rays"]["after"], metrics["evaluations"]
    usual = sum(after["known_steps"]) / len(after["known_steps"])
    return "\n".join(
        [
            *aligned(("", "frame", "log p", "step"), rows, str.rjust),
            "log p is relative to where the ray begins, in nats; step is the distance of the encodings from the frame "
            f"before, {usual:.2f} on average in the {after['context']} frames that the velocity comes from",
            f"alpha {after['alpha']:.3g} at tau {metrics['tau']:g}; a ray ends where log p has lost "
            f"{after['max_drop']:.0f} nats; network evaluations: {spent['rays']} for the rays, "
            f"{spent['flow'] + spent['frames'] + spent['plot']} for the rest; {metrics['seconds']:.1f} s",
            *([result.status] if result.complete else []),
            f"{result.folder}/sheet.png, video.mp4, video.gif, density.png, frames/",
        ]
    )
