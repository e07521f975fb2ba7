"""`geodesic invert`: options to settings, settings to the task, the result to the screen."""

from typing import TYPE_CHECKING, Any

from geodesic_cli.cli.command import AS_JSON, options_of
from geodesic_cli.cli.common import VERBOSE, Closing, of_each_model, ran
from geodesic_cli.runs.plain import aligned
from geodesic_cli.settings import InvertSettings, from_command_line

if TYPE_CHECKING:
    from geodesic_cli.verbs.latent.invert import Inversion


SAME, SAME_DECIBELS = 1e-10, 100.0
"""Mean squared error of pictures that differ by rounding alone, and the same in dB: no such number is shown."""


@options_of(InvertSettings, verbose=VERBOSE, as_json=AS_JSON)
def invert(options: dict[str, Any]) -> None:
    """Carry images to noise and back, and measure what survives.

    The reconstruction is compared with the image and with what the autoencoder alone makes of it, and the noise with
    what noise should be. Models without text (DDPM, LDM) work as well.

    \b
    Examples:
      geodesic invert a.png
      geodesic invert photos/*.png --prompt "a red cube" --steps 50
      geodesic invert a.png --scheme ddim --steps 50 --json
      geodesic invert face.png --model path/to/ddpm-celebahq-256
      geodesic invert a.png --against runs/finetune-clevr-mini

    Writes report.html, sheet.png, reconstructions/, noise.safetensors, metrics.json, config.toml, manifest.json and
    log.txt; what is of a second model begins with against-. Every option but --prompt can also be set by a variable
    such as GEODESIC_INVERT_STEPS.
    """
    settings = from_command_line(InvertSettings, options)
    ran("latent.invert", settings, options["as_json"], lambda result: _closing(result, options["verbose"]))


def _closing(result: "Inversion", verbose: bool) -> Closing:
    metrics = result.metrics
    count = len(metrics["images"])
    return Closing(
        made=f"{count} image{'s' if count > 1 else ''} carried to noise level {metrics['tau']:g} and back.",
        verdict=result.status,
        files="sheet.png (the comparison), reconstructions/ (what came back), noise.safetensors (the noise).",
        numbers=of_each_model(metrics, _numbers) if verbose or "against" in metrics else [],
    )


def _numbers(metrics: dict[str, Any]) -> list[str]:
    perceptual = "lpips" if "lpips" in metrics["transport"] else "pyramid"
    heads = ("", "mse", "psnr", "ssim", perceptual)
    units = ("", "low is good", "dB, high is good", "1 is best", "low is good")
    lossless = metrics["autoencoder"]["mse"]["mean"] < SAME  # pixels have no autoencoder: one comparison says it all
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
        if name == "reconstruction" or not lossless
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
    return [
        *aligned(heads, [units, *rows], str.rjust),
        f"{means}tau {metrics['tau']:g}, {metrics['steps']} steps of {metrics['scheme']}, "
        f"{metrics['evaluations']} network evaluations; {metrics['seconds']:.1f} s",
        *([f"noise, and what chance would make of N(0, 1): {told}"] if metrics["tau"] == 1 else []),
    ]


def _decibels(value: float) -> str:
    return f"{value:.2f}" if value < SAME_DECIBELS else "the same"
