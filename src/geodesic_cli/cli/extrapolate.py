"""`geodesic extrapolate`: options to settings, settings to the task, the result to the screen."""

from typing import TYPE_CHECKING, Any

import typer

from geodesic_cli.cli.command import AS_JSON, flag, options_of
from geodesic_cli.cli.common import VERBOSE, Closing, ran
from geodesic_cli.runs.plain import aligned
from geodesic_cli.settings import DRIFT, ExtrapolateSettings, from_command_line

if TYPE_CHECKING:
    from geodesic_cli.verbs.extrapolate.run import Extrapolation


@options_of(
    ExtrapolateSettings,
    strict=flag("--strict", "Exit with code 3 if a ray ended early."),
    verbose=VERBOSE,
    as_json=AS_JSON,
)
def extrapolate(options: dict[str, Any]) -> None:
    """Continue a clip after its last frame, or before its first.

    The motion of the last frames goes on as a ray of the model's density, at the same speed, and ends where log p has
    fallen too far. The ray is drawn towards high density, where pictures are whole. It is NOT the geodesic of the
    paper, ds = p^(-alpha) |dx|, which is driven away from there and leaves the data sooner than a straight line: that
    one is --embedding flow --tau 0.6 --alpha 0.0009. Things that move fast may change on the way: --prompt tells what
    they are and keeps them so. Frames whose colours or shapes drift are marked; --max-drift ends the ray before them.

    \b
    Examples:
      geodesic extrapolate clip.mp4
      geodesic extrapolate frames/ --frames 8 --backward --compare
      geodesic extrapolate clip.mp4 --stop 2.5s --prompt "a red rubber sphere" --max-drift 0.25
      geodesic extrapolate a.png b.png --frames 2

    Writes report.html, frames/ (the whole sequence), sheet.png (frames of the clip are framed in blue), video.mp4,
    video.gif, density.png, metrics.json, path.safetensors, config.toml, manifest.json and log.txt. Every option but the
    prompts can also be set by a variable such as GEODESIC_EXTRAPOLATE_TAU.
    """
    settings = from_command_line(ExtrapolateSettings, options)
    result = ran("extrapolate.run", settings, options["as_json"], lambda made: _closing(made, options["verbose"]))
    if options["strict"] and not result.complete:
        raise typer.Exit(3)


def _closing(result: "Extrapolation", verbose: bool) -> Closing:
    first, end = result.known
    new = len(result.frames) - (end - first)
    good = "None has drifted from the clip's colours, and none of its shapes has melted." if new else ""
    return Closing(
        made=f"{new} new frames, {len(result.frames)} in all.",
        verdict=" ".join(filter(None, [result.status, result.advice or good])),
        files="sheet.png (the frames), video.mp4 (the film), density.png (how plausible the new frames are, and their "
        "drift).",
        fine=result.complete and not result.drifted,
        numbers=_numbers(result.metrics) if verbose else [],
    )


def _numbers(metrics: dict[str, Any]) -> list[str]:
    heads = ("", "frame", "log p", "step", "drift")
    units = ("", "", "nats, high is good", "latent distance", f"0 is good, above {DRIFT} marked")
    rows = [
        (name, str(k), f"{density:+.1f}", f"{step:.2f}", f"{drift:.2f}")
        for name, ray in metrics["rays"].items()
        for k, (density, step, drift) in enumerate(zip(ray["log_density"], ray["steps"], ray["drift"], strict=True), 1)
    ]
    after, spent = metrics["rays"]["after"], metrics["evaluations"]
    usual = sum(after["known_steps"]) / len(after["known_steps"])
    return [
        *aligned(heads, [units, *rows], str.rjust),
        "log p is relative to the known frame that the ray begins at; step is the distance of the encodings from the "
        f"frame before, {usual:.2f} on average in the {after['context']} frames that the velocity comes from; drift is "
        "that of the colours or of the shapes, whichever is larger.",
        f"alpha {after['alpha']:.3g} at tau {metrics['tau']:g}; a ray ends where log p has lost "
        f"{after['max_drop']:.0f} nats; network evaluations: {spent['rays']} for the rays, "
        f"{spent['flow'] + spent['frames'] + spent['plot']} for the rest; {metrics['seconds']:.1f} s",
    ]
