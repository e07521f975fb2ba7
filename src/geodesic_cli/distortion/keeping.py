"""The two things that an isometry, up to scale, keeps: lengths, all of them times one number, and angles."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from geodesic_cli.geometry import linalg


def length_error(metrics: Float[Tensor, "points k k"], generator: torch.Generator, directions: int = 256) -> float:
    """By what share of their mean lengths differ that were the same: 0 for an isometry up to scale.

    The standard deviation of |J v| over its mean, at each point over unit directions v that are uniform among all and
    the same for every metric (N, k, k); the mean over points. So a scale of its own at each point costs nothing.
    """
    v = linalg.unit(torch.randn(directions, metrics.shape[1], generator=generator, dtype=torch.float64)).to(metrics)
    lengths = torch.einsum("pk,nkl,pl->np", v, metrics, v).clamp(min=0).sqrt()
    return float((lengths.std(1) * linalg.reciprocal(lengths.mean(1))).mean())


def angle_error(metrics: Float[Tensor, "points k k"], generator: torch.Generator, pairs: int = 256) -> float:
    """By how many degrees angles change on average: 0 for an isometry up to scale.

    Pairs of directions are drawn with angles uniform between 0 and 180 degrees, in planes uniform among all; the same
    ones for every metric (N, k, k). Where all angles become right ones it is 45.
    """
    k = metrics.shape[1]
    a, b = torch.randn(2, pairs, k, generator=generator, dtype=torch.float64)
    a = linalg.unit(a)
    b = linalg.unit(b - linalg.dot(a, b) * a)
    angle = torch.rand(pairs, generator=generator, dtype=torch.float64) * math.pi
    ends = torch.stack([a, angle.cos()[:, None] * a + angle.sin()[:, None] * b]).to(metrics)
    first, second = torch.einsum("epk,nkl->enpl", ends, metrics)
    product = (first * ends[1]).sum(-1)
    lengths = ((first * ends[0]).sum(-1) * (second * ends[1]).sum(-1)).clamp(min=0).sqrt()
    # By the tangent of half of it, which keeps its digits near 0 and 180 degrees.
    after = 2 * torch.atan2((lengths - product).clamp(min=0).sqrt(), (lengths + product).clamp(min=0).sqrt())
    return float((after - angle.to(after)).abs().mean()) * 180 / math.pi
