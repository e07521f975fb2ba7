"""The two ends of the spectrum of a metric G = JᵀJ that is too large to be written down, with bounds of the error.

A block Krylov space Q = [V, G V, G² V, ...] of tangent directions at one point, orthonormal, with G Q known for each of
them; the eigenvalues of Q G Qᵀ are Ritz values (Rayleigh-Ritz; Golub & Van Loan, chapter 10). With the vector q of one
and r = |G q - value q|,

    the least eigenvalue of G is at most the least Ritz value, the largest at least the largest one, and an eigenvalue
    lies within r of each.

So the quotient of both is a lower bound of the whole condition number, which no vector of the space can contradict. It
is far sharper than the quotient in as many random directions, and rises with their number towards the whole one.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from geodesic_cli.distortion import stereographic
from geodesic_cli.distortion.derivatives import Encoder, default_step, pull_back, push, tangent
from geodesic_cli.errors import GeometryError

CARRIED = 8
"""Directions that are carried together."""


@dataclass(frozen=True)
class Extremes:
    """The ends of the spectrum of a metric at one point.

    Args:
        top: the largest Ritz value; the largest eigenvalue is at least this.
        top_error: an eigenvalue lies within this of it.
        bottom: the least Ritz value; the least eigenvalue is at most this.
        bottom_error: an eigenvalue lies within this of it.
        directions: of the space that was looked at.
    """

    top: float
    top_error: float
    bottom: float
    bottom_error: float
    directions: int

    @property
    def condition(self) -> float:
        """A lower bound of the condition number; infinite where the bottom is zero to rounding."""
        floor = self.top * self.directions * torch.finfo(torch.float64).eps
        return self.top / self.bottom if self.bottom > floor else float("inf")


def extremes(
    f: Encoder, x: Float[Tensor, "1 *point"], directions: int, generator: torch.Generator, at_once: int = 128
) -> Extremes:
    """Both ends of the spectrum of the metric of f on the sphere at x.

    Costs 3 evaluations of the encoder and a backward pass for each direction.

    Args:
        f: the encoder.
        x: one point.
        directions: of the Krylov space; at most the dimension of the sphere.
        generator: draws the first block.
        at_once: rows that go through the encoder together.

    Raises:
        GeometryError: fewer than two directions.
    """
    n = x[0].numel()
    if directions < 2:
        raise GeometryError(f"The ends of a spectrum need two directions; got {directions}.", "Ask for 64.")
    size = min(directions, n - 1)
    draw = torch.randn(min(CARRIED, size), n - 1, generator=generator, dtype=torch.float64)
    known = torch.empty(0, n - 1, dtype=x.dtype, device=x.device)
    images = known
    ahead = draw.to(x)
    while len(known) < size:
        block = _orthonormal(ahead, known)[: size - len(known)]
        if not len(block):  # the space is closed under G
            block = _orthonormal(torch.randn(draw.shape, generator=generator, dtype=torch.float64).to(x), known)
            block = block[: size - len(known)]
        carried = _metric_times(f, x, block, at_once)
        known, images = torch.cat([known, block]), torch.cat([images, carried])
        ahead = carried
    projected = known @ images.T
    values, turn = torch.linalg.eigh((projected + projected.T) / 2)
    ends = turn[:, [-1, 0]].T
    errors = (ends @ images - values[[-1, 0], None] * (ends @ known)).norm(dim=1)
    top, bottom = float(values[-1]), max(0.0, float(values[0]))
    return Extremes(top, float(errors[0]), bottom, float(errors[1]), len(known))


def _metric_times(f: Encoder, x: Tensor, rows: Tensor, at_once: int) -> Tensor:
    """G times coordinates (k, n - 1), in coordinates of the chart's frame."""
    found = []
    for part in rows.split(max(1, at_once // 2)):
        directions = stereographic.frame(x.flatten(), part).reshape(-1, *x.shape[1:])
        with torch.no_grad():
            pushed = push(f, x, directions, sphere=True, step=default_step(x.dtype))
        back = pull_back(f, x.repeat(len(part), *(1 for _ in x.shape[1:])), pushed)
        back = tangent(x.expand_as(back), back).flatten(1)
        found.append(stereographic.reflect(x.flatten(), back)[:, :-1])
    return torch.cat(found)


def _orthonormal(rows: Tensor, known: Tensor) -> Tensor:
    """Orthonormal rows that span what rows add to those that are known; twice, for rounding."""
    lengths = rows.norm(dim=1, keepdim=True)
    for _ in range(2):
        rows = rows - (rows @ known.T) @ known
        _, sizes, right = torch.linalg.svd(rows / lengths.clamp(min=1e-300), full_matrices=False)
        rows = right[sizes > 1e-10 * max(1.0, float(sizes[0]))]
        lengths = rows.new_ones(len(rows), 1)
        if not len(rows):
            break
    return rows
