"""Paths that compete for the shortest: how they are found from a first path, how long they are, what they cost.

Next to slerp the surrogate finds the geodesic. From the way-points of a graph `Relaxation` shortens a polygon: of all
the curves that it comes by, the shortest is kept, and it stops where it no longer gains. The residual says little in a
valley a hundred units long and a few wide, seen by 25 nodes; it still falls while the length rises again.

Lengths are by the trapezoid rule on all points and on every second one, extrapolated (Richardson): 33 points then tell
the logarithm of a length to 0.02.
"""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from geodesic_cli.diffusion import LatentDiffusion
from geodesic_cli.diffusion.score import guided_evaluations
from geodesic_cli.frames.keyframes import Ends
from geodesic_cli.geometry import (
    Curve,
    DensityMetric,
    Euclidean,
    Relaxation,
    Seen,
    Solution,
    Status,
    Step,
    Surrogate,
    Tuning,
    from_both_ends,
    linalg,
    solve_bvp,
)
from geodesic_cli.geometry.seen import Remembered
from geodesic_cli.geometry.solvers.relaxation import Relaxed
from geodesic_cli.geometry.variation import too_long_by

KNOWN = 0.05
"""To about this the logarithm of a length is known: solved with other nodes or to another residual, that of ten local
paths moved by 0.01 and that of seven global ones by 0.02 (medians), one in five by more than 0.07. As alpha times log p
has no unit, neither has this, and it holds in any dimension."""
SLERP_NODES = 17
"""Points of slerp that are looked at: where the local solver starts, and to say how long it is."""
LENGTH_POINTS = 33
"""Points at which the length of the local path is measured; of a refined one, its nodes and half way between."""
SETTLED = 0.03
"""A refinement that shortens the path by less, as a share, in WAIT steps running is done: the rest is not seen."""
WAIT = 3
FIRST = 2
"""Points of slerp that the surrogate asks for beside those it is given."""
FINISHING, FINE_NODES = 6, 65
"""Scores that the surrogate asks for in a step, and nodes of its path, where it solves a long path further."""
CAREFUL = Tuning(first_trust=0.06, least_trust=0.01, patience=24, near_by=True)
"""It begins near the geodesic, in a valley as narrow as a hundredth of its length: it must not leap out of it. With the
usual steps a third of the study's paths left the valley and did not come back."""
STIFF = 20.0
"""The first shift of the refinement: a polygon has corners, from which softer steps are taken back."""
SOFT = 0.25
"""Its first damping."""
FELL, APART = 1.875, 1.25
"""A path crosses an improbable region where log p falls by more than FELL sqrt(d) nats below its maxima on both sides,
and by more than APART times what the model's samples differ by. Noise alone spreads log p by sqrt(d / 2)."""


@dataclass(frozen=True, eq=False)
class Account:
    """What a search is about, and what it has cost so far.

    Args:
        ends: the two images.
        score: at the noise level; it counts what it is asked for.
        metric: the density metric of that score.
        guidance: classifier-free scale.
        doubtful: a fall of log p by so many nats leads through an improbable region.
        spent: network evaluations by what they were spent on.
    """

    model: LatentDiffusion
    ends: Ends
    score: Remembered
    metric: DensityMetric
    guidance: float
    doubtful: float
    spent: dict[str, int] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """All network evaluations so far."""
        return sum(self.spent.values())

    def charge(self, what: str, evaluations: int) -> None:
        """Put network evaluations down to something."""
        self.spent[what] = self.spent.get(what, 0) + evaluations

    @contextmanager
    def paying(self, what: str) -> Iterator[None]:
        """Whatever scores are asked for inside are charged to it."""
        before = self.score.calls
        yield
        self.charge(what, guided_evaluations(self.guidance) * (self.score.calls - before))


