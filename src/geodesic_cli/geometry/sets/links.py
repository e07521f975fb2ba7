"""Geodesics among several points that share their scores: what one path has asked for, the next one knows.

Each is found by `Surrogate`, which begins with all scores ever seen nearby, so that the second path through a region
costs the few evaluations that confirm it. A link starts from the shorter of two guesses, and from both where neither is
far longer: the straight line, and the chain of links over other points. Where the points lie in a valley of the metric,
such as images of one moving object, the chain is in it and the straight line is not.

What is found is measured with true scores at nodes of its own, whatever the model thinks of it. Of the logarithm of the
length it is told how far it may be off, as the root of the sum of two squares:

    the quadrature    a third of the change when every second node is left out
    the residual      (r Be)² / 2 pi²: a string of bending number Be that misses the fraction r of its pull lies about
                      r Be / pi² of its length off, and is longer by half of that squared, times pi²
"""

import math
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from geodesic_cli.errors import GeometryError
from geodesic_cli.geometry import linalg
from geodesic_cli.geometry.curve import Curve
from geodesic_cli.geometry.density import Score
from geodesic_cli.geometry.kernel.surrogate import Surrogate
from geodesic_cli.geometry.kernel.tuning import Tuning
from geodesic_cli.geometry.metric import DensityMetric, accumulate
from geodesic_cli.geometry.perturbation import perturb
from geodesic_cli.geometry.seen import Remembered, Seen
from geodesic_cli.geometry.sets.maps import segment_integrals
from geodesic_cli.geometry.solution import Status
from geodesic_cli.geometry.solvers.bvp import solve_bvp
from geodesic_cli.geometry.space import Positions, Rows

FIRST_ASKED = 3
"""Points of a guess that are asked for; the others are known, or are not worth asking for."""
MOST_LINK_NODES = 65
"""At which a path is measured, and which its solver has."""
STRAIGHT, BUMP_OF_LINK = 1.001, 0.01
"""A guess that is longer than the straight line by a smaller factor gets a bump, a fraction of its length high: on an
axis of symmetry all scores lie along it, and nothing would tell that the path is a saddle."""
EXACT = 1e-5
"""How exactly a path solves the problem on the model, which is itself only right to `LinkSearch.tol`."""
BATCH, MOST_WIDE = 4, 2
"""Scores asked for in each step, times the detour of the guess up to this factor, as is the memory: a long path has
more places that the model may not know, and each step on the model costs more than the scores that it asks for."""
LOOKED_AT = 9
"""Nodes at which a straight line is measured, to see whether it is worth starting from."""


@dataclass(frozen=True)
class LinkSearch:
    """How the geodesics among several points are looked for.

    Args:
        tol: the relative residual of a geodesic. The length errs by its square.
        max_steps: for each path, of 4 evaluations, or of 8 where its guess is a long way round.
        nodes: at which a path is measured, odd, at least 9; one that is longer than the straight line gets more.
        memory: scores that the model of a path knows at first, the nearest ones; twice as many for a long way round.
        factor: a guess that is longer than another by more is not started from.
    """

    tol: float = 0.03
    max_steps: int = 25
    nodes: int = 17
    memory: int = 128
    factor: float = 2.0

    def __post_init__(self) -> None:
        if self.nodes < 9 or self.nodes % 2 == 0:
            raise GeometryError(f"A path is measured at an odd number of nodes, at least 9; got {self.nodes}.")


@dataclass(frozen=True, eq=False)
class Link:
    """A geodesic between two of several points, and what it measures with weight 1 at its first end.

    Args:
        curve: the path, its nodes at equal arc length.
        status: how its solver ended.
        residual: the relative residual it was left with.
        log_distance: the logarithm of its length; -inf for equal points, nan where its scores are not finite.
        log_density: log p at the last end less log p at the first, in nats, by the integral of the score.
        spread: how far log_distance may be off; see the module's text.
        seen: the scores that were asked for to find it; None where it was not noted.
    """

    curve: Curve
    status: Status
    residual: float
    log_distance: float
    log_density: float
    spread: float
    seen: Seen | None = None

    @property
    def direction(self) -> Float[Tensor, "d"]:
        """The unit vector with which it leaves its first end; 0 for equal points."""
        return linalg.unit(self.curve.velocity(order=4)[:1])[0]

    def rank(self) -> tuple[bool, float]:
        """The shortest has the least; one without a length comes last."""
        return math.isnan(self.log_distance), self.log_distance


