"""Path solvers: from a curve between fixed ends to a better one.

`SemiImplicit` treats the geodesic equation g'' = f, f = -alpha |g'|² P_v P_x s + centripetal, as a string that is
pulled by a frozen force. With the second difference D2 and the defect of the current nodes in the strong form,

    F = P_v P_x (D2 x - f),     (D2 - c) δ = -F,  δ = 0 at the ends,     x <- project(x + damping P_x δ),

after which the nodes are put back at equal arc length. In flat space with c = 0 this is: solve D2 y = f with the ends
fixed and move the fraction `damping` of the way from x to y. The inverse of D2 makes the step independent of the
number of nodes. On a sphere the defect has to be projected before D2 is inverted: P_x (D2^-1 f - x) = 0 has spurious
solutions, because a radial error does not stay radial under D2. (The projection also removes the centripetal term.)
The defect along the curve is left out: it only moves nodes along the path, which re-spacing does exactly.

The shift c stands for what D2 leaves out of the derivative of F: the stiffness alpha L² (-grad s) of a concave log
density, without which a step overshoots once that exceeds pi², and -(L/R)² on a sphere. It costs nothing: it is the
least-squares fit of dF = (D2 - c) dx to the last two curves.

Directions in which the force is neither stiff nor isotropic are learnt from the last steps that were kept, by Anderson
acceleration: with the differences dx_i and dF_i to the current curve, the combination that leaves least of F is taken,

    γ = argmin |δ - sum γ_i dδ_i|,  (D2 - c) dδ_i = -dF_i,     δ <- δ - sum γ_i (dx_i + dδ_i).

A step is kept if it shortens the path under the metric, or if it lowers the residual without lengthening the path.
Otherwise it is taken back, and a shorter and stiffer one is tried: a larger c damps the long waves, where the force
may push the wrong way, and is given up slowly once steps are kept again. A step that is kept makes the next one longer.
The length guides the solver into the valley of its guess, where the residual means little yet; the residual finishes,
where the length no longer says anything. The answer is the curve of least residual.
"""

import math
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor

from geodesic_cli.geometry import linalg
from geodesic_cli.geometry.curve import Curve
from geodesic_cli.geometry.metric import DensityMetric
from geodesic_cli.geometry.solution import Status, Step

UNEVEN = 1.01
"""Ratio of the longest to the shortest segment above which the nodes of a guess are put at equal arc length."""

LONGEST_MOVE = 0.25
"""A node moves by at most this fraction of the curve's length in a step."""

LOWEST_SHIFT = -0.25 * math.pi**2
"""The shift stays well above -pi², where D2 - c becomes singular."""

SHORTER = 0.005
"""A fall of the log length by more than this is progress, whatever the residual does."""

LONGER = 0.05
"""A rise of the log length by more than this is refused: the step has left the valley."""


STIFFER = math.pi**2
"""The least shift after a step that was taken back: the longest wave then moves half as far."""

GIVE_UP = 0.7
"""What is left of the shift, unless the fit asks for more, after a step that was kept; and of the damping after one
that was not. With no stiffening at all, half of the paths at a bending number of 8 stalled on a diffusion model."""


NEAR = 0.7
"""Residual below which the acceleration sets in; farther out a linear model of the force misleads."""


class PathSolver(Protocol):
    """A method for the boundary-value problem. Its functions are pure; each new `Step` costs one batch of scores."""

    def init(self, metric: DensityMetric, guess: Curve) -> Step:
        """Evaluate the guess: the step with index 0."""
        ...

    def step(self, metric: DensityMetric, previous: Step) -> Step:
        """The step after `previous`, with the ends of the curve unchanged bit for bit."""
        ...


@dataclass(frozen=True, eq=False)
class Relaxation:
    """Where `SemiImplicit` stands, which is not always at its best curve.

    Args:
        curve: the current curve, of k nodes.
        residual: its relative residual.
        log_length: the logarithm of its length under the metric.
        scores: at its nodes, (k, d).
        defect: F at its interior nodes, (k - 2, d).
        damping: the fraction of the way to try next.
        shift: c.
        kept: interior nodes and defects of the last curves, newest last, each (k - 2, d).
    """

    curve: Curve
    residual: float
    log_length: float
    scores: Tensor
    defect: Tensor
    damping: float
    shift: float
    kept: tuple[tuple[Tensor, Tensor], ...] = ()


