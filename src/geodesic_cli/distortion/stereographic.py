"""The frames of the stereographic chart of a sphere.

The chart of the sphere of radius r about 0 looks from the pole r e_n; with x = (x', x_n) and z in R^{n-1},

    Pi(x) = x' / (r - x_n),      x' = 2 r z / (|z|² + 1),      x_n = r (|z|² - 1) / (|z|² + 1).

It is conformal: in these coordinates the metric of the sphere is G = 4 r² / (|z|² + 1)² I. (Hahm et al., ICML 2024,
print a G that belongs to this chart for r = 1 only.) The differential of the inverse chart is 2 r / (|z|² + 1) times
the first n - 1 columns of the reflection H = I - 2 u uᵀ, u ~ x / r - e_n, which exchanges x / r and e_n. They are an
orthonormal frame of the tangent space at x, the same at all points up to the curvature of the sphere: a metric on the
tangent space, written in this frame, can be averaged over points.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from geodesic_cli.geometry import linalg


def reflect(x: Float[Tensor, "n"], v: Float[Tensor, "m n"]) -> Float[Tensor, "m n"]:
    """H v for the reflection that exchanges x / |x| and e_n; v are rows."""
    u = linalg.unit(x[None])
    u = torch.cat([u[:, :-1], u[:, -1:] - 1], 1)
    u = linalg.unit(u)
    return v - 2 * linalg.dot(v, u) * u


def frame(x: Float[Tensor, "n"], coordinates: Float[Tensor, "m t"]) -> Float[Tensor, "m n"]:
    """Tangent vectors (m, n) at x (n,) from coordinates (m, n - 1) in the orthonormal frame of the chart."""
    return reflect(x, torch.nn.functional.pad(coordinates, (0, 1)))
