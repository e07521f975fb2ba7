"""The surrogate-geodesic solver: a path solver for scores that are expensive.

    repeat   fit a kernel model to every score seen so far                            (`regression`)
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
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from geodesic_cli.errors import GeometryError
from geodesic_cli.geometry import linalg
from geodesic_cli.geometry.curve import Curve
from geodesic_cli.geometry.kernel.on_model import SOLVED, OnModel
from geodesic_cli.geometry.kernel.path_sample import PathSample, polygon_length, rms, true_scores, widened
from geodesic_cli.geometry.kernel.regression import KernelScore
from geodesic_cli.geometry.kernel.schemes import Scheme, gauss_legendre, numerov
from geodesic_cli.geometry.kernel.surveyed import Surveyed, nodes_like, on_space, surveyed
from geodesic_cli.geometry.kernel.tuning import Tuning
from geodesic_cli.geometry.metric import DensityMetric
from geodesic_cli.geometry.seen import Seen
from geodesic_cli.geometry.solution import Status, Step
from geodesic_cli.geometry.space import Space, across
from geodesic_cli.geometry.variation import UNSTABLE


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
        tuning: every number of the method.

    Raises:
        GeometryError: fewer points than stated here.
    """

    first: int = 5
    batch: int = 4
    confirm: int = 6
    nodes: int = 33
    seen: Seen | None = None
    minimum: bool = True
    tuning: Tuning = field(default_factory=Tuning)

    def __post_init__(self) -> None:
        if self.first < 2 or self.batch < 1 or self.confirm < 3 or self.nodes < 9:
            raise GeometryError(
                f"A surrogate needs at least 2 first points, 1 in each batch, 3 to confirm and 9 nodes, got "
                f"{self.first}, {self.batch}, {self.confirm} and {self.nodes}."
            )

    def init(self, metric: DensityMetric, guess: Curve) -> Step:
        """Evaluate the guess at its ends, once more at the first end as if it were the last, and between."""
        curve = guess.at_constant_speed(self.nodes)
        x, scheme = on_space(metric.space, curve.x), numerov(self.nodes - 2)
        # A guess that is no straight line means something: look at it more closely, and do not leap away from it.
        detour = max(1.0, polygon_length(x) / float(metric.space.distance(x[:1], x[-1:])))
        sample = PathSample(metric, scheme, x, gauss_legendre(min(math.ceil(self.first * detour), 4 * self.first)))
        points, u = torch.cat([x[[0, -1, 0]], sample.x]), torch.cat([torch.tensor([0.0, 1.0, 1.0]).to(x), sample.u])
        scores = true_scores(metric, guess, points, u)
        varying = bool((scores[2] - scores[0]).norm() > self.tuning.varies * scores[0].norm())
        rows = [0, 1, *range(2 if varying else 3, len(u))]
        seen = Seen(points[rows], u[rows], scores[rows])
        known = seen if self.seen is None else self.seen.on_cpu().and_also(seen)
        state = surveyed(x, known, varying, self.tuning.first_trust / detour)
        state = replace(state, since=1 if self.tuning.near_by else 0)
        if not bool(scores.isfinite().all()):
            return Step(0, curve, math.inf, math.nan, len(u), (math.inf,), state, Status.NON_FINITE)
        residual = sample.residual(scores[3:], rms(sample.pull(scores[3:])))
        log_length = state.model(metric, self.tuning)[1].log_length(scheme, state.inside)
        return Step(0, curve, residual, log_length, len(u), (residual,), state, compared=True)

    def cost(self, previous: Step) -> int:
        """One batch, and one score more until it is known whether there is noise."""
        return self.batch + (previous.state_of(Surveyed).noisy is None)

    def step(self, metric: DensityMetric, previous: Step) -> Step:
        """Fit a model to all scores seen, go towards its geodesic, and ask for the truth where the model is unsure."""
        now = previous.state_of(Surveyed)
        model, on_model = now.model(metric, self.tuning)
        scheme, inside = on_model.resolved(now.inside, self.tuning.rough)
        goal, unsolved = on_model.geodesic(scheme, inside)
        move = float(linalg.norm(goal - inside).max()) / polygon_length(inside)
        taken = min(1.0, now.trust / move) if move > 0 else 1.0
        inside = goal if taken == 1 else metric.space.project(inside + taken * (goal - inside))
        inside = torch.cat([now.inside[:1], inside[1:-1], now.inside[-1:]])

        asked_at = self._least_certain(metric.space, model, scheme, inside)
        sample = PathSample(metric, scheme, inside, asked_at, now.basis)
        scores = sample.scores(previous.curve)
        noisy, asked = self._noisy(sample, scores, model, previous) if now.noisy is None else (now.noisy, 0)
        index, calls = previous.index + 1, previous.score_calls + self.batch + asked
        if not bool(scores.isfinite().all()):
            residuals = (*previous.residuals, previous.residual)
            return replace(previous, index=index, score_calls=calls, residuals=residuals, status=Status.NON_FINITE)

        pull = rms(on_model.pull(scheme, inside)[:, None])
        known = now.knowing(Seen(sample.x, sample.u, scores), self.tuning.most_seen)
        modelled, told = widened(model(sample.x, sample.u), known.basis), known.seen.scores[-self.batch :]
        sample = sample.widened(known.basis)
        missed = rms(sample.pull(told - modelled))
        beyond_noise = math.sqrt(max(missed**2 - (metric.alpha * model.noise) ** 2, 0.0))
        resting = taken == 1 and move < self.tuning.quiet and unsolved <= SOLVED
        state = replace(
            known,
            inside=sample.path,
            length=model.length,
            trust=self._trust(now.trust, taken * move, beyond_noise, pull),
            taken=taken,
            moved=taken * move,
            unsolved=unsolved,
            unsolvable=now.unsolvable + 1 if unsolved > SOLVED else 0,
            quiet=now.quiet + 1 if resting else 0,
            noisy=noisy,
            since=index if self.tuning.near_by and unsolved > SOLVED else now.since,
        )
        residual = sample.residual(told, pull)
        residuals = (*previous.residuals, residual)
        status = self._status(residuals[state.since :], state, model.nugget)
        curve = nodes_like(metric.space, inside @ now.basis, previous.curve)
        return Step(index, curve, residual, on_model.log_length(scheme, inside), calls, residuals, state, status)

    def finish(self, metric: DensityMetric, step: Step, tol: float) -> Step:
        """Whether the path solves the problem on the model, untruncated, is confirmed by a second batch, and a minimum.

        Costs that batch.
        """
        now = step.state_of(Surveyed)
        if step.index > 0 and (now.taken < 1 or now.unsolved > SOLVED):
            return step
        model, on_model = now.model(metric, self.tuning)
        step = self._confirmed(metric, step, model, on_model)
        if step.status is not None or step.residual > tol:
            return step
        scheme, begun = numerov(now.inside.shape[0] - 2), numerov(now.guess.shape[0] - 2)
        lengths = on_model.log_length(scheme, now.inside), on_model.log_length(begun, now.guess)
        step = replace(step, log_length=lengths[0], begun=lengths[1])
        return self._lowest(step, on_model, now.inside) if self.minimum else replace(step, status=Status.CONVERGED)

    def _confirmed(self, metric: DensityMetric, step: Step, model: KernelScore, on_model: OnModel) -> Step:
        """The step with the residual over its own batch and a second one, where the path may be wrong unseen."""
        now = step.state_of(Surveyed)
        inside, scheme = now.inside, numerov(now.inside.shape[0] - 2)
        asked_at = self._most_doubtful(model, on_model, scheme, inside)
        sample = PathSample(metric, scheme, inside, asked_at, now.basis)
        scores = sample.scores(step.curve)
        step = replace(step, score_calls=step.score_calls + self.confirm)
        if not bool(scores.isfinite().all()):
            return replace(step, status=Status.NON_FINITE)
        known = now.knowing(Seen(sample.x, sample.u, scores), self.tuning.most_seen)
        told = known.seen.scores[-self.confirm :]
        second = sample.widened(known.basis).residual(told, rms(on_model.pull(scheme, inside)[:, None]))
        squares = self.batch * step.residual**2 + self.confirm * second**2
        residual = math.sqrt(squares / (self.batch + self.confirm))
        step = step.remeasured(step.curve, residual, step.log_length, step.score_calls)
        return replace(step, state=known)

    def _lowest(self, step: Step, on_model: OnModel, inside: Tensor) -> Step:
        """Converged if the path is a minimum; otherwise it is left, so often, along what shortens it.

        The path (n + 2, k) is in the model's coordinates; what was asked since may have added to the basis.
        """
        now = step.state_of(Surveyed)
        lowest, direction = on_model.steepest(inside)
        if lowest >= UNSTABLE:
            return replace(step, status=Status.CONVERGED)
        if now.flips >= self.tuning.flips:
            return replace(step, status=Status.SADDLE)
        length = polygon_length(inside)
        there = on_model.downhill(numerov(inside.shape[0] - 2), inside, direction, self.tuning.leap * length)
        if float(linalg.norm(there - inside).max()) < self.tuning.fell_back * length:
            return replace(step, status=Status.CONVERGED)
        there = widened(torch.cat([inside[:1], there[1:-1], inside[-1:]]), now.basis)
        return replace(
            step, state=replace(now, inside=there, trust=1.0, quiet=0, flips=now.flips + 1, since=step.index + 1)
        )

    def _trust(self, trust: float, moved: float, missed: float, pull: float) -> float:
        """The longest move to make next, by what the model missed of the pull."""
        if missed < self.tuning.good * pull:
            return trust if self.tuning.near_by and moved <= trust / 2 else min(2 * trust, 1.0)
        return max(trust / 2, self.tuning.least_trust) if missed > self.tuning.bad * pull else trust

    def _status(self, residuals: tuple[float, ...], state: Surveyed, nugget: float) -> Status | None:
        patience = self.tuning.patience
        if state.unsolvable >= self.tuning.unsolvable:
            return Status.STALLED
        if nugget > self.tuning.noisy and state.noisy is not False:
            return Status.SETTLED if state.quiet >= 2 else None
        if len(residuals) > patience and min(residuals[-patience:]) > self.tuning.fall * min(residuals[:-patience]):
            return Status.STALLED
        return None

    def _least_certain(self, space: Space, model: KernelScore, scheme: Scheme, inside: Tensor) -> Tensor:
        """The positions on a path (n + 2, k) to ask for next, (batch,)."""
        between = self._candidates()
        return between[model.least_certain(space.project(scheme.at(between) @ inside), between, self.batch)]

    def _most_doubtful(self, model: KernelScore, on_model: OnModel, scheme: Scheme, inside: Tensor) -> Tensor:
        """Where a residual can hide on a path (n + 2, k): the positions to look at.

        Two points are next to the ends, which need not be where the density is at home: a path may turn sharply there.
        Half of the others are where the pull of models that know the same scores differs most; the rest are far from
        what was seen, measured by how fast the score turns there.
        """
        u = torch.linspace(0, 1, self.tuning.fine * (scheme.n + 1) + 1, dtype=torch.float64)[1:-1]
        u = torch.cat([scheme.u[[1, -2]], u])
        points = on_model.space.project(scheme.at(u) @ inside)
        along = on_model.space.tangent(points, scheme.at(u, order=1) @ inside)
        pulls = [across(on_model.space, points, along, change) for change in model.doubted(points, u)]
        open_ = torch.stack([linalg.norm(pull).squeeze(-1) for pull in pulls]).amax(0)
        chosen = [0, 1]
        for _ in range(self.confirm // 2 - 1):
            open_[(u[:, None] - u[chosen]).abs().amin(1) < self.tuning.beside] = -1.0
            chosen.append(int(open_.argmax()))
        scores = on_model.score(points, u)
        change = linalg.norm(scores[3:] - scores[2:-1]).squeeze(-1)
        turns = torch.maximum(torch.cat([change[:1], change]), torch.cat([change, change[-1:]]))
        turns = torch.cat([turns[[0, -1]], turns]) + turns.mean()
        near = torch.cat([model.seen.x, points[chosen]])
        nearest = torch.cdist(points, near, compute_mode="donot_use_mm_for_euclid_dist").min(dim=1).values
        while len(chosen) < self.confirm:
            chosen.append(int((turns * nearest).argmax()))
            nearest = torch.minimum(nearest, linalg.norm(points - points[chosen[-1]]).squeeze(-1))
        return u[chosen].sort().values

    def _noisy(self, sample: PathSample, scores: Tensor, model: KernelScore, previous: Step) -> tuple[bool | None, int]:
        """Whether the noise that the model supposes is there: the score is asked again next to a point of a sample.

        A model of few scores takes a score that turns fast for a noisy one, and would come to rest with it.
        """
        if model.nugget <= self.tuning.noisy or not bool(scores.isfinite().all()):
            return None, 0
        u = sample.u[:1]
        beside = replace(sample, u=torch.where(u < 0.5, u + self.tuning.near, u - self.tuning.near))
        apart = float(linalg.norm(beside.scores(previous.curve) - scores[:1]))
        return not apart < self.tuning.differs * model.noise, 1

    def _candidates(self) -> Tensor:
        return torch.linspace(0, 1, self.tuning.candidates + 2, dtype=torch.float64)[1:-1]