@dataclass(frozen=True)
class SemiImplicit:
    """Solve D2 x = f(x) by freezing f and moving part of the way; see the module's text.

    Args:
        damping: the first fraction of the way, in (0, 1].
        smallest: the solver stalls when the fraction has fallen below this.
        memory: how many earlier curves the acceleration looks back on; 0 turns it off.
    """

    damping: float = 0.5
    smallest: float = 1e-3
    memory: int = 5

    def init(self, metric: DensityMetric, guess: Curve) -> Step:
        """Evaluate the guess at all k nodes, the ends for the only time; uneven nodes are first spread evenly."""
        curve = evenly_spaced(guess)
        scores = metric.scores_at(curve.x, curve.u)
        now = _standing(metric, curve, scores, self.damping, shift=0.0)
        finite = _is_finite(now)
        return Step(
            index=0,
            curve=curve,
            residual=now.residual if finite else math.inf,
            log_length=now.log_length,
            score_calls=curve.x.shape[0],
            residuals=(now.residual if finite else math.inf,),
            state=now,
            status=None if finite else Status.NON_FINITE,
        )

    def step(self, metric: DensityMetric, previous: Step) -> Step:
        """Try one move; evaluates the score at the k - 2 interior nodes of the curve tried."""
        now = previous.state
        assert isinstance(now, Relaxation)
        curve = _moved(now)
        inner = metric.scores_at(curve.x[1:-1], curve.u[1:-1])
        scores = torch.cat([now.scores[:1], inner, now.scores[-1:]])
        trial = _standing(metric, curve, scores, min(1.0, 2 * now.damping), shift=now.shift)
        finite = _is_finite(trial)
        shift = _shift(now, trial) if finite else now.shift
        if finite and _is_progress(now, trial):
            kept = (*now.kept, (now.curve.x[1:-1], now.defect))[-self.memory :] if self.memory else ()
            now = replace(trial, shift=max(shift, GIVE_UP * now.shift), kept=kept)
        else:
            # A step that went far astray says little about c here: it counts up to twice over.
            least = max(2 * now.shift, STIFFER)
            now = replace(now, damping=GIVE_UP * now.damping, shift=min(max(shift, least), 2 * least), kept=())
        best = now.residual < previous.residual
        residual = now.residual if best else previous.residual
        status = None if now.damping >= self.smallest else Status.STALLED
        return Step(
            index=previous.index + 1,
            curve=now.curve if best else previous.curve,
            residual=residual,
            log_length=now.log_length if best else previous.log_length,
            score_calls=previous.score_calls + inner.shape[0],
            residuals=(*previous.residuals, residual),
            state=now,
            status=status if finite else Status.NON_FINITE,
        )


def defect(metric: DensityMetric, curve: Curve, scores: Tensor) -> Tensor:
    """The strong form P_v P_x (x'' - acceleration) at the interior nodes, (k - 2, d), in units of x."""
    x, v = curve.x[1:-1], curve.velocity()[1:-1]
    wanted = metric.acceleration_given(x, v, scores[1:-1])
    return linalg.reject(metric.space.tangent(x, curve.acceleration()[1:-1] - wanted), along=v)


def evenly_spaced(curve: Curve) -> Curve:
    """The curve itself, bit for bit, if its segments are about equal; else with its nodes at equal arc length."""
    segments = curve.segments
    return curve if bool(segments.max() <= UNEVEN * segments.min()) else curve.at_constant_speed()


def _standing(metric: DensityMetric, curve: Curve, scores: Tensor, damping: float, shift: float) -> Relaxation:
    residual = metric.residual(curve, scores).relative
    log_length = float(metric.log_length(curve, scores))
    return Relaxation(curve, residual, log_length, scores, defect(metric, curve, scores), damping, shift)


def _is_finite(now: Relaxation) -> bool:
    return math.isfinite(now.residual) and bool(now.scores.isfinite().all())


def _is_progress(now: Relaxation, trial: Relaxation) -> bool:
    change = trial.log_length - now.log_length
    return change < -SHORTER or (change <= LONGER and trial.residual < now.residual)


def _moved(now: Relaxation) -> Curve:
    x, space = now.curve.x[1:-1], now.curve.space
    still = torch.zeros_like(now.curve.x[0])
    way = linalg.solve_second_difference(-now.defect, still, still, shift=now.shift)
    if now.kept and now.residual < NEAR:
        # Re-spacing moves nodes along the curve; only what happened across it counts.
        moves = [linalg.reject(x - old, along=now.curve.velocity()[1:-1]) for old, _ in now.kept]
        ways = [linalg.solve_second_difference(old - now.defect, still, still, shift=now.shift) for _, old in now.kept]
        for weight, move, change in zip(_least_left(way, ways), moves, ways, strict=True):
            way = way - weight * (move + change)
    way = space.tangent(x, way)
    reach = float(now.damping * linalg.norm(way).max())
    limit = LONGEST_MOVE * float(now.curve.length)
    fraction = now.damping if reach <= limit else now.damping * limit / reach
    inner = space.project(x + fraction * way)
    return Curve(torch.cat([now.curve.x[:1], inner, now.curve.x[-1:]]), space).at_constant_speed()


def _least_left(target: Tensor, parts: list[Tensor]) -> list[float]:
    """The weights with which the parts leave least of the target, slightly damped."""
    columns = torch.stack([part.flatten() for part in parts])
    gram = columns @ columns.T
    ridge = 1e-10 * gram.diagonal().mean() + torch.finfo(gram.dtype).tiny
    eye = torch.eye(len(parts), dtype=gram.dtype, device=gram.device)
    return torch.linalg.solve(gram + ridge * eye, columns @ target.flatten()).tolist()


def _shift(now: Relaxation, trial: Relaxation) -> float:
    change = linalg.reject(trial.curve.x - now.curve.x, along=now.curve.velocity())
    second = (change[2:] - 2 * change[1:-1] + change[:-2]) * float(change.shape[0] - 1) ** 2
    inner = change[1:-1]
    size = float((inner * inner).sum())
    left_out = float(((second - (trial.defect - now.defect)) * inner).sum())
    return max(LOWEST_SHIFT, left_out / size) if size > 0 and math.isfinite(left_out / size) else now.shift
