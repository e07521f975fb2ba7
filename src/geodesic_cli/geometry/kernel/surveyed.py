"""Where `Surrogate` stands between its steps, and the model of the score that follows from it."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from geodesic_cli.geometry import linalg
from geodesic_cli.geometry.curve import Curve
from geodesic_cli.geometry.kernel.on_model import OnModel
from geodesic_cli.geometry.kernel.regression import KernelScore, fit_scores, orthonormal
from geodesic_cli.geometry.kernel.schemes import Nodes
from geodesic_cli.geometry.kernel.tuning import Tuning
from geodesic_cli.geometry.metric import DensityMetric
from geodesic_cli.geometry.seen import Seen
from geodesic_cli.geometry.space import Space


@dataclass(frozen=True, eq=False)
class Surveyed:
    """Where `Surrogate` stands. Tensors are float64 on the CPU, in full dimension.

    Args:
        x: the current path at equal steps of u, ends included, (n + 2, d).
        seen: every score that was asked for.
        varying: whether the density varies along the path.
        length: the model's length scale ℓ, once there is one.
        trust: the longest move to make next, as a fraction of the length.
        taken: the part of the last move that was made, 1 unless it was too long.
        moved: the largest move of a point, as a fraction of the length.
        unsolved: the largest |r| / length with which the last problem on the model was solved.
        unsolvable: how many steps running the problem on the model could not be solved.
        quiet: how many steps running the path has hardly moved.
        flips: how often a saddle was left.
        since: the step at which a saddle was left last; residuals before it say nothing of this path.
        guess: where it began, as x; its length on the latest model is what the path may not be longer than.
        noisy: whether the score has noise; None until the model has supposed some and the score was asked.
    """

    x: Nodes
    seen: Seen
    varying: bool
    guess: Nodes
    length: float | None = None
    trust: float = 1.0
    taken: float = 1.0
    moved: float = 1.0
    unsolved: float = math.inf
    unsolvable: int = 0
    quiet: int = 0
    flips: int = 0
    since: int = 0
    noisy: bool | None = None


def fitted(metric: DensityMetric, now: Surveyed, tuning: Tuning) -> tuple[Tensor, KernelScore, OnModel]:
    """An orthonormal basis of the span (d, k), and in its coordinates the model and its geodesics."""
    seen = now.seen
    parts = torch.cat([seen.x, now.x]), seen.scores
    sizes = [float(linalg.norm(part).max()) for part in parts]
    basis = orthonormal(torch.cat([part / size for part, size in zip(parts, sizes, strict=True) if size > 0]))
    if basis.shape[1] == basis.shape[0]:
        basis = torch.eye(basis.shape[0], dtype=basis.dtype)
    bound = tuning.noisy if now.noisy is False else math.inf
    inside = Seen(seen.x @ basis, seen.u, seen.scores @ basis)
    model = fit_scores(inside, varying=now.varying, previous=now.length, most_nugget=bound)
    return basis, model, OnModel(model, metric.alpha, metric.space, model.slope, tuning.exact)


def on_space(space: Space, x: Tensor) -> Tensor:
    """Points in float64 on the CPU, on the space to all digits."""
    return space.project(x.detach().to("cpu", torch.float64))


def nodes_like(space: Space, x: Tensor, like: Curve) -> Curve:
    """Nodes in the dtype and on the device of another curve, with its ends bit for bit."""
    return like.with_inner(space.project(x[1:-1].to(like.x.device, like.x.dtype)))
