"""Where `Surrogate` stands between its steps, and the model of the score that follows from it."""

import math
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from geodesic_cli.geometry import linalg
from geodesic_cli.geometry.curve import Curve
from geodesic_cli.geometry.kernel.on_model import OnModel
from geodesic_cli.geometry.kernel.path_sample import widened
from geodesic_cli.geometry.kernel.regression import KernelScore, fit_scores
from geodesic_cli.geometry.kernel.schemes import Nodes
from geodesic_cli.geometry.kernel.tuning import Tuning
from geodesic_cli.geometry.metric import DensityMetric
from geodesic_cli.geometry.seen import Seen
from geodesic_cli.geometry.space import Space

OUTSIDE = 1e-12
"""What a direction has outside a span counts from this share of its length on."""


@dataclass(frozen=True, eq=False)
class Surveyed:
    """Where `Surrogate` stands. Tensors are float64 on the CPU.

    Args:
        inside: the current path at equal steps of u, ends included, (n + 2, k), in the coordinates of the basis.
        basis: orthonormal rows (k, d) that span all that was seen; it only grows.
        seen: every score that was asked for, in the coordinates of the basis.
        varying: whether the density varies along the path.
        length: the model's length scale ℓ, once there is one.
        trust: the longest move to make next, as a fraction of the length.
        taken: the part of the last move that was made, 1 unless it was too long.
        moved: the largest move of a point, as a fraction of the length.
        unsolved: the largest |r| / length with which the last problem on the model was solved.
        unsolvable: how many steps running the problem on the model could not be solved.
        quiet: how many steps running the path has hardly moved.
        flips: how often a saddle was left.
        since: the step from which residuals say something of this path: that at which a saddle was left last, or, where
            the guess is near by (`Tuning.near_by`), the first one on whose model there was a geodesic.
        guess: where it began, as ``inside``; its length on the latest model is what the path may not be longer than.
        noisy: whether the score has noise; None until the model has supposed some and the score was asked.
    """

    inside: Float[Tensor, "points k"]
    basis: Float[Tensor, "k d"]
    seen: Seen
    varying: bool
    guess: Float[Tensor, "begun k"]
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

    def knowing(self, more: Seen, most: int) -> "Surveyed":
        """The same with further scores, in full dimension, at points in coordinates; the newest of all are kept."""
        basis = spanned(self.basis, more.scores)
        before = Seen(widened(self.seen.x, basis), self.seen.u, widened(self.seen.scores, basis))
        seen = before.and_also(Seen(widened(more.x, basis), more.u, more.scores @ basis.T)).last(most)
        inside, guess = widened(self.inside, basis), widened(self.guess, basis)
        return replace(self, basis=basis, seen=seen, inside=inside, guess=guess)

    def model(self, metric: DensityMetric, tuning: Tuning) -> tuple[KernelScore, OnModel]:
        """The model of the score in the coordinates of the basis, and its geodesics."""
        bound = tuning.noisy if self.noisy is False else math.inf
        model = fit_scores(self.seen, varying=self.varying, previous=self.length, most_nugget=bound)
        return model, OnModel(model, metric.alpha, metric.space, model.slope, tuning.exact)


def surveyed(x: Nodes, seen: Seen, varying: bool, trust: float) -> Surveyed:
    """Where it begins: with a guess x (n + 2, d) and the scores seen, in full dimension."""
    d = x.shape[1]
    basis = spanned(x.new_zeros(0, d), torch.cat([x, seen.x, seen.scores]))
    basis = torch.eye(d, dtype=x.dtype) if basis.shape[0] == d else basis
    inside = x @ basis.T
    return Surveyed(inside, basis, Seen(seen.x @ basis.T, seen.u, seen.scores @ basis.T), varying, inside, trust=trust)


def spanned(basis: Float[Tensor, "k d"], rows: Float[Tensor, "p d"]) -> Float[Tensor, "more d"]:
    """Orthonormal rows that span an orthonormal basis and further rows, too; the basis comes first, bit for bit.

    What a row has outside the basis counts from OUTSIDE times its length on.
    """
    sizes = linalg.norm(rows)
    left = rows[sizes[:, 0] > 0] / sizes[sizes[:, 0] > 0]
    if basis.shape[0] >= basis.shape[1] or not len(left):
        return basis
    for _ in range(2):  # after the first time rounding of what was taken away would pass for new directions
        left = left - (left @ basis.T) @ basis
    q, r = torch.linalg.qr(left.T)
    turn, values, _ = torch.linalg.svd(r)
    new = (q @ turn[:, values > OUTSIDE]).T
    new = torch.linalg.qr((new - (new @ basis.T) @ basis).T).Q.T
    return torch.cat([basis, new])


def on_space(space: Space, x: Tensor) -> Tensor:
    """Points in float64 on the CPU, on the space to all digits."""
    return space.project(x.detach().to("cpu", torch.float64))


def nodes_like(space: Space, x: Tensor, like: Curve) -> Curve:
    """Nodes in full dimension in the dtype and on the device of another curve, with its ends bit for bit."""
    return like.with_inner(space.project(x[1:-1].to(like.x.device, like.x.dtype)))
