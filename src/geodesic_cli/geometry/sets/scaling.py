"""Points whose Euclidean distances are as near to given ones as they can be: classical multidimensional scaling.

With D² the squared distances and J = I - 1/n the centring, B = -J D² J / 2 would be the Gram matrix of n centred
points; the points in k dimensions are its k leading eigenvectors times the roots of their eigenvalues. The sum of all
squared distances is n times the trace of B. Distances of a curved space also have negative eigenvalues, which no points
show.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from geodesic_cli.geometry import linalg


def classical_scaling(distances: Float[Tensor, "n n"], dimensions: int = 2) -> tuple[Float[Tensor, "n k"], float]:
    """Points (n, k) for finite symmetric distances, and the share of the squared distances that k dimensions hold.

    The share is that of the sizes of all eigenvalues; 1 where all distances are 0. Each axis is turned so that its
    entry of largest size is positive.
    """
    largest = float(distances.max())
    square = (distances.double() / (largest or 1.0)) ** 2
    centred = square - square.mean(0, keepdim=True)
    centred = -(centred - centred.mean(1, keepdim=True)) / 2
    values, vectors = torch.linalg.eigh((centred + centred.T) / 2)
    values, vectors = values.flip(0), vectors.flip(1)
    kept = min(dimensions, len(values))
    axes = vectors[:, :kept]
    signs = axes.gather(0, axes.abs().argmax(0, keepdim=True)).sign()
    points = axes * signs * values[:kept].clamp(min=0).sqrt() * largest
    points = torch.cat([points, points.new_zeros(len(points), dimensions - kept)], dim=1)
    held = values[:kept].clamp(min=0).sum() * linalg.reciprocal(values.abs().sum())
    return points, float(held) if bool(values.abs().sum() > 0) else 1.0
