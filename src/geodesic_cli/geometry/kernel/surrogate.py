"""The surrogate-geodesic solver: a path solver for scores that are expensive.

    repeat   fit a kernel model to every score seen so far                            (`kernel`)
             solve the boundary-value problem on the model, exactly and for nothing   (`on_model`)
             ask for the true score where the model is least certain on the new path

A step is a whole nonlinear solve with a Jacobian learnt from all scores ever seen, which is why it needs tens of
evaluations where descent needs thousands. The stopping test is the true residual of the geodesic equation at points
that the model had not seen, the ones it knew least about: kappa + alpha P_v P_x s with the true s and the curvature of
the path itself.

All paths and scores lie in the span of the ends, the guess and what was seen, so that the work on the model is done in
coordinates of that span, a few dozen, whatever the dimension of the space; in float64 on the CPU, where such small
matrices are fastest.

A move longer than the trusted one, which grows and shrinks with the model's errors, is taken in part. A noisy score is
met by the model's nugget; the noise that it estimates is subtracted from the error that steers the trust.
"""

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from geodesic_cli.errors import GeometryError
from geodesic_cli.geometry import linalg
from geodesic_cli.geometry.curve import Curve
from geodesic_cli.geometry.kernel.collocation import Scheme, gauss_legendre
from geodesic_cli.geometry.kernel.on_model import SOLVED, UNSTABLE, OnModel, finer, numerov, second_difference
from geodesic_cli.geometry.kernel.regression import KernelScore, Seen, fit, orthonormal
from geodesic_cli.geometry.metric import STRAIGHT, DensityMetric
from geodesic_cli.geometry.solution import Status, Step
from geodesic_cli.geometry.space import Space

CANDIDATES = 95
"""Inner points of the path among which the next evaluations are chosen."""

FIRST_TRUST, LEAST_TRUST = 0.3, 0.04
"""The longest move of a point, as a fraction of the length: at first and at least. At most it is 1."""

GOOD, BAD = 0.3, 0.7
"""Relative errors of the model below which the trust doubles and above which it is halved."""

VARIES = 1e-3
"""Relative change of the score at the first end from position 0 to 1, above which u is an input of the model."""

NOISY = 1e-3
"""A nugget above this is noise and not rounding."""

CERTAIN = 0.25
"""A residual below this fraction of the tolerance needs no second batch to confirm it."""

CONFIRMED = 0.85
"""A converged path has at most this fraction of the tolerance over both batches."""

ROUGH = 0.02
"""Roughness of the force above which the path gets twice as many points."""

QUIET = 0.003
"""A noisy path has come to rest when its points move by less than this fraction of the length, twice running."""

UNSOLVABLE = 6
"""There is no geodesic nearby where the problem on the model could not be solved so many steps running."""

PATIENCE = 12
"""Steps within which the least residual has to fall by the factor FALL, or the solver has stalled."""

FALL = 0.9

MOST_SEEN = 600
"""Scores that the model is fitted to: the newest."""

FLIPS = 2
"""How often a path that is not a minimum is left along its unstable direction."""

