"""The published path solver, as the baseline: explicit descent of a few control points, from one to fifteen.

Source: "Probability Density Geodesics in Image Diffusion Latent Space", Yu et al., CVPR 2025; what the paper leaves
open follows the authors' public code, re-implemented from its description. The first variation of the length under
ds = p^(-alpha) |dx| (see `metric`) says that a point x with velocity v and acceleration a goes downhill along

    δ = P_v P_x s + P_v P_x a / (alpha |v|²),     x <- project(x + (rate / n) δ),

the sum of the score's pull and of the path's own curvature. Level L has the n = 2^L - 1 control points u = k / 2^L. The
rate falls linearly from `lr` to 0 over all iterations of all levels; level L ends after L times `iterations`
iterations, counted from the start, so that what one level leaves over goes to the next. There is one test: where the
mean norm of the pull is below that of the curvature, a level is left at once and without an update. It was meant for
stiffness, but at a geodesic the two norms are equal, so it also fires close to one.

A level begins on the path that the level before has left: its first update takes positions, velocities and
accelerations from that coarser path, and with this update its own points become the path's knots. On a sphere the path
is made of great circles, the velocity at a knot is the mean of both sides, and only the acceleration comes from a
natural cubic spline, a Euclidean one through the knots. In flat space all three come from that spline. The spline has
second derivatives M that vanish at both ends and between them satisfy

    M[i-1] + 4 M[i] + M[i+1] = 6 (x[i-1] - 2 x[i] + x[i+1]) / h².

The solver needs up to 100 (1 + 3 + 7 + 15) = 2600 evaluations, more where an early level leaves iterations to a later
one. Its low modes relax at a rate of about lr pi² / (alpha L² n) an iteration, which is why the levels matter.
"""

import math
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from geodesic_cli.errors import GeometryError
from geodesic_cli.geometry import linalg
from geodesic_cli.geometry.curve import Curve
from geodesic_cli.geometry.metric import DensityMetric
from geodesic_cli.geometry.solution import Status, Step
from geodesic_cli.geometry.solvers.minimum import Beside, shorter_nearby
from geodesic_cli.geometry.space import Euclidean, Rows, Space, across, kappa

LOOK_AGAIN = 0.5
"""A path that did not hold between its nodes is looked at again when its residual has fallen by this factor."""


@dataclass(frozen=True, eq=False)
class Descending:
    """Where `GradientFlow` stands: what it will evaluate next.

    Args:
        knots: the path after the update, (2^m + 1, d), ends included.
        level: the level to evaluate it at; one more than there are levels when all are used up.
        scores: at the nodes of the step's curve, ends included.
        looked: the residual when the path was last looked at between its nodes.
    """

    knots: Float[Tensor, "k d"]
    level: int
    scores: Float[Tensor, "nodes d"]
    looked: float = math.inf


