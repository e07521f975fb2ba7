"""Methods that advance a ray by one step of the constant-speed geodesic equation

    x' = v,   v' = a(x, v, u) = -alpha |v|² P_v P_x s(x, u) + (centripetal acceleration of the space).

The force carries |v|² because the stages of a Runge-Kutta method leave the speed a little, and on a sphere the
centripetal term belongs into the stages: without it every method falls to second order. After a step the point is put
back on the space, and the velocity is made tangent and given its first length again: the exact flow keeps both, so
neither costs an order.

`IsokineticLeapfrog` needs no such repair. It splits the flow into two that are known exactly: the drift along a
straight line of the space, and the kick by a frozen force F = -alpha P_x s, which turns the direction T = v / |v|
towards n = F / |F| at constant speed. With theta the angle from n to T the kick is

    tan(theta / 2) <- e^(-|v| |F| h) tan(theta / 2),

the closed form of dT/du = |v| (F - (F.T) T), in which nothing can overflow. Half a kick, a drift, half a kick: order 2,
time-reversible, and the force at the end is that of the next step, so one score a step. It makes no use of smoothness,
which makes it the method for rough densities in high dimension; for smooth ones `AdamsBashforth4` costs as little and
gains two orders.

`DormandPrince` is the embedded pair of orders 5 and 4: seven stages, the last of which is the first of the next step.
Its two results differ by the error of the step, which is measured as a fraction of |v|, that is of the length of the
whole path, both for x and for v. It can also follow the geodesic at constant speed in the metric itself,

    x'' = -alpha |x'|² P_v P_x s + alpha (s.x') x' + (centripetal),   p^(-alpha) |x'| = constant,

the geodesic equation of Riemannian geometry, for the exponential map. Then |v| is inverse to the weight, and a fraction
of |v| is one of the geodesic's length in the metric.

Source: J. R. Dormand and P. J. Prince, "A family of embedded Runge-Kutta formulae", 1980, for the coefficients.
"""

from dataclasses import dataclass, replace
from typing import ClassVar, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from geodesic_cli.errors import GeometryError
from geodesic_cli.geometry import linalg
from geodesic_cli.geometry.metric import DensityMetric
from geodesic_cli.geometry.space import Rows


@dataclass(frozen=True, eq=False)
class State:
    """Where a ray stands. A method's next step is a function of this and nothing else.

    Args:
        u: the position along the path, in [0, 1].
        x: the point.
        v: dx/du.
        score: at x and u.
        calls: score evaluations that the step which led here took.
        error: the error of that step as a fraction of |v|; None from a method that does not estimate it.
        past: u, v and v' at earlier states for a method with a memory, newest last.
    """

    u: float
    x: Float[Tensor, "1 d"]
    v: Float[Tensor, "1 d"]
    score: Float[Tensor, "1 d"]
    calls: int = 1
    error: float | None = None
    past: tuple[tuple[float, Tensor, Tensor], ...] = ()


@runtime_checkable
class Stepper(Protocol):
    """A method for rays. Its function is pure, and keeps the point in the space and the velocity tangent."""

    @property
    def order(self) -> int:
        """The global error is O(h^order)."""

    @property
    def tol(self) -> float | None:
        """The error of a step that is allowed, as a fraction of |v|; None for a method that does not estimate it."""
        return None

    @property
    def weighted(self) -> bool:
        """Whether its rays keep the speed in the metric constant, not the speed in space."""
        return False

    def step(self, metric: DensityMetric, now: State, u: float) -> State:
        """Advance to the position u."""


@dataclass(frozen=True)
class Euler(Stepper):
    """The explicit Euler method, order 1: a baseline."""

    order: ClassVar[int] = 1

    def step(self, metric: DensityMetric, now: State, u: float) -> State:
        """Advance to u."""
        h = u - now.u
        pull = metric.acceleration_given(now.x, now.v, now.score)
        return _arrived(metric, now, u, now.x + h * now.v, now.v + h * pull)


@dataclass(frozen=True)
class RK4(Stepper):
    """The classical Runge-Kutta method, order 4, four scores per step."""

    order: ClassVar[int] = 4

    def step(self, metric: DensityMetric, now: State, u: float) -> State:
        """Advance to u."""
        h, x = u - now.u, now.x
        middle, end = _at(x, now.u + h / 2), _at(x, u)
        v1, a1 = now.v, metric.acceleration_given(x, now.v, now.score)
        v2 = now.v + h / 2 * a1
        a2 = metric.acceleration(x + h / 2 * v1, v2, middle)
        v3 = now.v + h / 2 * a2
        a3 = metric.acceleration(x + h / 2 * v2, v3, middle)
        v4 = now.v + h * a3
        a4 = metric.acceleration(x + h * v3, v4, end)
        new_x = x + h / 6 * (v1 + 2 * v2 + 2 * v3 + v4)
        new_v = now.v + h / 6 * (a1 + 2 * a2 + 2 * a3 + a4)
        return _arrived(metric, now, u, new_x, new_v, calls=4)


@dataclass(frozen=True)
class IsokineticLeapfrog(Stepper):
    """Half a kick, a drift, half a kick: order 2, one score per step, reversible; see the module's text."""

    order: ClassVar[int] = 2

    def step(self, metric: DensityMetric, now: State, u: float) -> State:
        """Advance to u."""
        h = u - now.u
        kicked = _kick(metric, now.x, now.v, now.score, h / 2)
        x, drifted = metric.space.move(now.x, kicked, h)
        score = metric.scores_at(x, _at(x, u))
        return State(u, x, _kick(metric, x, drifted, score, h / 2), score)


