"""`geodesic interpolate`: options to settings, settings to the task, the result to the screen."""

import sys
from typing import TYPE_CHECKING, Any

import typer

from geodesic_cli.cli.command import METRICS_AS_JSON, STRICT, flag, options_of
from geodesic_cli.cli.common import ran, watched
from geodesic_cli.errors import InputError
from geodesic_cli.runs.plain import aligned, to_json
from geodesic_cli.settings import InterpolateSettings, from_command_line
from geodesic_cli.settings.option import COMMON

if TYPE_CHECKING:
    from geodesic_cli.verbs.interpolate.run import Interpolation


@options_of(
    InterpolateSettings,
    globally=flag("--global", "The same as --method global.", COMMON, False),
    dry=flag("--dry-run", "Print what each stage would cost; run nothing.", COMMON),
    strict=STRICT,
    as_json=METRICS_AS_JSON,
)
def interpolate(options: dict[str, Any]) -> None:
    """Interpolate between images: two, several, or a whole clip.

    The frames follow a geodesic of the model's density. --global searches over samples of the model for the path on
    which things move, at low noise, and is what the embedded model does unless told otherwise; --method geodesic
    solves from slerp, in seconds.

    \b
    Examples:
      geodesic interpolate a.png b.png
      geodesic interpolate a.png b.png --prompt "a red cube" --prompt "a blue sphere" --compare
      geodesic interpolate a.png b.png --method geodesic --bend 2
      geodesic interpolate a.png b.png c.png --between 7 --loop
      geodesic interpolate --config runs/a-to-b/config.toml --frames 33 --out runs/slower

    Writes frames/, sheet.png, films (--formats), density.png, convergence.png (graph.png for a search),
    metrics.json, path.safetensors, config.toml, manifest.json and log.txt. Every option but --prompt can also be set by
    a variable such as GEODESIC_INTERPOLATE_TAU.
    """
    method = options["method"]
    if options["globally"] and method not in (None, "global"):
        raise InputError(f"--global means --method global; got --method {method} too.", "Leave one of them out.")
    settings = from_command_line(InterpolateSettings, options, method="global" if options["globally"] else method)
    if options["dry"]:
        from geodesic_cli.verbs.interpolate.run import dry_run

        planned = watched(dry_run, settings)
        typer.echo(to_json(planned.metrics).rstrip() if options["as_json"] else planned.text)
        return
    result = ran("interpolate.run", settings, options["as_json"], _table)
    if not result.converged:
        residual = result.report.relative_residual
        sys.stderr.write(
            f"Warning: {result.status}{_marked(result.metrics['global']['marked_frames'])}\n"
            if result.found
            else f"Warning: {result.status} The residual is {residual:.3g}, --tol is {settings.tol:g}; "
            f"see --max-steps, --bend and --solver.\n"
        )
        if options["strict"]:
            raise typer.Exit(3)


def _marked(frames: list[int]) -> str:
    return f" Frames: {', '.join(map(str, frames))}." if frames else " No frame lies there."


def _table(result: "Interpolation") -> str:
    metrics = result.metrics
    heads = ("", "length", "mean gain", "least gain", "residual")
    rows = [
        (
            name,
            f"{path['length']:.2f}" if name != "lerp" else "-",
            f"{path['mean_excess']:+.1f}",
            f"{path['min_excess']:+.1f}",
            f"{path['relative_residual']:.4f}" if name != "lerp" else "-",
        )
        for name, path in metrics["paths"].items()
    ]
    spent = metrics["evaluations"]
    return "\n".join(
        [
            *aligned(heads, rows, str.rjust),
            "length is what the solver shortens; gain is log p above the straight line between the two ends, in nats",
            f"alpha {metrics['alpha']:.3g} (bend {metrics['bend']:.2f}) at tau {metrics['tau']:g}; "
            f"network evaluations: {spent['path']} for the path, {spent['pacing']} for its pacing, "
            f"{spent['frames']} for {metrics['frames']} frames; {metrics['seconds']:.1f} s",
            *([result.status] if result.converged else []),
            f"{result.folder}/{', '.join(['sheet.png', *metrics['films'], 'density.png', 'frames/'])}",
        ]
    )