@dataclass(frozen=True)
class GradientFlow:
    """Explicit descent on 1, 3, 7, 15, ... control points; see the module's text.

    Of the guess only the ends and the point half way matter. A step is one iteration, and its curve has the control
    points of its level and the ends as nodes; between them a `Curve` is smooth, which is kinder to the method than its
    own path of great circles with corners at the control points. The update of the very last iteration is not looked
    at, as no evaluation would follow it. The ends are evaluated once, for the length: two evaluations more than
    published.

    Args:
        lr: the rate of the first iteration, in units of x² (it multiplies a score). The published value is 0.1 on the
            authors' direction, which is sigma / 2 times a score: 0.1 sigma / 2 here (`densities.rate_of_paper`).
        iterations: of a level.
        levels: how many.
        skip: whether a level is left where the curvature outweighs the score.
        checked: whether a converged path is tested for a direction in which it shortens, and any other one compared
            with the guess. The published method does neither.

    Raises:
        GeometryError: a rate that is not positive and finite, or less than one iteration or level.
    """

    lr: float = 0.1
    iterations: int = 100
    levels: int = 4
    skip: bool = True
    checked: bool = True

    def __post_init__(self) -> None:
        if not 0 < self.lr < math.inf or self.iterations < 1 or self.levels < 1:
            raise GeometryError(
                f"GradientFlow needs a positive finite lr, and at least one iteration and one level, "
                f"got {self.lr}, {self.iterations} and {self.levels}."
            )

    @property
    def total(self) -> int:
        """Iterations of all levels together: as many steps are enough."""
        return self.iterations * self.levels

    @property
    def most_evaluations(self) -> int:
        """Scores that all iterations of all levels ask for where no level leaves any to the next, and the ends."""
        return 2 + self.iterations * sum(2**level - 1 for level in range(1, self.levels + 1))

    def init(self, metric: DensityMetric, guess: Curve) -> Step:
        """Evaluate the point half way along the guess, and the ends for the only time: 3 scores.

        Raises:
            GeometryError: alpha is 0; the published step divides by it.
        """
        if metric.alpha == 0:
            raise GeometryError(
                "GradientFlow needs alpha above 0, got 0: its step divides by alpha.",
                "Use another solver, or take the straight line, which is the answer.",
            )
        half = torch.full_like(guess.x[:1, 0], 0.5)
        curve = Curve(torch.cat([guess.x[:1], guess(half), guess.x[-1:]]), guess.space)
        scores = metric.scores_at(curve.x, curve.u)
        residual, log_length = _measure(metric, curve, scores)
        state = self._moved(metric, 0, 1, curve.x, curve, scores)
        status = None if math.isfinite(residual) else Status.NON_FINITE
        return Step(0, curve, residual, log_length, 3, (residual,), state, status, compared=self.checked)

    def cost(self, previous: Step) -> int:
        """The control points of the level that comes next; nothing when all levels are used up."""
        level = previous.state_of(Descending).level
        return 2**level - 1 if level <= self.levels else 0

    def step(self, metric: DensityMetric, previous: Step) -> Step:
        """One iteration: the update decided on by the last scores, and the scores of its result."""
        now, index = previous.state_of(Descending), previous.index + 1
        if now.level > self.levels:
            residuals = (*previous.residuals, previous.residual)
            return replace(previous, index=index, residuals=residuals, status=Status.MAX_STEPS)
        x, _, _ = along(now.knots, metric.space, 2**now.level)
        curve = Curve(x, metric.space)
        inner = metric.scores_at(curve.x[1:-1], curve.u[1:-1])
        scores = torch.cat([now.scores[:1], inner, now.scores[-1:]])
        calls = previous.score_calls + inner.shape[0]
        residual, log_length = _measure(metric, curve, scores)
        if not math.isfinite(residual):
            residuals = (*previous.residuals, previous.residual)
            return replace(previous, index=index, score_calls=calls, residuals=residuals, status=Status.NON_FINITE)
        state = replace(self._moved(metric, index, now.level, now.knots, curve, scores), looked=now.looked)
        return Step(index, curve, residual, log_length, calls, (*previous.residuals, residual), state)

    def finish(self, metric: DensityMetric, step: Step, tol: float) -> Step:
        """On the last level, look half way between the nodes, which costs a score each; before it, go on.

        A path that does not hold there goes on as well: this solver has no finer level to offer, but its points may
        still get better.
        """
        now = step.state_of(Descending)
        last = step.curve.x.shape[0] == 2**self.levels + 1
        if not last or step.residual > LOOK_AGAIN * now.looked:
            return step
        fine, scores = metric.refined(step.curve, now.scores)
        calls = step.score_calls + fine.x.shape[0] // 2
        residual, log_length = _measure(metric, fine, scores)
        if not residual <= 2 * tol:
            return replace(step, score_calls=calls, state=replace(now, looked=step.residual))
        beside = shorter_nearby(metric, fine) if self.checked else Beside(None, 0)
        status = Status.CONVERGED if beside.shorter is None else Status.SADDLE
        if not beside.finite:
            status = Status.NON_FINITE
        return replace(step.remeasured(fine, residual, log_length, calls + beside.asked), status=status)

    def _moved(
        self, metric: DensityMetric, index: int, level: int, knots: Tensor, curve: Curve, scores: Tensor
    ) -> Descending:
        """What follows from the scores at the nodes of a level: the updated path, or the next level without update."""
        _, v, a = along(knots, metric.space, curve.x.shape[0] - 1)
        pull, bow = descent(metric, curve.x[1:-1], v[1:-1], a[1:-1], scores[1:-1])
        if self.skip and bool(linalg.norm(pull).mean() < linalg.norm(bow).mean()):
            return Descending(knots, level + 1, scores)
        rate = self.lr * (1 - index / self.total) / pull.shape[0]
        inner = metric.space.project(curve.x[1:-1] + rate * (pull + bow))
        over = index + 1 >= level * self.iterations
        return Descending(torch.cat([knots[:1], inner, knots[-1:]]), level + 1 if over else level, scores)


