"""Several measures at once: how alike pairs of images are by each of them, and the means of that."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from geodesic_cli.errors import GeodesicError
from geodesic_cli.evaluation.perceptual import Distance, Pyramid
from geodesic_cli.evaluation.pretrained import lpips
from geodesic_cli.evaluation.similarity import mse, psnr, ssim


def perceptual_distance(
    use_lpips: bool, weights: str | None, device: str, warn: Callable[[str], None] = lambda _: None
) -> tuple[str, Distance]:
    """LPIPS, or the substitute that needs no download; with the key of its numbers: `lpips` or `pyramid`.

    Args:
        use_lpips: whether LPIPS is asked for.
        weights: a folder with its weights.
        device: where to compute.
        warn: told where LPIPS cannot be had, so that the substitute is measured.

    Raises:
        ModelError: there are no weights in the folder that was given.
    """
    if use_lpips:
        try:
            return "lpips", lpips("alex", weights, device)
        except GeodesicError as error:
            if weights is not None:
                raise
            warn(f"LPIPS is left out, and the pyramid distance is measured in its place. {error}")
    return "pyramid", Pyramid()


def likeness(images: Tensor, others: Tensor, distances: Mapping[str, Distance] | None = None) -> dict[str, list[float]]:
    """MSE, PSNR and SSIM of each pair of images, and each perceptual distance by its name."""
    measures: dict[str, Distance] = {"mse": mse, "psnr": psnr, "ssim": ssim, **(distances or {})}
    return {name: measure(images, others).tolist() for name, measure in measures.items()}


def summary(values: Mapping[str, list[float]]) -> dict[str, dict[str, Any]]:
    """Mean and standard deviation (n - 1) of each list; the deviation of a single value is None."""
    found: dict[str, dict[str, Any]] = {}
    for name, numbers in values.items():
        some = torch.tensor(numbers, dtype=torch.float64)
        found[name] = {"mean": float(some.mean()), "std": float(some.std()) if len(some) > 1 else None}
    return found
