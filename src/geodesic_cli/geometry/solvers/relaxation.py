"""Path solvers: from a curve between fixed ends to a better one.

`Relaxation` treats the geodesic equation g'' = f, f = -alpha |g'|² P_v P_x s + centripetal, as a string that is
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

Where the equation holds, the second variation is asked whether the curve is a minimum; a saddle point is left along the
direction in which it falls.

Where all this stalls, the solver starts once more from its guess with a fraction of alpha, whose geodesic is nearly
straight, and follows the geodesic as alpha grows (continuation).

With order 4 the derivatives in F are differences of fourth order, while D2 alone is inverted; for smooth densities.
"""

import math
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from geodesic_cli.geometry import linalg
from geodesic_cli.geometry.curve import Curve
from geodesic_cli.geometry.metric import DensityMetric
from geodesic_cli.geometry.solution import Status, Step
from geodesic_cli.geometry.solvers.minimum import Beside, shorter_nearby

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

WAITED = 10
"""Steps within which the residual has to fall by the factor LEAST_FALL, or the solver has stalled."""

LEAST_FALL = 0.9

FRACTIONS = (0.125, 0.25, 0.4, 0.6, 0.8, 1.0)
"""The fractions of alpha that a continuation goes through."""

FOLLOWED = 0.1
"""Residual below which a continuation goes on to the next fraction."""

HOLDS = 1.25
"""Between its nodes a converged curve may have this many times the tolerance."""

MOST_SADDLES = 2
"""A saddle point is left so often."""

MOST_NODES = 257
"""A curve whose points between the nodes do not satisfy the equation is refined up to this many nodes."""


@dataclass(frozen=True, eq=False)
class Relaxed:
    """Where `Relaxation` stands, which is not always at its best curve.

    Args:
        curve: the current curve, of k nodes.
        residual: its relative residual.
        log_length: the logarithm of its length under the metric.
        scores: at its nodes, (k, d).
        defect: F at its interior nodes, (k - 2, d).
        damping: the fraction of the way to try next.
        shift: c.
        kept: interior nodes and defects of the last curves, newest last, each (k - 2, d).
        fraction: the part of alpha that the defect, the residual and the length are taken with.
        falls: the least residual so far after every step of this stage (a stage: one fraction, one set of nodes).
        guess: where to start again with a fraction of alpha; None once that has been done.
        saddles: how many saddle points were left.
    """

    curve: Curve
    residual: float
    log_length: float
    scores: Float[Tensor, "k d"]
    defect: Float[Tensor, "k-2 d"]
    damping: float
    shift: float
    kept: tuple[tuple[Tensor, Tensor], ...] = ()
    fraction: float = 1.0
    falls: tuple[float, ...] = ()
    guess: tuple[Tensor, Tensor] | None = None
    saddles: int = 0


