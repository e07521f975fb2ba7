"""The mean of points under the metric ds = p^(-alpha) |dx|.

The weighted mean of points a_i (Fréchet, Karcher) is stationary for sum w_i d(m, a_i)², whose gradient at m is
-2 sum w_i log_m(a_i). All logarithms are taken at m, so the anchor moves along and no potentials are needed:

    m <- m + step g,   g = sum w_i log_m(a_i),   residual |g| / sqrt(sum w_i |log_m(a_i)|²).

The search begins on the links between the points (`starts`), because a mean in space need not be anywhere near the
density: the mean of twelve pictures is none. The geodesics from m are carried along as it moves, so that they stay in
their valley and cost little more than their confirmation. While the pull is strong they are found roughly. A residual r
leaves no more than about r² / 2 of the sum to be gained.

The step is 1, right in flat space, or as much shorter as the paths turn: at the fraction t of themselves they are off
their first directions by half of the way at most. It is halved whenever the residual does not fall. Across a narrow
valley all logarithms turn at once, so that a step that is right along it is far too long: such directions are learnt
from the points tried, by Anderson acceleration.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from geodesic_cli.errors import GeometryError
from geodesic_cli.geometry import linalg
from geodesic_cli.geometry.curve import Curve
from geodesic_cli.geometry.metric import DensityMetric
from geodesic_cli.geometry.seen import Seen
from geodesic_cli.geometry.sets.distances import DistanceMatrix, distance_matrix, require_points
from geodesic_cli.geometry.sets.links import Link, LinkSearch, Survey
from geodesic_cli.geometry.sets.starts import best_start, carried
from geodesic_cli.geometry.solution import Status

SMALLEST_STEP = 1e-2
"""The search for a mean has stalled when its step has been halved below this."""
REMEMBERED = 6
"""Points tried that the next step is made with."""
GUESS_NODES = 17
"""Of a guess that is a straight line."""
ROUGH, OF_PULL = 0.15, 0.4
"""The relative residual of paths while the mean is far: at most, and at most this part of the mean's own residual."""
ROUGH_STEPS = 1 / 3
"""The part of the steps of a path that is found roughly: what these do not reach, more seldom do."""
TURNED = 0.5
"""By how much of a step the paths may turn on the way."""


@dataclass(frozen=True, eq=False)
class MeanStep:
    """Where the search for a mean stands. The next step is a function of this and of the scores seen.

    Args:
        x: the best point so far, (d,).
        links: the geodesics from x to all points.
        gradient: sum w_i log_x(a_i), (d,).
        residual: |gradient| / sqrt(sum w_i |log_x(a_i)|²); infinite where a length overflows.
        length: the fraction of the next step to go, less than 1 after tries that failed.
        moves: how often the mean has moved.
        tries: how often a step was tried.
        score_calls: evaluations of the score at single points in all steps.
        seen: the scores that were asked for since the step before.
        tried: points and their gradients, newest last.
    """

    x: Float[Tensor, "d"]
    links: tuple[Link, ...]
    gradient: Float[Tensor, "d"]
    residual: float
    length: float
    moves: int
    tries: int
    score_calls: int
    seen: Seen
    tried: tuple[tuple[Tensor, Tensor], ...] = ()


@dataclass(frozen=True, eq=False)
class Mean:
    """The Fréchet mean of points.

    Args:
        x: the mean, (d,).
        status: CONVERGED; or what stopped the search at x, be it the search itself or a path to one of the points.
        residual: |sum w_i log_x(a_i)| / sqrt(sum w_i |log_x(a_i)|²); about 1 off the points, 0 at the mean.
        links: the geodesics from the mean to the points, each with weight 1 at the mean.
        steps: how often the mean has moved.
        score_calls: evaluations of the score at single points, those for a matrix that was needed included.
    """

    x: Float[Tensor, "d"]
    status: Status
    residual: float
    links: tuple[Link, ...]
    steps: int
    score_calls: int

    @property
    def log_distances(self) -> Float[Tensor, "n"]:
        """From the mean to the points with weight 1 at the mean, (n,)."""
        return self.x.new_tensor([link.log_distance for link in self.links])


def frechet_mean(
    metric: DensityMetric,
    points: Tensor,
    weights: Tensor | None = None,
    *,
    start: Tensor | None = None,
    tol: float = 1e-3,
    max_steps: int = 50,
    search: LinkSearch | None = None,
) -> Mean:
    """The point from which the sum of squared distances is stationary, the least near the start.

    Args:
        points: (n, d), n >= 1.
        weights: (n,), at least 0 and not all 0; equal unless given. They are divided by their sum.
        start: (d,), where to begin; unless given, the place on the links between the points that is nearest to all.
        tol: the residual of a mean; not much below what the search leaves of the directions.
        max_steps: evaluations of all n logarithms.
        search: how to look for the paths.

    Raises:
        GeometryError: points or weights that do not fit, or a start off the space.
    """
    require_points(points)
    shares, survey = shares_of(points, weights), Survey(metric, search)
    if start is None:
        matrix = distance_matrix(metric, points, survey=survey, near=True)
        begin = mean_from_links(survey, matrix, points, shares, tol)
    else:
        if not bool(metric.space.contains(start[None]).all()):
            raise GeometryError(f"The search for a mean must start in {metric.space}.", "Give a start there.")
        lines = [Curve.straight(start, point, GUESS_NODES, metric.space) for point in points]
        begin = _standing(survey, start, lines, shares, tol)
    return follow_mean(survey, begin, shares, tol=tol, max_steps=max_steps, spent=survey.known - len(begin.seen.x))