def descent(metric: DensityMetric, x: Rows, v: Rows, a: Rows, scores: Rows) -> tuple[Rows, Rows]:
    """The two terms of the step, P_v P_x s and P_v P_x a / (alpha |v|²), at n points with velocities and accelerations.

    The terms are in nats per unit of x.
    """
    return across(metric.space, x, v, scores), kappa(metric.space, x, v, a) / metric.alpha


def along(
    knots: Float[Tensor, "k d"], space: Space, spans: int
) -> tuple[Float[Tensor, "m d"], Float[Tensor, "m d"], Float[Tensor, "m d"]]:
    """Positions, velocities and accelerations of the path through uniform knots, at uniform positions.

    Args:
        knots: (k, d).
        space: in flat space the path is the natural cubic spline, elsewhere it is made of straight pieces.
        spans: the results are at u = 0, 1/spans, ..., 1; a multiple of k - 1.

    Returns:
        x, dx/du and d²x/du², each (spans + 1, d); the knots are among the x bit for bit.
    """
    pieces = knots.shape[0] - 1
    parts = spans // pieces
    still = torch.zeros_like(knots[:1])
    second = 6 * pieces**2 * (knots[:-2] - 2 * knots[1:-1] + knots[2:])
    second = torch.cat([still, linalg.solve_tridiagonal(second, still[0], still[0], centre=4.0, side=1.0), still])
    w = torch.arange(parts + 1, dtype=knots.dtype, device=knots.device) / parts
    before, after = (torch.repeat_interleave(m, parts + 1, dim=0) for m in (second[:-1], second[1:]))
    w_all = w.repeat(pieces)[:, None]
    a = (1 - w_all) * before + w_all * after
    start, end = (torch.repeat_interleave(x, parts + 1, dim=0) for x in (knots[:-1], knots[1:]))
    if isinstance(space, Euclidean):
        bump = ((1 - w_all) - (1 - w_all) ** 3) * before + (w_all - w_all**3) * after
        x = start + w_all * (end - start) - bump / (6 * pieces**2)
        turn = (3 * (1 - w_all) ** 2 - 1) * before + (1 - 3 * w_all**2) * after
        v = pieces * (end - start) - turn / (6 * pieces)
    else:
        x = torch.cat([space.between(knots[i], knots[i + 1], w) for i in range(pieces)])
        # A chord seen from a point of its arc points along the arc.
        v = linalg.unit(space.tangent(x, end - start)) * (pieces * space.distance(start, end))[:, None]
    at_knots = torch.arange(pieces + 1, device=knots.device) * parts
    return _joined(x, pieces).index_copy(0, at_knots, knots), _joined(v, pieces), _joined(a, pieces)


def _joined(rows: Tensor, pieces: int) -> Tensor:
    """Rows of every piece with both of its ends, (pieces (parts + 1), d): the mean where two pieces meet."""
    blocks = rows.unflatten(0, (pieces, -1))
    meeting = (blocks[:-1, -1] + blocks[1:, 0]) / 2
    inner = torch.cat([meeting[:, None], blocks[1:, 1:-1]], dim=1).flatten(0, 1)
    return torch.cat([blocks[0, :-1], inner, blocks[-1:, -1]])


def _measure(metric: DensityMetric, curve: Curve, scores: Tensor) -> tuple[float, float]:
    """The relative residual, infinite where the scores are not finite, and the logarithm of the length."""
    residual = metric.residual(curve, scores).relative
    finite = math.isfinite(residual) and bool(scores.isfinite().all())
    return residual if finite else math.inf, float(metric.symmetric_log_length(curve, scores))