@dataclass(frozen=True)
class Relaxation:
    """Solve D2 x = f(x) by freezing f and moving part of the way; see the module's text.

    Args:
        damping: the first fraction of the way, in (0, 1].
        smallest: the solver stalls when the fraction has fallen below this.
        memory: how many earlier curves the acceleration looks back on; 0 turns it off.
        order: of the differences, 2 or 4.
        between: whether a converged curve is also looked at half way between its nodes, and refined where it does not
            satisfy the equation there. Without it, converged speaks of the nodes alone.
        minimum: whether a curve that is stationary but not a minimum of the length is left (`minimum`).
        continuation: whether to start again with a fraction of alpha where the solver stalls.
        shift: the first c, until the steps teach it; a guess with corners wants it stiff.
    """

    damping: float = 0.5
    smallest: float = 1e-3
    memory: int = 5
    order: int = 2
    between: bool = True
    minimum: bool = True
    continuation: bool = True
    shift: float = 0.0

    def init(self, metric: DensityMetric, guess: Curve) -> Step:
        """Evaluate the guess at all k nodes, the ends for the only time; uneven nodes are first spread evenly."""
        curve = guess.evenly_spaced()
        scores = metric.scores_at(curve.x, curve.u)
        now = self._standing(metric, curve, scores)
        if self.continuation:
            now = replace(now, guess=(curve.x, scores))
        finite = _is_finite(now)
        residual = now.residual if finite else math.inf
        status = None if finite else Status.NON_FINITE
        return Step(0, curve, residual, now.log_length, curve.x.shape[0], (residual,), now, status)

    def cost(self, previous: Step) -> int:
        """The k - 2 interior nodes."""
        return previous.state_of(Relaxed).curve.x.shape[0] - 2

    def step(self, metric: DensityMetric, previous: Step) -> Step:
        """Try one move; evaluates the score at the k - 2 interior nodes of the curve tried."""
        now = previous.state_of(Relaxed)
        curve = _moved(now)
        inner = metric.scores_at(curve.x[1:-1], curve.u[1:-1])
        scores = torch.cat([now.scores[:1], inner, now.scores[-1:]])
        trial = self._standing(_weaker(metric, now.fraction), curve, scores)
        finite = _is_finite(trial)
        shift = _shift(now, trial) if finite else now.shift
        if finite and _is_progress(now, trial):
            kept = (*now.kept, (now.curve.x[1:-1], now.defect))[-self.memory :] if self.memory else ()
            now = replace(
                trial,
                damping=min(1.0, 2 * now.damping),
                shift=max(shift, GIVE_UP * now.shift),
                kept=kept,
                fraction=now.fraction,
                falls=now.falls,
                guess=now.guess,
                saddles=now.saddles,
            )
        else:
            # A step that went far astray says little about c here: it counts up to twice over.
            least = max(2 * now.shift, STIFFER)
            now = replace(now, damping=GIVE_UP * now.damping, shift=min(max(shift, least), 2 * least), kept=())
        now = replace(now, falls=(*now.falls, min((now.residual, *now.falls))))
        curve, residual, log_length = now.curve, now.residual, now.log_length
        if now.fraction < 1:
            residual = metric.residual(curve, now.scores, self.order).relative
            log_length = float(metric.symmetric_log_length(curve, now.scores))
        if residual >= previous.residual:
            curve, residual, log_length = previous.curve, previous.residual, previous.log_length
        status, now = self._next_stage(metric, now) if finite else (Status.NON_FINITE, now)
        calls, residuals = previous.score_calls + inner.shape[0], (*previous.residuals, residual)
        return Step(previous.index + 1, curve, residual, log_length, calls, residuals, now, status)

    def finish(self, metric: DensityMetric, step: Step, tol: float) -> Step:
        """Look half way between the nodes: k - 1 further scores. A curve that does not hold there is refined."""
        now = step.state_of(Relaxed)
        if not self.between or step.curve is not now.curve or now.fraction < 1:
            return self._lowest(metric, step)
        fine, scores = metric.refined(step.curve, now.scores)
        there = self._standing(metric, fine, scores)
        calls = step.score_calls + fine.x.shape[0] // 2
        if not _is_finite(there):
            return replace(step, score_calls=calls, status=Status.NON_FINITE)
        holds = there.residual <= HOLDS * tol
        if not holds and fine.x.shape[0] > MOST_NODES:
            return replace(step, score_calls=calls, status=Status.UNRESOLVED)
        there = replace(there, shift=now.shift, guess=None, saddles=now.saddles)
        step = step.remeasured(fine, there.residual, there.log_length, calls)
        step = replace(step, state=there)
        return self._lowest(metric, step) if holds else step

    def _lowest(self, metric: DensityMetric, step: Step) -> Step:
        """Converged if the curve is a minimum of the length; otherwise it is left for a shorter one."""
        now = step.state_of(Relaxed)
        beside = shorter_nearby(metric, step.curve) if self.minimum else Beside(None, 0)
        shorter, calls = beside.shorter, step.score_calls + beside.asked
        if shorter is None:
            status = Status.CONVERGED if beside.finite else Status.NON_FINITE
            return replace(step, score_calls=calls, status=status)
        if now.saddles >= MOST_SADDLES:
            return replace(step, score_calls=calls, status=Status.SADDLE)
        inner = metric.scores_at(shorter.x[1:-1], shorter.u[1:-1])
        calls += inner.shape[0]
        there = self._standing(metric, shorter, torch.cat([now.scores[:1], inner, now.scores[-1:]]))
        if not _is_finite(there):
            return replace(step, score_calls=calls, status=Status.SADDLE)
        there = replace(there, saddles=now.saddles + 1)
        return replace(step.remeasured(shorter, there.residual, there.log_length, calls), state=there)

    def _standing(self, metric: DensityMetric, curve: Curve, scores: Tensor) -> Relaxed:
        residual = metric.residual(curve, scores, self.order).relative
        log_length = float(metric.symmetric_log_length(curve, scores))
        force = metric.defect(curve, scores, self.order)
        return Relaxed(curve, residual, log_length, scores, force, self.damping, shift=self.shift)

    def _next_stage(self, metric: DensityMetric, now: Relaxed) -> tuple[Status | None, Relaxed]:
        """Go on to the next fraction of alpha, start again with a small one, or give up."""
        if now.fraction < 1 and now.residual <= FOLLOWED:
            fraction = FRACTIONS[FRACTIONS.index(now.fraction) + 1]
            stage = self._standing(_weaker(metric, fraction), now.curve, now.scores)
            shift = now.shift * fraction / now.fraction
            return None, replace(stage, fraction=fraction, shift=shift, saddles=now.saddles)
        waited = len(now.falls) > WAITED and now.falls[-1] > LEAST_FALL * now.falls[-1 - WAITED]
        if not waited and now.damping >= self.smallest:
            return None, now
        if now.guess is None:
            return Status.STALLED, now
        (x, scores), fraction = now.guess, FRACTIONS[0]
        stage = self._standing(_weaker(metric, fraction), Curve(x, metric.space), scores)
        return None, replace(stage, fraction=fraction, saddles=now.saddles)