@dataclass(frozen=True)
class AdamsBashforth4(Stepper):
    """The four-step Adams-Bashforth method, order 4, one score per step after three of RK4.

    A change of the step length starts it again.
    """

    order: ClassVar[int] = 4

    def step(self, metric: DensityMetric, now: State, u: float) -> State:
        """Advance to u."""
        h = u - now.u
        here = (now.u, now.v, metric.acceleration_given(now.x, now.v, now.score))
        past = now.past if now.past and abs(now.u - now.past[-1][0] - h) < 1e-6 * h else ()
        if len(past) < 3:
            return replace(RK4().step(metric, now, u), past=(*past, here))
        steps = list(zip(_ADAMS, (*past, here), strict=True))
        x = now.x + h * sum(weight * v for weight, (_, v, _) in steps)
        v = now.v + h * sum(weight * a for weight, (_, _, a) in steps)
        return replace(_arrived(metric, now, u, x, v), past=(*past[1:], here))


@dataclass(frozen=True)
class DormandPrince:
    """The pair of orders 5 and 4 with an estimate of its error, six scores per step.

    Args:
        tol: the error of a step that is allowed, as a fraction of |v|; the error at the end is of the same size where
            rays do not diverge.
        weighted: keep the speed p^(-alpha) |v| in the metric constant instead of |v|, so that u is in proportion to
            the length in the metric, and v at the start has that length, weight 1 there.

    Raises:
        GeometryError: the tolerance is not positive.
    """

    tol: float | None = 1e-6
    weighted: bool = False
    order: ClassVar[int] = 5

    def __post_init__(self) -> None:
        if self.tol is not None and not self.tol > 0:
            raise GeometryError(f"The tolerance of a step must be positive, got {self.tol}.")

    def step(self, metric: DensityMetric, now: State, u: float) -> State:
        """Advance to u."""
        h = u - now.u
        speeds, pulls = [now.v], [acceleration(metric, now.x, now.v, now.score, self.weighted)]
        for node, row in zip(_NODES, _STAGES, strict=True):
            x, v = now.x + h * _combined(row, speeds), now.v + h * _combined(row, pulls)
            if len(speeds) < len(_STAGES):  # the last row is the result, whose score belongs to the next step
                score = metric.scores_at(x, _at(x, now.u + node * h))
                speeds.append(v)
                pulls.append(acceleration(metric, x, v, score, self.weighted))
        new = _arrived(metric, now, u, x, v, calls=6, keep_speed=not self.weighted)
        speeds.append(new.v)
        pulls.append(acceleration(metric, new.x, new.v, new.score, self.weighted))
        off = torch.stack([_combined(_ERROR, speeds), _combined(_ERROR, pulls)])
        error = h * float(off.square().sum().sqrt() * linalg.reciprocal(linalg.norm(now.v)))
        return replace(new, error=error)


def acceleration(metric: DensityMetric, x: Rows, v: Rows, score: Rows, weighted: bool) -> Rows:
    """dv/du of the rays of constant speed in space, or in the metric if `weighted`, given the score."""
    across = metric.acceleration_given(x, v, score)
    if not weighted:
        return across
    return across + metric.alpha * linalg.dot(metric.space.tangent(x, score), v) * v


_ADAMS = (-9 / 24, 37 / 24, -59 / 24, 55 / 24)
_NODES = (1 / 5, 3 / 10, 4 / 5, 8 / 9, 1.0, 1.0)
_STAGES = (
    (1 / 5,),
    (3 / 40, 9 / 40),
    (44 / 45, -56 / 15, 32 / 9),
    (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
    (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
    (35 / 384, 0.0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84),
)
_ERROR = (71 / 57600, 0.0, -71 / 16695, 71 / 1920, -17253 / 339200, 22 / 525, -1 / 40)


def _combined(weights: tuple[float, ...], rows: list[Tensor]) -> Tensor:
    return sum((weight * row for weight, row in zip(weights, rows, strict=True)), torch.zeros_like(rows[0]))


def _at(x: Tensor, u: float) -> Tensor:
    return torch.full_like(x[:, 0], u)


def _arrived(
    metric: DensityMetric, before: State, u: float, x: Tensor, v: Tensor, calls: int = 1, keep_speed: bool = True
) -> State:
    """Back on the space with the speed of the step before, and the score there."""
    x = metric.space.project(x)
    v = metric.space.tangent(x, v)
    if keep_speed:
        v = linalg.norm(before.v) * linalg.unit(v)
    return State(u, x, v, metric.scores_at(x, _at(x, u)), calls)


def _kick(metric: DensityMetric, x: Tensor, v: Tensor, score: Tensor, h: float) -> Tensor:
    """v turned by the frozen force for the time h, (1, d); v itself where there is no force."""
    speed, ahead = linalg.norm(v), linalg.unit(v)
    pull = -metric.space.tangent(x, score)
    towards = linalg.unit(pull)
    # tan(theta / 2) is near / far; apart from its quotient it is exact at 0 and at pi, where the force balances.
    near, far = linalg.norm(ahead - towards), linalg.norm(ahead + towards)
    near = near * torch.exp(-metric.alpha * speed * linalg.norm(pull) * h)
    aside = linalg.unit(linalg.reject(ahead, along=towards))
    turned = (far + near) * (far - near) * towards + 2 * near * far * aside
    return torch.where(far > 0, speed * linalg.unit(metric.space.tangent(x, turned)), v)