@dataclass(frozen=True, eq=False)
class Candidate:
    """A path and its measures.

    Args:
        curve: the path, in flat space.
        solution: how it was found.
        log_length: under the metric, weight 1 half way between the log densities of its ends (`from_both_ends`).
        log_density: relative to the first image at equal steps of u, nats, (m,).
        falls: so many nats below the maxima on both sides are an improbable region.
        too_long: by about how much the logarithm of its length may exceed that of the geodesic nearby.
    """

    curve: Curve
    solution: Solution | None
    log_length: float
    log_density: Tensor
    falls: float
    too_long: float = 0.0

    @property
    def doubtful(self) -> Tensor:
        """Where the path is improbable, at the same steps."""
        return doubtful_at(self.log_density, self.falls)

    @property
    def change(self) -> float:
        """log p at the second image less that at the first, nats: by a network's score, it depends on the path."""
        return float(self.log_density[-1])

    @property
    def rank(self) -> tuple[bool, float]:
        """What the shortest path has the least of; one without a length comes last."""
        return not math.isfinite(self.log_length), self.log_length


def known_to(found: Mapping[str, Candidate], alpha: float) -> float:
    """To how much the logarithms of the lengths of these paths can be compared.

    To what the measurement knows, and to half of what the two ends disagree by: alpha times the spread of the changes.
    """
    changes = [one.change for one in found.values() if math.isfinite(one.change)]
    return KNOWN + alpha * (max(changes) - min(changes)) / 2 if changes else KNOWN


def preferred(found: Mapping[str, Candidate], alpha: float) -> str:
    """The name of the shortest path; between two that are equally long to what is known, `global`, which saw more.

    Unless that one crosses an improbable region.
    """
    best = min(found, key=lambda name: found[name].rank)
    other = found.get("global")
    if other is None or not math.isfinite(other.log_length) or bool(other.doubtful.any()):
        return best
    return "global" if other.log_length < found[best].log_length + known_to(found, alpha) else best


def slerp_between(ends: Ends, nodes: int) -> Curve:
    """The great circle of the directions with the norm going geometrically, as points of flat space."""
    u = torch.linspace(0, 1, nodes, dtype=ends.x.dtype, device=ends.x.device)
    profile = ends.profile
    y = linalg.slerp(profile.radius * linalg.unit(ends.x[0]), profile.radius * linalg.unit(ends.x[1]), u)
    inner = profile.lift(y, u)[1:-1]
    return Curve(torch.cat([ends.x[:1], inner, ends.x[1:]]), Euclidean())


def polygon(points: Tensor, nodes: int) -> Curve:
    """Points at equal steps along the polygon through given ones. A spline would overshoot between uneven points."""
    pieces = linalg.norm(points[1:] - points[:-1])[:, 0]
    arc = torch.cat([torch.zeros_like(pieces[:1]), pieces.cumsum(0)])
    wanted = torch.linspace(0, 1, nodes, dtype=points.dtype, device=points.device) * arc[-1]
    after, part = linalg.bracket(arc, wanted)
    inner = torch.lerp(points[after - 1], points[after], part[:, None])[1:-1]
    return Curve(torch.cat([points[:1], inner, points[-1:]]), Euclidean())


def next_to(account: Account, slerp: Curve, seen: Seen, tol: float, max_steps: int) -> Candidate:
    """The local path from slerp, by the surrogate, which knows the scores on slerp already."""
    with account.paying("local"):
        solver = Surrogate(first=FIRST, seen=seen)
        solution = solve_bvp(account.metric, slerp, solver=solver, tol=tol, max_steps=max_steps)
    with account.paying("measure"):
        return replace(measured(account, solution.curve, LENGTH_POINTS), solution=solution)


def refined(account: Account, way_points: Tensor, nodes: int, tol: float, max_steps: int) -> Candidate:
    """The shortest path that relaxation of the way-points comes by, until WAIT steps running gain less than SETTLED."""
    guess = polygon(way_points, nodes)
    solver = Relaxation(damping=SOFT, shift=STIFF, between=False, continuation=False)
    with account.paying("refine"):
        step = solver.init(account.metric, guess)
        best, lengths = step, [_at(step).log_length]
        while step.status is None and step.index < max_steps and step.residual > tol and not _settled(lengths):
            step = solver.step(account.metric, step)
            best = min(best, step, key=lambda one: _at(one).log_length)
            lengths.append(_at(best).log_length)
    curve = _at(best).curve
    status = step.status or (Status.CONVERGED if step.residual <= tol else Status.SETTLED)
    if step.index >= max_steps:
        status = Status.MAX_STEPS
    solution = Solution(curve, status, _at(best).residual, step.index, step.score_calls)
    with account.paying("measure"):
        return replace(measured(account, curve, 2 * nodes - 1), solution=solution)