class Survey:
    """A metric with a memory: all scores that were asked for, in their order.

    The memory is its only state. What a link costs and which bits it has depend on the links before it; with their
    scores learnt again (`learn`) it is the same link.
    """

    def __init__(self, metric: DensityMetric, search: LinkSearch | None = None) -> None:
        self.search = search or LinkSearch()
        self._asked: list[Seen] = []
        self._score = Remembered(_Noted(metric.score, self._asked), varying=False)
        self.metric = replace(metric, score=self._score)

    @property
    def known(self) -> int:
        """How many scores it knows."""
        return sum(len(seen.x) for seen in self._asked)

    def since(self, known: int) -> Seen:
        """The scores that were asked for after it knew so many."""
        if self.known == known:
            return Seen(torch.zeros(0, 0), torch.zeros(0), torch.zeros(0, 0))
        return self._everything().last(self.known - known)

    def learn(self, seen: Seen, like: Tensor) -> None:
        """Take over scores of an earlier session, for points of this dtype on this device."""
        if len(seen.x):
            x, u, scores = (part.to(like.device, like.dtype) for part in (seen.x, seen.u, seen.scores))
            self._score.learn(x, u, scores)
            self._asked.append(seen)

    def take_alpha(self, alpha: float) -> None:
        """Measure with another density exponent from now on; what is known of the score stays."""
        self.metric = replace(self.metric, alpha=alpha)

    def straight(self, a: Tensor, b: Tensor) -> Link:
        """The straight line as a link, measured roughly; nan where that cannot be done."""
        curve = Curve.straight(a, b, LOOKED_AT, self.metric.space)
        if torch.equal(a, b):
            return Link(curve, Status.CONVERGED, 0.0, -math.inf, 0.0, 0.0)
        log_density = self.metric.log_density(curve)
        log_distance = float(self.metric.log_length(curve))
        return Link(curve, Status.MAX_STEPS, math.inf, log_distance, float(log_density[-1]), math.inf)

    def link(self, guess: Curve, search: LinkSearch | None = None) -> Link:
        """The geodesic near a guess, looked for as ``search`` says or the survey's own; equal ends cost nothing."""
        search = search or self.search
        a, b = guess.x[0], guess.x[-1]
        if torch.equal(a, b):
            return Link(guess, Status.CONVERGED, 0.0, -math.inf, 0.0, 0.0)
        detour = max(1.0, float(guess.length / self.metric.space.distance(a[None], b[None])))
        if detour < STRAIGHT:
            guess = perturb(guess, BUMP_OF_LINK, torch.Generator().manual_seed(0))
        many = min(MOST_LINK_NODES, 16 * math.ceil(2 * detour) + 1)
        wide = min(MOST_WIDE, math.floor(detour))
        seen = self._nearest(guess, wide * search.memory)
        solver = Surrogate(first=FIRST_ASKED, batch=BATCH * wide, nodes=many, seen=seen, tuning=Tuning(exact=EXACT))
        found = solve_bvp(self.metric, guess, solver=solver, tol=search.tol, max_steps=search.max_steps)
        curve = found.curve.at_constant_speed(min(MOST_LINK_NODES, (search.nodes - 1) * math.ceil(detour) + 1))
        scores = self.metric.scores_at(curve.x, curve.u)
        log_distance, log_density = _length(self.metric, curve, scores)
        rough, _ = _length(self.metric, Curve(curve.x[::2], curve.space), scores[::2])
        pull = linalg.norm(self.metric.residual(curve, scores, order=4).density)
        missed = found.residual * float(curve.length * pull.median())
        spread = math.hypot((log_distance - rough) / 3, missed**2 / (2 * math.pi**2))
        status = found.status if math.isfinite(log_distance) else Status.NON_FINITE
        return Link(curve, status, found.residual, log_distance, log_density, spread)

    def _everything(self) -> Seen:
        while len(self._asked) > 1:
            self._asked[:2] = [self._asked[0].and_also(self._asked[1])]
        return self._asked[0]

    def _nearest(self, guess: Curve, memory: int) -> Seen | None:
        """The scores nearest to a guess and no farther than it is long, in the order in which they were asked for.

        Without those at its own ends, which the solver asks for itself.
        """
        if not self._asked:
            return None
        seen, nodes = self._everything(), guess.x.detach().to("cpu", torch.float64)
        out = (seen.x == nodes[0]).all(1) | (seen.x == nodes[-1]).all(1) | ~seen.scores.isfinite().all(1)
        away = torch.cdist(seen.x, nodes, compute_mode="donot_use_mm_for_euclid_dist").min(dim=1).values
        out |= away > float(guess.length)
        rows = torch.where(out, math.inf, away).argsort(stable=True)[:memory].sort().values
        rows = rows[~out[rows]]
        return Seen(seen.x[rows], seen.u[rows], seen.scores[rows]) if len(rows) else None


@dataclass(frozen=True, eq=False)
class _Noted:
    """A score that notes what it is asked for."""

    score: Score
    asked: list[Seen]

    def __call__(self, x: Rows, u: Positions) -> Rows:
        scores = self.score(x, u)
        self.asked.append(Seen(x, u, scores).on_cpu())
        return scores


def _length(metric: DensityMetric, curve: Curve, scores: Tensor) -> tuple[float, float]:
    """The logarithm of the length and the change of log p, of fourth order."""
    velocity = curve.velocity(order=4)
    slopes = linalg.dot(curve.space.tangent(curve.x, scores), velocity).squeeze(-1)
    log_density = accumulate(segment_integrals(slopes))
    log_speed = linalg.norm(velocity).squeeze(-1).log() - metric.alpha * log_density
    top = log_speed.max()
    return float(top + segment_integrals((log_speed - top).exp()).sum().log()), float(log_density[-1])
