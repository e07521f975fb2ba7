"""`geodesic invert`: options to settings, settings to the task, the result to the screen."""

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
from geodesic_cli.settings import SCHEMES, InvertSettings, from_command_line

if TYPE_CHECKING:
    from geodesic_cli.verbs.latent.invert import Inversion

DEFAULT: dict[str, Any] = {field.name: field.default for field in fields(InvertSettings)}

Lpips = Annotated[
    bool, option("--lpips", help="Measure LPIPS, too. Needs pip install 'geodesic-cli[metrics]' and trained weights.")
]
MetricWeights = Annotated[
    str | None, option(help="Folder with the weights of LPIPS. Default: the cache of torch.", metavar="FOLDER")
]


def invert(
    images: Annotated[list[str], typer.Argument(help="Image files, of any sizes.", metavar="IMAGE...")],
    prompt: Prompt = None,
    tau: Annotated[float, option(help="Noise level to go to, 0 (clean) to 1 (noise).")] = DEFAULT["tau"],
    steps: Annotated[int, option(help="Network evaluations on the way up, and about as many down.")] = DEFAULT["steps"],
    scheme: Annotated[
        str, option(help=f"One of {', '.join(SCHEMES)}: ours, of second order, or uniform steps as published.")
    ] = DEFAULT["scheme"],
    guidance: Annotated[float, option(help="Classifier-free guidance, both ways; 1 is none.")] = DEFAULT["guidance"],
    amplify: Annotated[float, option(help="The sheet multiplies differences by this.")] = DEFAULT["amplify"],
    lpips: Lpips = DEFAULT["lpips"],
    metric_weights: MetricWeights = DEFAULT["metric_weights"],
    size: Size = DEFAULT["size"],
    model: Model = DEFAULT["model"],
    revision: Revision = DEFAULT["revision"],
    variant: Variant = DEFAULT["variant"],
    lora: Lora = None,
    device: Device = DEFAULT["device"],
    dtype: Dtype = DEFAULT["dtype"],
    low_memory: LowMemory = DEFAULT["low_memory"],
    compile: Compile = DEFAULT["compile"],
    out: Out = DEFAULT["out"],
    resume: Resume = DEFAULT["resume"],
    overwrite: Overwrite = DEFAULT["overwrite"],
    as_json: AsJson = False,
    config: Annotated[Path | None, config_option(InvertSettings, images=["a"])] = None,
) -> None:
    """Carry images to noise and back, and measure what survives.

    The reconstruction is compared with the image and with what the autoencoder alone makes of it, and the noise with
    what noise should be. Models without text (DDPM, LDM) work as well.

    \b
    Examples:
      geodesic invert a.png
      geodesic invert photos/*.png --prompt "a red cube" --steps 50
      geodesic invert a.png --scheme ddim --steps 50 --json
      geodesic invert face.png --model path/to/ddpm-celebahq-256

    Writes sheet.png, reconstructions/, noise.safetensors, metrics.json, config.toml, manifest.json and log.txt. Every
    option but --prompt can also be set by a variable such as GEODESIC_INVERT_STEPS.
    """
    settings = from_command_line(InvertSettings, locals())
    from geodesic_cli.runs.folder import first_free, to_json
    from geodesic_cli.verbs.latent.invert import run, stem

    folder = out or first_free(f"runs/{stem(settings)}")
    result = watched(run, replace(settings, out=folder), folder)
    typer.echo(to_json(result.metrics | {"folder": str(result.folder)}).rstrip() if as_json else _table(result))


def _table(result: "Inversion") -> str:
    metrics = result.metrics
    perceptual = "lpips" if "lpips" in metrics["transport"] else "pyramid"
    heads = ("", "mse", "psnr", "ssim", perceptual)
    rows = [
        (
            words,
            f"{metrics[name]['mse']['mean']:.2e}",
            _decibels(metrics[name]["psnr"]["mean"]),
            f"{metrics[name]['ssim']['mean']:.4f}",
            f"{metrics[name][perceptual]['mean']:.2e}",
        )
        for name, words in (
            ("autoencoder", "image - autoencoder"),
            ("transport", "autoencoder - inverted and back"),
            ("reconstruction", "image - inverted and back"),
        )
    ]
    noise = metrics["noise"]
    told = ", ".join(
        f"{words} {noise[name]['mean']:.3f} ({ideal} +- {noise['chance'][name]:.3f})"
        for name, words, ideal in (
            ("norm", "norm", 1),
            ("kurtosis", "kurtosis", 0),
            ("neighbours", "correlation of neighbours", 0),
        )
    )
    count = len(metrics["images"])
    means = f"means of {count} images; " if count > 1 else ""
    return "\n".join(
        [
            *aligned(heads, rows, str.rjust),
            f"{means}tau {metrics['tau']:g}, {metrics['steps']} steps of {metrics['scheme']}, "
            f"{metrics['evaluations']} network evaluations; {metrics['seconds']:.1f} s",
            *([f"noise, and what chance would make of N(0, 1): {told}"] if metrics["tau"] == 1 else []),
            result.status,
            f"{result.folder}/sheet.png, reconstructions/, noise.safetensors, metrics.json",
        ]
    )


def _decibels(value: float) -> str:
    return f"{value:.2f}" if value < 1000 else "inf"