def finished(account: Account, path: Candidate, tol: float, most: int) -> Candidate:
    """A path that the refinement left, solved further by the surrogate, for at most so many evaluations.

    `Relaxation` goes far in a few steps and then creeps: at low noise its residual stays between 0.1 and 0.5. From its
    path, with the scores on it known, a kernel model of the score stays in the valley. The path itself is kept where
    the other one is no geodesic, and longer.
    """
    u = torch.linspace(0, 1, len(path.log_density), dtype=path.curve.x.dtype, device=path.curve.x.device)
    seen = account.score.seen(path.curve(u), u)
    solver = Surrogate(first=FIRST, batch=FINISHING, nodes=FINE_NODES, seen=seen, tuning=CAREFUL)
    calls = most // guided_evaluations(account.guidance)
    with account.paying("finish"):
        solution = solve_bvp(account.metric, path.curve, solver=solver, tol=tol, max_steps=calls, max_calls=calls)
    if not (solution.converged or solution.residual < (path.solution.residual if path.solution else math.inf)):
        return path
    with account.paying("measure"):
        better = replace(measured(account, solution.curve, LENGTH_POINTS), solution=solution)
    return better if solution.converged or better.rank < path.rank else path


def _at(step: Step) -> Relaxed:
    assert isinstance(step.state, Relaxed)
    return step.state


def _settled(lengths: list[float]) -> bool:
    """Whether the best log length has hardly fallen in the last WAIT steps, and the first steps were not in vain."""
    begun = lengths[-1] < lengths[0] - SETTLED or len(lengths) > 2 * WAIT + 1
    return begun and len(lengths) > WAIT and lengths[-1 - WAIT] - lengths[-1] < SETTLED


def dearest(account: Account, nodes: int, max_steps: int) -> int:
    """Evaluations of a refinement at most."""
    return guided_evaluations(account.guidance) * nodes * max_steps


def measured(account: Account, curve: Curve, points: int) -> Candidate:
    """The logarithm of the weighted length and log p at an odd number of equal steps of u."""
    u = torch.linspace(0, 1, points, dtype=curve.x.dtype, device=curve.x.device)
    fine = Curve(curve(u), curve.space)
    scores = account.metric.scores_at(fine.x, u)
    half = float(account.metric.log_length(Curve(fine.x[::2], curve.space), scores[::2]))
    whole = float(account.metric.log_length(fine, scores))
    log_density = account.metric.log_density(fine, scores)
    log_length = from_both_ends(whole + (whole - half) / 3, float(log_density[-1]), account.metric.alpha)
    too_long = too_long_by(account.metric, fine, scores)
    return Candidate(curve, None, log_length, log_density, account.doubtful, too_long)


def at_frames(doubtful: Tensor, u: Tensor) -> Tensor:
    """Of what was said at equal steps of u (m,), what holds for frames at positions u (k,), (k,)."""
    return doubtful[(u * (len(doubtful) - 1)).round().long().to(doubtful.device)]


def improbable(log_densities: Tensor, dimension: int) -> float:
    """The fall of log p, in nats, that counts as one into an improbable region, from log p of samples (n,)."""
    low, high = log_densities.quantile(log_densities.new_tensor([0.16, 0.84])).tolist()
    return max(FELL * math.sqrt(dimension), APART * (high - low) / 2)


def doubtful_at(log_density: Tensor, falls: float) -> Tensor:
    """Where log p (m,) lies more than so many nats below its maxima on both sides, (m,)."""
    before = log_density.cummax(0).values
    after = log_density.flip(0).cummax(0).values.flip(0)
    return torch.minimum(before, after) - log_density > falls