def _weaker(metric: DensityMetric, fraction: float) -> DensityMetric:
    return replace(metric, alpha=fraction * metric.alpha)


def _is_finite(now: Relaxed) -> bool:
    return math.isfinite(now.residual) and bool(now.scores.isfinite().all())


def _is_progress(now: Relaxed, trial: Relaxed) -> bool:
    change = trial.log_length - now.log_length
    return change < -SHORTER or (change <= LONGER and trial.residual < now.residual)


def _moved(now: Relaxed) -> Curve:
    x, space = now.curve.x[1:-1], now.curve.space
    still = torch.zeros_like(now.curve.x[0])
    way = linalg.solve_second_difference(-now.defect, still, still, shift=now.shift)
    if now.kept and now.residual < NEAR:
        # Re-spacing moves nodes along the curve; only what happened across it counts.
        moves = [linalg.reject(x - old, along=now.curve.velocity()[1:-1]) for old, _ in now.kept]
        ways = [linalg.solve_second_difference(old - now.defect, still, still, shift=now.shift) for _, old in now.kept]
        weights = linalg.least_left(way.flatten(), torch.stack(ways).flatten(1), ridge=1e-10).tolist()
        for weight, move, change in zip(weights, moves, ways, strict=True):
            way = way - weight * (move + change)
    way = space.tangent(x, way)
    reach = float(now.damping * linalg.norm(way).max())
    limit = LONGEST_MOVE * float(now.curve.length)
    fraction = now.damping if reach <= limit else now.damping * limit / reach
    return now.curve.with_inner(space.project(x + fraction * way)).at_constant_speed()


def _shift(now: Relaxed, trial: Relaxed) -> float:
    change = linalg.reject(trial.curve.x - now.curve.x, along=now.curve.velocity())
    second = (change[2:] - 2 * change[1:-1] + change[:-2]) * float(change.shape[0] - 1) ** 2
    inner = change[1:-1]
    size = float((inner * inner).sum())
    left_out = float(((second - (trial.defect - now.defect)) * inner).sum())
    return max(LOWEST_SHIFT, left_out / size) if size > 0 and math.isfinite(left_out / size) else now.shift