LEAP = 0.08
"""How far it is left, as a fraction of the length."""


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
    """

    x: Tensor
    seen: Seen
    varying: bool
    length: float | None = None
    trust: float = FIRST_TRUST
    taken: float = 1.0
    moved: float = 1.0
    unsolved: float = math.inf
    unsolvable: int = 0
    quiet: int = 0
    flips: int = 0


@dataclass(frozen=True, eq=False)
class Surrogate:
    """Kernel regression of the score, the geodesic of the model, true scores where it is least certain.

    Args:
        first: points of the guess that are evaluated to begin with, besides the ends, at least 2; more in proportion
            where the guess is longer than the straight line.
        batch: scores asked for in each step; fewer need fewer evaluations in all, more need fewer calls of the score.
        confirm: scores asked for where a converged path was least looked at.
        nodes: points of the path, ends included, at least; a path that bends much gets more.
        seen: scores known from elsewhere, for example from an earlier solve with another alpha.
        minimum: whether a path that is stationary but not a minimum of the length is left.

    Raises:
        GeometryError: fewer points than stated here.
    """

    first: int = 5
    batch: int = 4
    confirm: int = 6
    nodes: int = 33
    seen: Seen | None = None
    minimum: bool = True

    def __post_init__(self) -> None:
        if self.first < 2 or self.batch < 1 or self.confirm < 3 or self.nodes < 9:
            raise GeometryError(
                f"A surrogate needs at least 2 first points, 1 in each batch, 3 to confirm and 9 nodes, got "
                f"{self.first}, {self.batch}, {self.confirm} and {self.nodes}."
            )

    def init(self, metric: DensityMetric, guess: Curve) -> Step:
        """Evaluate the guess at its ends, once more at the first end as if it were the last, and between."""
        curve = guess.at_constant_speed(self.nodes)
        x = _on(metric.space, curve.x)
        scheme = numerov(self.nodes - 2)
        ends = torch.tensor([0.0, 1.0], dtype=torch.float64)
        # A guess that is no straight line means something: look at it more closely, and do not leap away from it.
        detour = max(1.0, _length(x) / float(metric.space.distance(x[:1], x[-1:])))
        u = gauss_legendre(min(math.ceil(self.first * detour), 4 * self.first))
        inner = metric.space.project(scheme.at(u) @ x)
        asked = torch.cat([x[[0, -1, 0]], inner]), torch.cat([ends, ends[1:], u])
        scores = _ask(metric, guess, *asked)
        calls = scores.shape[0]
        finite = bool(scores.isfinite().all())
        varying = bool((scores[2] - scores[0]).norm() > VARIES * scores[0].norm())
        rows = [0, 1, 2, *range(3, calls)] if varying else [0, 1, *range(3, calls)]
        seen = Seen(asked[0][rows], asked[1][rows], scores[rows])
        known = seen if self.seen is None else _on_cpu(self.seen).and_also(seen)
        state = Surveyed(x, known, varying, trust=FIRST_TRUST / detour)
        residual, log_length = math.inf, math.nan
        if finite:
            curvature, density = _terms(metric, scheme, x, u, scores[3:])
            residual = _relative(curvature + density, _rms(density), x)
            basis, _, on_model = self._model(metric, state)
            log_length = on_model.log_length(scheme, x @ basis)
        return Step(0, curve, residual, log_length, calls, (residual,), state, None if finite else Status.NON_FINITE)

    def cost(self, previous: Step) -> int:
        """One batch."""
        return self.batch

    def step(self, metric: DensityMetric, previous: Step) -> Step:
        """Fit, solve on the model, and evaluate a batch of points of the new path."""
        now = _state(previous)
        basis, model, on_model = self._model(metric, now)
        inside = now.x @ basis
        coarse = numerov(inside.shape[0] - 2)
        scheme = finer(coarse) if on_model.roughness(coarse, inside) > ROUGH else coarse
        if scheme.n > coarse.n:
            refined = metric.space.project(coarse.at(scheme.u[1:-1]) @ inside)
            inside = torch.cat([inside[:1], refined, inside[-1:]])
        goal, unsolved = on_model.solve(scheme, inside)
        if unsolved > SOLVED:
            rougher = second_difference(scheme.n)
            other, other_unsolved = on_model.solve(rougher, inside)
            if other_unsolved < min(unsolved, SOLVED):
                goal, unsolved = other, other_unsolved
        length = _length(inside)
        move = float(linalg.norm(goal - inside).max()) / length
        taken = min(1.0, now.trust / move) if move > 0 else 1.0
        inside = goal if taken == 1 else metric.space.project(inside + taken * (goal - inside))
        x = torch.cat([now.x[:1], _on(metric.space, inside[1:-1] @ basis.T), now.x[-1:]])
        u = self._least_certain(metric, model, scheme, inside, self.batch)
        pull = _rms(on_model.pull(scheme, inside)[:, None])
        looked, residual = _look(metric, previous.curve, scheme, x, u, pull)
        calls = previous.score_calls + self.batch
        if not bool(looked.scores.isfinite().all()):
            return replace(
                previous,
                index=previous.index + 1,
                score_calls=calls,
                residuals=(*previous.residuals, previous.residual),
                status=Status.NON_FINITE,
            )
        _, missed = _terms(metric, scheme, x, u, looked.scores - model(looked.x @ basis, u) @ basis.T)
        excess = math.sqrt(max(_rms(missed) ** 2 - (metric.alpha * model.noise) ** 2, 0.0))
        trust = now.trust
        if excess < GOOD * pull:
            trust = min(2 * trust, 1.0)
        elif excess > BAD * pull:
            trust = max(trust / 2, LEAST_TRUST)
        quiet = now.quiet + 1 if taken == 1 and move < QUIET and unsolved <= SOLVED else 0
        residuals = (*previous.residuals, residual)
        state = replace(
            now,
            x=x,
            seen=now.seen.and_also(looked).last(MOST_SEEN),
            length=model.length,
            trust=trust,
            taken=taken,
            moved=taken * move,
            unsolved=unsolved,
            unsolvable=now.unsolvable + 1 if unsolved > SOLVED else 0,
            quiet=quiet,
        )
        return Step(
            index=previous.index + 1,
            curve=_curve(metric.space, x, previous.curve),
            residual=residual,
            log_length=on_model.log_length(scheme, inside),
            score_calls=calls,
            residuals=residuals,
            state=state,
            status=_status(residuals, state, model.nugget),
        )

    def finish(self, metric: DensityMetric, step: Step, tol: float) -> Step:
        """Whether the path solves the problem on the model, untruncated, is confirmed by a second batch, and a minimum.

        Costs one batch, unless the residual is far below the tolerance.
        """
        now = _state(step)
        if step.index > 0 and (now.taken < 1 or now.unsolved > SOLVED):
            return step
        basis, _, on_model = self._model(metric, now)
        inside = now.x @ basis
        if step.residual > CERTAIN * tol:
            scheme = numerov(inside.shape[0] - 2)
            u = _least_visited(metric.space, scheme, now, self.confirm)
            looked, second = _look(metric, step.curve, scheme, now.x, u, _rms(on_model.pull(scheme, inside)[:, None]))
            step = replace(step, score_calls=step.score_calls + len(u))
            if not bool(looked.scores.isfinite().all()):
                return replace(step, status=Status.NON_FINITE)
            residual = math.sqrt(
                (self.batch * step.residual**2 + self.confirm * second**2) / (self.batch + self.confirm)
            )
            now = replace(now, seen=now.seen.and_also(looked).last(MOST_SEEN))
            step = replace(step, residual=residual, residuals=(*step.residuals[:-1], residual), state=now)
            if residual > CONFIRMED * tol:
                return step
        if not self.minimum:
            return replace(step, status=Status.CONVERGED)
        lowest, direction = on_model.steepest(inside)
        if lowest >= UNSTABLE:
            return replace(step, status=Status.CONVERGED)
        if now.flips >= FLIPS:
            return replace(step, status=Status.SADDLE)
        length = _length(inside)
        there = on_model.downhill(numerov(inside.shape[0] - 2), inside, direction, LEAP * length)
        if float(linalg.norm(there - inside).max()) < 0.02 * length:
            return replace(step, status=Status.CONVERGED)  # it falls back: a false alarm, or a very shallow saddle
        x = torch.cat([now.x[:1], _on(metric.space, there[1:-1] @ basis.T), now.x[-1:]])
        return replace(step, state=replace(now, x=x, trust=1.0, quiet=0, flips=now.flips + 1))

    def _least_certain(
        self, metric: DensityMetric, model: KernelScore, scheme: Scheme, inside: Tensor, count: int
    ) -> Tensor:
        """The positions on a path (n + 2, k) to ask for next, (count,)."""
        between = torch.linspace(0, 1, CANDIDATES + 2, dtype=torch.float64)[1:-1]
        candidates = metric.space.project(scheme.at(between) @ inside)
        return between[model.least_certain(candidates, between, count)]

    def _model(self, metric: DensityMetric, now: Surveyed) -> tuple[Tensor, KernelScore, OnModel]:
        """An orthonormal basis of the span (d, k), and in its coordinates the model and its geodesics."""
        seen = now.seen
        parts = torch.cat([seen.x, now.x]), seen.scores
        sizes = [float(linalg.norm(part).max()) for part in parts]
        basis = orthonormal(torch.cat([part / size for part, size in zip(parts, sizes, strict=True) if size > 0]))
        if basis.shape[1] == basis.shape[0]:
            basis = torch.eye(basis.shape[0], dtype=basis.dtype)
        inside = Seen(seen.x @ basis, seen.u, seen.scores @ basis)
        model = fit(inside, varying=now.varying, previous=now.length)
        return basis, model, OnModel(model, metric.alpha, metric.space, model.slope)


def _least_visited(space: Space, scheme: Scheme, now: Surveyed, count: int) -> Tensor:
    """The positions of the path farthest from all that was seen, (count,), whatever the model believes of itself.

    Two of them are next to the ends, which need not be where the density is at home: a path may turn sharply there.
    """
    beside = scheme.u[[1, -2]]
    u = torch.cat([beside, torch.linspace(0, 1, CANDIDATES + 2, dtype=torch.float64)[1:-1]])
    points = space.project(scheme.at(u) @ now.x)
    near = torch.cat([now.seen.x, points[:2]])
    nearest = torch.cdist(points, near, compute_mode="donot_use_mm_for_euclid_dist").min(dim=1).values
    chosen = [0, 1]
    while len(chosen) < count:
        chosen.append(int(nearest.argmax()))
        nearest = torch.minimum(nearest, linalg.norm(points - points[chosen[-1]]).squeeze(-1))
    return u[chosen].sort().values


def _state(step: Step) -> Surveyed:
    assert isinstance(step.state, Surveyed)
    return step.state


def _status(residuals: tuple[float, ...], state: Surveyed, nugget: float) -> Status | None:
    if state.unsolvable >= UNSOLVABLE:
        return Status.STALLED
    if nugget > NOISY:
        return Status.SETTLED if state.quiet >= 2 else None
    if len(residuals) > PATIENCE and min(residuals[-PATIENCE:]) > FALL * min(residuals[:-PATIENCE]):
        return Status.STALLED
    return None


def _on(space: Space, x: Tensor) -> Tensor:
    """Points in float64 on the CPU, on the space to all digits."""
    return space.project(x.detach().to("cpu", torch.float64))


def _on_cpu(seen: Seen) -> Seen:
    return Seen(*(part.detach().to("cpu", torch.float64) for part in (seen.x, seen.u, seen.scores)))


def _curve(space: Space, x: Tensor, like: Curve) -> Curve:
    """Nodes in the dtype and on the device of another curve, with its ends bit for bit."""
    inner = space.project(x[1:-1].to(like.x.device, like.x.dtype))
    return Curve(torch.cat([like.x[:1], inner, like.x[-1:]]), space)


def _ask(metric: DensityMetric, like: Curve, x: Tensor, u: Tensor) -> Tensor:
    """True scores, asked for in the dtype and on the device of a curve."""
    scores = metric.scores_at(x.to(like.x.device, like.x.dtype), u.to(like.x.device, like.x.dtype))
    return scores.detach().to("cpu", torch.float64)


def _look(metric: DensityMetric, like: Curve, scheme: Scheme, x: Tensor, u: Tensor, pull: float) -> tuple[Seen, float]:
    """True scores at positions u (m,) of the path, and its relative residual there; infinite where one is not finite.

    The residual is relative to `pull`, the rms of the density term along the path.
    """
    asked = metric.space.project(scheme.at(u) @ x)
    scores = _ask(metric, like, asked, u)
    if not bool(scores.isfinite().all()):
        return Seen(asked, u, scores), math.inf
    curvature, density = _terms(metric, scheme, x, u, scores)
    return Seen(asked, u, scores), _relative(curvature + density, pull, x)


def _terms(metric: DensityMetric, scheme: Scheme, x: Tensor, u: Tensor, scores: Tensor) -> tuple[Tensor, Tensor]:
    """The two terms of the geodesic equation at positions u (m,): kappa and alpha P_v P_x s, (m, d) both."""
    at = metric.space.project(scheme.at(u) @ x)
    v = metric.space.tangent(at, scheme.at(u, order=1) @ x)
    per_length = linalg.reciprocal(linalg.norm(v))
    turning = linalg.reject(metric.space.tangent(at, scheme.at(u, order=2) @ x), along=v)
    pull = linalg.reject(metric.space.tangent(at, scores), along=v)
    return turning * per_length * per_length, metric.alpha * pull


def _relative(vectors: Tensor, scale: float, x: Tensor) -> float:
    """As `Residual.relative`: rms of the vectors over that of the density term, or of a hardly bent path."""
    return _rms(vectors) / max(scale, STRAIGHT / _length(x))


def _rms(vectors: Tensor) -> float:
    return float((vectors * vectors).sum(-1).mean().sqrt())


def _length(x: Tensor) -> float:
    return float(linalg.norm(x[1:] - x[:-1]).sum())
