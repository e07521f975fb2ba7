"""What survives of images that are carried to noise and back, in numbers and in words; and whether noise is noise."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from torch import Tensor

from geodesic_cli.evaluation import Distance, Normality, normality, why_not_noise
from geodesic_cli.evaluation.likeness import likeness, summary
from geodesic_cli.frames.journey import Reconstruction
from geodesic_cli.runs.observer import Observer
from geodesic_cli.settings import InvertSettings

LOOKS_SAME, LOOKS_ALIKE = 40.0, 30.0
"""dB. From here on two pictures look the same, or nearly so."""
ALIKE_ABOVE = 100.0
"""dB. From here on pictures differ by the rounding of numbers alone, and the value says nothing."""
NOTICED_DECIBELS = 0.5
"""By less than this one model brings images back no better than another."""
CAN_DRAW = 20.0
"""dB. What comes back from the autoencoder worse than this is no picture that the model can draw."""


def warn_of_structure(
    x: Tensor, shape: tuple[int, int, int], names: Sequence[str], observer: Observer, whose: str = ""
) -> None:
    """Warn where points x (n, d) at noise level 1, of these images, are plainly no noise.

    Args:
        x: the points.
        shape: (C, H, W) of a point as a map.
        names: of the images; a single one is called by its name.
        observer: is warned.
        whose: the name of the model, where there are two.
    """
    why = [why_not_noise(found) for found in normality(x, shape)]
    bad = [index for index, words in enumerate(why) if words]
    if bad:
        the = f"{whose}: the" if whose else "The"
        count = f"{len(bad)} of {len(why)} images" if len(why) > 1 else names[0] if names else "the image"
        observer.warn(
            f"{the} noise of {count} is not like noise ({why[bad[0]]}): something of the image is left in it. It leads "
            "back to the image, but a path or a direction through such noise may leave what the model can draw."
        )


def survival(transport: float, autoencoder: float, settings: InvertSettings) -> str:
    """Whether images came back well, and what to do if they did not.

    Args:
        transport: dB between what was encoded and what came back.
        autoencoder: dB between the images and what the autoencoder alone makes of them.
        settings: of the run.
    """
    more = "Raise --steps" + (", or pass --guidance 1." if settings.guidance != 1 else ".")
    if transport >= LOOKS_SAME:
        told = "What came back looks the same as what was encoded."
    elif transport >= LOOKS_ALIKE:
        told = f"What came back differs a little from what was encoded. {more}"
    else:
        told = f"What came back is not what was encoded. {more}"
    if autoencoder < CAN_DRAW:
        told += " But the model's autoencoder cannot draw such a picture, even without noise: pass another --model."
    return told


def which_is_better(first: tuple[str, str, float], second: tuple[str, str, float]) -> str:
    """How well images came back from two models, and which of them brings them back better.

    Args:
        first: the name of a model, the sentence on what came back from it, and the likeness of that in dB.
        second: the same of the other one.
    """
    told = " ".join(f"{name}: {words}" for name, words, _ in (first, second))
    low, high = sorted((first, second), key=lambda one: one[2])
    if low[2] >= ALIKE_ABOVE or high[2] - low[2] < NOTICED_DECIBELS:
        return f"{told} Both bring images back equally well."
    return f"{told} {high[0]} brings images back better, by {high[2] - low[2]:.1f} dB."


def inversion_metrics(
    images: Tensor, made: Reconstruction, shape: tuple[int, int, int], distances: dict[str, Distance]
) -> dict[str, Any]:
    """All numbers of an inversion: likeness three ways, each image by itself and on average, and the noise.

    `autoencoder` compares images with what the autoencoder alone makes of them, `reconstruction` with what came back,
    and `transport` what came back with what the autoencoder alone makes.
    """
    pairs = {
        "autoencoder": (images, made.autoencoded),
        "reconstruction": (images, made.back),
        "transport": (made.autoencoded, made.back),
    }
    each = {name: likeness(a, b, distances) for name, (a, b) in pairs.items()}
    noise = normality(made.x, shape)
    fields = ("norm", "mean", "kurtosis", "neighbours")
    values = {name: [float(getattr(one, name)) for one in noise] for name in fields}
    return {
        **{name: summary(found) for name, found in each.items()},
        "latent_mse": summary({"latent_mse": made.latent_error.tolist()})["latent_mse"],
        "noise": summary(values) | {"chance": dict(zip(fields, noise[0].chance, strict=True))},
        "each": [_of_one(each, made, noise, index) for index in range(len(images))],
    }


def _of_one(
    each: dict[str, dict[str, list[float]]], made: Reconstruction, noise: list[Normality], index: int
) -> dict[str, Any]:
    return {
        **{name: {measure: values[index] for measure, values in table.items()} for name, table in each.items()},
        "latent_mse": float(made.latent_error[index]),
        "noise": {key: value for key, value in asdict(noise[index]).items() if key != "chance"},
    }
