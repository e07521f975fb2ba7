"""`geodesic extrapolate`: options to settings, settings to the task, the result to the screen."""

import sys
from typing import TYPE_CHECKING, Any

import typer

from geodesic_cli.cli.command import AS_JSON, flag, options_of
from geodesic_cli.cli.common import ran
from geodesic_cli.runs.plain import aligned
from geodesic_cli.settings import ExtrapolateSettings, from_command_line

if TYPE_CHECKING:
    from geodesic_cli.verbs.extrapolate.run import Extrapolation


@options_of(ExtrapolateSettings, strict=flag("--strict", "Exit with code 3 if a ray ended early."), as_json=AS_JSON)
def extrapolate(options: dict[str, Any]) -> None:
    """Continue a clip after its last frame, or before its first.

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
    result = ran("extrapolate.run", from_command_line(ExtrapolateSettings, options), options["as_json"], _table)
    if not result.complete:
        sys.stderr.write(f"Warning: {result.status}\n")
        if options["strict"]:
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