def shares_of(points: Tensor, weights: Tensor | None) -> Float[Tensor, "n 1"]:
    """The weights of points (n, d), equal unless given, divided by their sum.

    Raises:
        GeometryError: they do not fit, are negative, or are all 0.
    """
    weights = torch.ones_like(points[:, 0]) if weights is None else weights
    fit = weights.shape == points.shape[:1]
    if not fit or not bool((weights >= 0).all() & (weights.sum() > 0) & weights.isfinite().all()):
        raise GeometryError(
            f"A mean needs a weight for each of {points.shape[0]} points, at least 0 and not all 0, "
            f"got {weights.tolist()}."
        )
    return (weights / weights.sum())[:, None]


def mean_from_links(
    survey: Survey, matrix: DistanceMatrix, points: Tensor, shares: Float[Tensor, "n 1"], tol: float
) -> MeanStep:
    """The first step of a search: at the best place on the links. The arguments are those of `follow_mean`."""
    x, guesses = best_start(survey.metric, matrix, points, shares)
    return _standing(survey, x, guesses, shares, tol)


def follow_mean(
    survey: Survey,
    begin: MeanStep,
    shares: Float[Tensor, "n 1"],
    *,
    tol: float,
    max_steps: int,
    spent: int = 0,
    on_step: Callable[[MeanStep], None] | None = None,
) -> Mean:
    """Go on from a step to the mean. The rest of the arguments is as in `frechet_mean`.

    Args:
        survey: it knows the scores of all steps up to this one.
        begin: where to begin.
        shares: the weights, of sum 1.
        tol: the residual of a mean.
        max_steps: evaluations of all logarithms, those before this step included.
        spent: evaluations of the score before the first step.
        on_step: called with every new step; it only watches.
    """
    now = begin
    while True:
        status = _status(now, tol, max_steps)
        if status is not None:
            return Mean(now.x, status, now.residual, now.links, now.moves, spent + now.score_calls)
        now = _next(survey, now, shares, tol)
        if on_step is not None:
            on_step(now)


def _status(now: MeanStep, tol: float, max_steps: int) -> Status | None:
    failed = [link.status for link in now.links if link.status is not Status.CONVERGED]
    if not math.isfinite(now.residual):
        return next((status for status in failed if status is Status.NON_FINITE), Status.NON_FINITE)
    if now.residual <= tol:
        return failed[0] if failed else Status.CONVERGED
    if now.length < SMALLEST_STEP:
        return Status.STALLED
    return Status.MAX_STEPS if now.tries >= max_steps - 1 else None


def _next(survey: Survey, now: MeanStep, shares: Tensor, tol: float) -> MeanStep:
    """The step after: a move along the gradient where that lessens the residual, and half the length where not."""
    space, known = survey.metric.space, survey.known
    x = space.project((now.x + _way(now))[None])[0]
    there = _standing(survey, x, [carried(link.curve, x) for link in now.links], shares, tol, now.residual)
    seen = survey.since(known)
    better = there.residual < now.residual
    best, other = (there, now) if better else (now, there)
    return replace(
        best,
        length=min(1.0, 2 * now.length) if better else now.length / 2,
        moves=now.moves + better,
        tries=now.tries + 1,
        score_calls=now.score_calls + len(seen.x),
        seen=seen,
        tried=(*now.tried, (other.x, other.gradient))[-REMEMBERED:] if math.isfinite(other.residual) else now.tried,
    )


def _way(now: MeanStep) -> Tensor:
    """Where to go from here, (d,)."""
    share = _share(now)
    if not now.tried:
        return now.length * share * now.gradient
    moves = now.x - torch.stack([x for x, _ in now.tried])
    changes = now.gradient - torch.stack([gradient for _, gradient in now.tried])
    weights = linalg.least_left(now.gradient, changes, ridge=1e-6)
    return now.length * (share * (now.gradient - weights @ changes) - weights @ moves)


def _share(now: MeanStep) -> float:
    """How much of the gradient to go: 1, or as much less as the paths turn."""
    share = 1.0
    while share > SMALLEST_STEP:
        at = now.x.new_tensor([share])
        straight = torch.stack([share * link.curve.length * link.direction for link in now.links])
        turned = torch.stack([link.curve(at)[0] - now.x for link in now.links]) - straight
        if float(turned.norm()) <= TURNED * float(straight.norm()):
            break
        share /= 2
    return share


def _standing(
    survey: Survey, x: Tensor, guesses: list[Curve], shares: Tensor, tol: float, expected: float = 0.0
) -> MeanStep:
    """The logarithms of all points at x and their mean, as exactly as the residual there asks for.

    ``expected`` is about what that residual will be; 0 where it is not known.
    """
    known, need = survey.known, min(ROUGH, OF_PULL * expected)
    while True:
        search = survey.search
        if need > search.tol:
            search = replace(search, tol=need, max_steps=math.ceil(ROUGH_STEPS * search.max_steps))
        links = tuple(survey.link(guess, search) for guess in guesses)
        distances = x.new_tensor([link.log_distance for link in links]).exp()
        vectors = distances[:, None] * torch.stack([link.direction for link in links])
        gradient = (shares * vectors).sum(dim=0)
        spread = (shares * linalg.dot(vectors, vectors)).sum().sqrt()
        residual = float(linalg.norm(gradient) * linalg.reciprocal(spread)) if bool(spread.isfinite()) else math.inf
        need = 0.0 if residual <= tol else OF_PULL * residual
        if search.tol <= max(need, survey.search.tol):
            seen = survey.since(known)
            return MeanStep(x, links, gradient, residual, 1.0, 0, 0, len(seen.x), seen)
        guesses, need = [link.curve for link in links], need / 2  # so that it is right at the next try
