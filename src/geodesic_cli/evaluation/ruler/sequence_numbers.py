"""The numbers of one sequence of frames x_0 ... x_m.

With d a perceptual distance and d_k = d(x_k, x_{k+1}):

    path  Σ d_k           pdv_var  (1/m) Σ (d_k - mean)²          pdv_std  (Σ (d_k - mean)² / (m - 1))^½
    ppl_scaled  m Σ d_k = mean d_k / eps² at eps = 1/m            jump_mean  max d_k / mean d_k
    jump_ends  max d_k / d(x_0, x_m)                              ends  mean over k of min(d(x_0, x_k), d(x_k, x_m))
    triangle  max over k of (d(x_0, x_k) + d(x_k, x_m)) / d(x_0, x_m) - 1

Papers report the variance (DiffMorpher) or the standard deviation (Saito and Matsubara) as PDV, and the sum or the
scaled sum as PPL. From pixels alone, with values in [0, 1]:

    flicker  1 - mean |x_{k+1} - x_k|                  VBench's temporal flickering (CVPR 2024)
    smoothness_neighbours  1 - mean |x_k - (x_{k-1} + x_{k+1}) / 2| over odd k: the idea of VBench's motion smoothness,
                           with the mean of the neighbours in place of a network that interpolates
"""

import math

import torch
from torch import Tensor

from geodesic_cli.errors import InputError
from geodesic_cli.evaluation.path_length import pair_distances
from geodesic_cli.evaluation.perceptual import Distance
from geodesic_cli.evaluation.similarity import mse, psnr, ssim

SAME = 1.5 / 255
"""Largest difference of an end frame from its input that rounding to eight bits, twice, may make."""


def distance_numbers(frames: Tensor, distance: Distance, word: str) -> dict[str, float]:
    """The numbers of a sequence (m + 1, 3, h, w) that depend on a perceptual distance; `word` ends their keys.

    Raises:
        InputError: fewer than three frames: with two there is no path between the ends.
    """
    if frames.ndim != 4 or len(frames) < 3:
        raise InputError(f"A sequence needs three frames or more; got {tuple(frames.shape)}.", "Pass more frames.")
    steps = len(frames) - 1
    d = pair_distances(frames[:-1], frames[1:], distance)
    first = pair_distances(frames[:1].expand(steps, -1, -1, -1), frames[1:], distance)  # to x_1 ... x_m
    last = pair_distances(frames[:-1], frames[-1:].expand(steps, -1, -1, -1), distance)  # of x_0 ... x_(m-1)
    apart, mean = float(first[-1]), float(d.mean())
    near = torch.minimum(first[:-1], last[1:])
    found = {
        "path": float(d.sum()),
        "pdv_var": float(d.var(unbiased=False)),
        "pdv_std": float(d.std()) if steps > 1 else 0.0,
        "jump_mean": float(d.max()) / mean if mean > 0 else 1.0,
        "jump_ends": float(d.max()) / apart if apart > 0 else math.nan,
        "ends": float(near.mean()),
        "triangle": float((first[:-1] + last[1:]).max()) / apart - 1 if apart > 0 else math.nan,
    }
    found |= {"ppl_scaled": float(d.sum()) * steps} if word == "lpips" else {}
    return {f"{key}_{word}": value for key, value in found.items()}


def pixel_numbers(frames: Tensor) -> dict[str, float]:
    """What the pixels of a sequence (m + 1, 3, h, w) alone say."""
    x = frames.double()
    odd = x[1:-1:2]
    between = (x[0:-2:2] + x[2::2])[: len(odd)] / 2
    return {
        "flicker": 1 - float((x[1:] - x[:-1]).abs().mean()),
        "smoothness_neighbours": 1 - float((odd - between).abs().mean()),
    }


def ends_of(frames: Tensor, inputs: Tensor | None) -> str:
    """Whether the first and the last frame are the inputs (2, 3, h, w): `given`, `drawn`, or `not known`."""
    if inputs is None:
        return "not known"
    return "given" if float((frames[[0, -1]] - inputs).abs().max()) <= SAME else "drawn"


def input_numbers(frames: Tensor, inputs: Tensor, distances: dict[str, Distance]) -> dict[str, float]:
    """How far the first and the last frame are from the inputs (2, 3, h, w), the mean of both.

    PSNR has no mean where an end is its input to the bit; it is then left out.
    """
    ends = frames[[0, -1]].double()
    given = inputs.double()
    found = {"re_mse": float(mse(ends, given).mean()), "re_ssim": float(ssim(ends, given).mean())}
    quality = float(psnr(ends, given).mean())
    found |= {"re_psnr": quality} if math.isfinite(quality) else {}
    with torch.no_grad():
        return found | {f"re_{word}": float(d(ends.float(), given.float()).mean()) for word, d in distances.items()}
