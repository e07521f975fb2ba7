"""`geodesic latent`: options to settings, settings to the task, the result to the screen."""

from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from geodesic_cli.cli.common import aligned, watched
from geodesic_cli.cli.config import config_option
from geodesic_cli.cli.invert import Lpips, MetricWeights
from geodesic_cli.cli.options import (
    AsJson,
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
    Size,
    Variant,
    option,
)
from geodesic_cli.settings import ESTIMATES, JOINS, SCHEMES, DirectionSettings, SlerpSettings, from_command_line

if TYPE_CHECKING:
    from geodesic_cli.verbs.latent.direction import LatentDirection
    from geodesic_cli.verbs.latent.slerp import LatentPaths

SLERP: dict[str, Any] = {field.name: field.default for field in fields(SlerpSettings)}
DIRECTION: dict[str, Any] = {field.name: field.default for field in fields(DirectionSettings)}

Steps = Annotated[int, option(help="Network evaluations from an image to noise, and about as many back.")]
Scheme = Annotated[
    str, option(help=f"One of {', '.join(SCHEMES)}: ours, of second order, or uniform steps as published.")
]
Guidance = Annotated[float, option(help="Classifier-free guidance, both ways; 1 is none.")]

latent = typer.Typer(
    help="How linear a model's noise is: paths from noise to noise, and directions that change one thing.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@latent.callback()
def _group() -> None:
    pass


@latent.command(context_settings={"auto_envvar_prefix": "GEODESIC_LATENT_SLERP"})
def slerp(
    images: Annotated[
        list[str] | None,
        typer.Argument(help="Two images whose noises are joined. Default: random noises.", metavar="[A B]"),
    ] = None,
    prompt: Prompt = None,
    pairs: Annotated[int, option(help="Random pairs of noises, where no images are given.")] = SLERP["pairs"],
    method: Annotated[str, option(help=f"One of {', '.join(JOINS)}.")] = SLERP["method"],
    compare: Annotated[bool, option("--compare", help="Draw and measure both.")] = SLERP["compare"],
    frames: Annotated[int, option(help="Exact number of frames, the ends included.")] = SLERP["frames"],
    tau: Annotated[float, option(help="Noise level at which images are joined; 1 is pure noise.")] = SLERP["tau"],
    steps: Steps = SLERP["steps"],
    scheme: Scheme = SLERP["scheme"],
    guidance: Guidance = SLERP["guidance"],
    fit: Annotated[
        bool | None,
        option("--fit/--no-fit", help="Judge frames by the scene that explains them. Default: for clevr-mini."),
    ] = SLERP["fit"],
    lpips: Lpips = SLERP["lpips"],
    metric_weights: MetricWeights = SLERP["metric_weights"],
    size: Size = SLERP["size"],
    seed: Annotated[int, option(help="Of the noises.")] = SLERP["seed"],
    model: Model = SLERP["model"],
    revision: Revision = SLERP["revision"],
    variant: Variant = SLERP["variant"],
    lora: Lora = None,
    device: Device = SLERP["device"],
    dtype: Dtype = SLERP["dtype"],
    low_memory: LowMemory = SLERP["low_memory"],
    compile: Compile = SLERP["compile"],
    fps: Fps = SLERP["fps"],
    out: Out = SLERP["out"],
    overwrite: Overwrite = SLERP["overwrite"],
    as_json: AsJson = False,
    config: Annotated[Path | None, config_option(SlerpSettings)] = None,
) -> None:
    """Go from one noise to another and see how the images change.

    \b
    Examples:
      geodesic latent slerp
      geodesic latent slerp --pairs 8 --prompt "a red rubber cube" --guidance 2 --compare
      geodesic latent slerp a.png b.png --frames 17

    Writes sheet.png, video.gif, frames/, path.safetensors, metrics.json, config.toml, manifest.json and log.txt. Every
    option but --prompt can also be set by a variable such as GEODESIC_LATENT_SLERP_PAIRS.
    """
    settings = from_command_line(SlerpSettings, locals(), fit=SLERP["fit"] if fit is None else fit)
    from geodesic_cli.runs.folder import first_free, to_json
    from geodesic_cli.verbs.latent.slerp import run, stem

    result = watched(run, replace(settings, out=out or first_free(f"runs/{stem(settings)}")))
    metrics = result.metrics | {"folder": str(result.folder)}
    typer.echo(to_json(metrics).rstrip() if as_json else _paths_table(result))


@latent.command(context_settings={"auto_envvar_prefix": "GEODESIC_LATENT_DIRECTION"})
def direction(
    source: Annotated[str, typer.Argument(help="The label to start from: red, cube, left, ...", metavar="SOURCE")],
    target: Annotated[str, typer.Argument(help="The label to go to: blue, sphere, right, ...", metavar="TARGET")],
    labels: Annotated[
        str | None, option(help="A CSV with the columns image and label. Default: rendered scenes.", metavar="FILE")
    ] = DIRECTION["labels"],
    prompt: Annotated[str, option(help="What all images show; none lets the noise decide.")] = DIRECTION["prompt"],
    pairs: Annotated[int, option(help="Pairs of scenes to find the direction with.")] = DIRECTION["pairs"],
    held_out: Annotated[int, option(help="Other images to try it on.")] = DIRECTION["held_out"],
    strengths: Annotated[
        str, option(help="How far to go; 1 is from one label's mean to the other's.", metavar="A,B,...")
    ] = DIRECTION["strengths"],
    estimate: Annotated[
        str, option(help=f"One of {', '.join(ESTIMATES)}: difference of means, or a hyperplane's normal.")
    ] = DIRECTION["estimate"],
    tau: Annotated[float, option(help="Noise level of the arithmetic; 1 is pure noise.")] = DIRECTION["tau"],
    steps: Steps = DIRECTION["steps"],
    scheme: Scheme = DIRECTION["scheme"],
    guidance: Guidance = DIRECTION["guidance"],
    seed: Annotated[int, option(help="Of the scenes, the held-out images and the random directions.")] = DIRECTION[
        "seed"
    ],
    model: Model = DIRECTION["model"],
    revision: Revision = DIRECTION["revision"],
    variant: Variant = DIRECTION["variant"],
    lora: Lora = None,
    device: Device = DIRECTION["device"],
    dtype: Dtype = DIRECTION["dtype"],
    low_memory: LowMemory = DIRECTION["low_memory"],
    compile: Compile = DIRECTION["compile"],
    out: Out = DIRECTION["out"],
    resume: Resume = DIRECTION["resume"],
    overwrite: Overwrite = DIRECTION["overwrite"],
    as_json: AsJson = False,
    config: Annotated[Path | None, config_option(DirectionSettings, source="a", target="b")] = None,
) -> None:
    """Find the direction in noise from one label to another and try it on images it was not found with.

    Scenes have the labels of their colour, shape and material, and left, right, near, far, small, large.

    \b
    Examples:
      geodesic latent direction red blue
      geodesic latent direction left right --tau 0.6 --strengths 0,1,2
      geodesic latent direction young old --labels faces.csv --model path/to/ldm

    Writes sheet.png, direction.safetensors, metrics.json, config.toml, manifest.json and log.txt. Every option can also
    be set by a variable such as GEODESIC_LATENT_DIRECTION_TAU.
    """
    settings = from_command_line(DirectionSettings, locals())
    from geodesic_cli.runs.folder import first_free, to_json
    from geodesic_cli.verbs.latent.direction import run, stem

    folder = out or first_free(f"runs/{stem(settings)}")
    result = watched(run, replace(settings, out=folder), folder)
    metrics = result.metrics | {"folder": str(result.folder)}
    typer.echo(to_json(metrics).rstrip() if as_json else _direction_table(result))


def _paths_table(result: "LatentPaths") -> str:
    metrics = result.metrics
    fitted = any("fit_error_mean" in found for found in metrics["paths"].values())
    heads = (
        "",
        "path ppl",
        "deviation",
        "largest share",
        "relative length",
        *(["fit error", "worst"] if fitted else []),
    )
    names = ["path_ppl", "std", "largest_share", "relative_length"]
    names += ["fit_error_mean", "fit_error_worst"] if fitted else []
    rows = [
        (method, *(_with_spread(found["summary"][name]) for name in names))
        for method, found in metrics["paths"].items()
    ]
    return "\n".join(
        [
            *aligned(heads, rows, str.rjust),
            f"path ppl: sum of the distances of neighbouring frames, and their deviation; {metrics['perceptual']}",
            "largest share: largest distance over the mean one; relative length: of the path in clean latents, 1 is "
            "straight"
            + ("; fit error: of the scene that explains a frame best, 1 is an empty table" if fitted else ""),
            f"{metrics['evaluations']} network evaluations; {metrics['seconds']:.1f} s",
            result.status,
            f"{result.folder}/sheet.png, video.gif, frames/, metrics.json",
        ]
    )


def _with_spread(value: dict[str, float | None]) -> str:
    return f"{value['mean']:.3g}" + (f" +- {value['std']:.2g}" if value["std"] is not None else "")


def _direction_table(result: "LatentDirection") -> str:
    metrics = result.metrics
    judged = metrics["attribute"] is not None
    heads = ("", "strength", *(["flipped", "kept", "both", "fit error"] if judged else []), "distance")
    rows = [
        (
            name,
            f"{row['strength']:g}",
            *(
                [*(f"{row[key]:.0%}" for key in ("flipped", "kept", "both")), f"{row['fit_error']:.2f}"]
                if judged
                else []
            ),
            f"{row['distance']:.3f}",
        )
        for name, table in metrics["strengths"].items()
        for row in table
    ]
    split = metrics["separability"]
    told = f"the direction is {metrics['length']:.2f} of the noise's norm"
    if metrics["agreement"] is not None:
        told += f", and a pair's own difference has the cosine {metrics['agreement']:.2f} with it"
    if split is not None:
        told += f"; linear separability {split['ls']:.2f} (guessing {split['guessing']:.2f}, perfect 1)"
    before = f"; fit error before: {metrics['fit_error_before']:.2f}" if judged else ""
    return "\n".join(
        [
            *aligned(heads, rows, str.rjust),
            f"shares of {metrics['held_out']} held-out images; distance: {metrics['perceptual']}{before}"
            if judged
            else f"{metrics['held_out']} held-out images; distance: {metrics['perceptual']}",
            told,
            f"{metrics['evaluations']} network evaluations; {metrics['seconds']:.1f} s",
            result.status,
            f"{result.folder}/sheet.png, direction.safetensors, metrics.json",
        ]
    )
