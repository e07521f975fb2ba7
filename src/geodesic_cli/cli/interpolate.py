"""`geodesic interpolate`: options to settings, settings to the task, the result to the screen."""

import sys
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from geodesic_cli.cli.common import aligned, watched
from geodesic_cli.cli.config import config_option
from geodesic_cli.cli.options import (
    Compile,
    Device,
    Dtype,
    Fps,
    Lora,
    LowMemory,
    Model,
    Out,
    Overwrite,
    Prompt,
    Resume,
    Revision,
    Variant,
    option,
)
from geodesic_cli.errors import InputError
from geodesic_cli.settings import (
    METHODS,
    MODEL_DENSITIES,
    PACINGS,
    PATH_SOLVERS,
    TEXT_INVERSIONS,
    InterpolateSettings,
    from_command_line,
)

if TYPE_CHECKING:
    from geodesic_cli.verbs.interpolate.run import Interpolation

DEFAULT: dict[str, Any] = {field.name: field.default for field in fields(InterpolateSettings)}


def interpolate(
    images: Annotated[
        list[str], typer.Argument(help="Two or more images, or one film, GIF or folder.", metavar="A B...")
    ],
    prompt: Prompt = None,
    invert_text: Annotated[
        str, option(help=f"Fit each image's text embedding to it: {', '.join(TEXT_INVERSIONS)}.")
    ] = DEFAULT["invert_text"],
    frames: Annotated[
        int | None, option(help="Exact number of frames, the images included. Default: 16 steps from image to image.")
    ] = DEFAULT["frames"],
    between: Annotated[
        int | None, option(help="New frames between neighbouring images, in place of --frames.")
    ] = DEFAULT["between"],
    timing: Annotated[
        str, option(help="Shares of the frames from image to image: even, length, or numbers such as 2,1,1.")
    ] = DEFAULT["timing"],
    loop: Annotated[bool, option("--loop", help="Go on from the last image to the first.")] = DEFAULT["loop"],
    bend: Annotated[
        float | None,
        option(
            help="How far the path leaves slerp to find density: 0 is slerp, 1 to 4 is useful, 15 to 25 for global. "
            "Default: 4, or for global its alpha."
        ),
    ] = DEFAULT["bend"],
    alpha: Annotated[
        float | None, option(help="The exponent in ds = p^(-alpha) |dx| itself; overrides --bend. 0.02 for global.")
    ] = DEFAULT["alpha"],
    tau: Annotated[
        float | None,
        option(help="Noise level at which the path lives, 0 (clean) to 1 (noise). Default: 0.4; 0.1 for global."),
    ] = DEFAULT["tau"],
    method: Annotated[
        str | None,
        option(
            help=f"One of {', '.join(METHODS)}. Default: geodesic; for clevr-mini global, but not within a clip or "
            "where --bend or another option of the local solver is given."
        ),
    ] = DEFAULT["method"],
    globally: Annotated[
        bool,
        option(
            "--global",
            help="The same as --method global: search for the path on which things move.",
            allow_from_autoenv=False,
        ),
    ] = False,
    compare: Annotated[
        bool, option("--compare", help="Draw lerp, slerp and the geodesic on one sheet and in one plot.")
    ] = DEFAULT["compare"],
    pacing: Annotated[
        str,
        option(help=f"One of {', '.join(PACINGS)}: equal steps along the path, or visible ones (more evaluations)."),
    ] = DEFAULT["pacing"],
    model: Model = DEFAULT["model"],
    revision: Revision = DEFAULT["revision"],
    variant: Variant = DEFAULT["variant"],
    lora: Lora = None,
    size: Annotated[
        str | None, option(help="N or WIDTHxHEIGHT in pixels, or same. Default: the model's own.")
    ] = DEFAULT["size"],
    pool_size: Annotated[int, option(help="Of --method global: samples of the model to begin with.")] = DEFAULT[
        "pool_size"
    ],
    budget: Annotated[
        str, option(help="Of --method global: network evaluations after the samples, or seconds as 60s.")
    ] = DEFAULT["budget"],
    nodes: Annotated[int, option(help="Nodes of the first path.")] = DEFAULT["nodes"],
    solver: Annotated[str, option(help="How to solve.", metavar="|".join(PATH_SOLVERS))] = DEFAULT["solver"],
    steps: Annotated[int, option(help="Network evaluations from an image to tau, and from there back.")] = DEFAULT[
        "steps"
    ],
    density: Annotated[
        str | None,
        option(
            help=f"Whose geodesic: one of {', '.join(MODEL_DENSITIES)}. Default: conditional; guided with --guidance."
        ),
    ] = DEFAULT["density"],
    guidance: Annotated[float, option(help="Of the densities guided and negative; 1 is none.")] = DEFAULT["guidance"],
    negative_prompt: Annotated[
        str | None, option(help="Of the densities negative and paper. Default: the defects of a bad morph.")
    ] = DEFAULT["negative_prompt"],
    noise_bank: Annotated[
        int, option(help="Noise levels to average the score over; 1 is none, and each costs as much as the score.")
    ] = DEFAULT["noise_bank"],
    noise_band: Annotated[float, option(help="Half-width of that band of noise levels about tau.")] = DEFAULT[
        "noise_band"
    ],
    tol: Annotated[float, option(help="Relative residual at which the path is solved.")] = DEFAULT["tol"],
    max_steps: Annotated[int, option(help="Most steps of the solver.")] = DEFAULT["max_steps"],
    device: Device = DEFAULT["device"],
    dtype: Dtype = DEFAULT["dtype"],
    low_memory: LowMemory = DEFAULT["low_memory"],
    compile: Compile = DEFAULT["compile"],
    seed: Annotated[
        int, option(help="Of the tiny bump that keeps a symmetric start off a saddle. Same seed, same frames.")
    ] = DEFAULT["seed"],
    fps: Fps = DEFAULT["fps"],
    out: Out = DEFAULT["out"],
    resume: Resume = DEFAULT["resume"],
    overwrite: Overwrite = DEFAULT["overwrite"],
    dry: Annotated[
        bool, option("--dry-run", help="Print evaluations, time and memory of each stage, and run nothing.")
    ] = False,
    strict: Annotated[bool, option("--strict", help="Exit with code 3 if the path did not converge.")] = False,
    as_json: Annotated[bool, option("--json", help="Print the metrics as JSON instead of a table.")] = False,
    config: Annotated[Path | None, config_option(InterpolateSettings, images=["a", "b"])] = None,
) -> None:
    """Interpolate between images: two, several, or the frames of a clip.

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

    Writes frames/, sheet.png, video.mp4, video.gif, density.png, convergence.png (graph.png for a search),
    metrics.json, path.safetensors, config.toml, manifest.json and log.txt. Every option but --prompt can also be set by
    a variable such as GEODESIC_INTERPOLATE_TAU.
    """
    if globally and method not in (None, "global"):
        raise InputError(f"--global means --method global; got --method {method} too.", "Leave one of them out.")
    settings = from_command_line(InterpolateSettings, locals(), method="global" if globally else method)
    from geodesic_cli.runs.folder import first_free, to_json
    from geodesic_cli.verbs.interpolate.run import dry_run, run, stem

    if dry:
        planned = watched(lambda chosen, display, command: dry_run(chosen, display), settings)
        typer.echo(to_json(planned.metrics).rstrip() if as_json else planned.text)
        return
    folder = out or first_free(f"runs/{stem(settings)}")
    result = watched(run, replace(settings, out=folder), folder)
    typer.echo(to_json(result.metrics | {"folder": str(result.folder)}).rstrip() if as_json else _table(result))
    if not result.converged:
        residual = result.report.relative_residual
        sys.stderr.write(
            f"Warning: {result.status}{_marked(result.metrics['global']['marked_frames'])}\n"
            if result.found
            else f"Warning: {result.status} The residual is {residual:.3g}, --tol is {tol:g}; "
            f"see --max-steps, --bend and --solver.\n"
        )
        if strict:
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
            f"{result.folder}/sheet.png, video.mp4, video.gif, density.png, frames/",
        ]
    )
