"""The velocity with which a sequence of points leaves its last one, and the ray that goes on from there.

The points x_0, ..., x_{k-1} were seen at equal times 1 apart. A polynomial of degree q through the last of them,

    x(j) = x_{k-1} + c_1 j + ... + c_q j^q,    j = 1 - k, ..., 0,

is fitted to the others by least squares, and v = c_1. With q = k - 1 it goes through all of them and v is the one-sided
difference of order q (x_{k-1} - x_{k-2} for k = 2, (3 x_{k-1} - 4 x_{k-2} + x_{k-3}) / 2 for k = 3); a smaller q
smooths. The speed |v| of a low degree is that of a chord.

The ray is followed frame by frame, each a unit of time long, so that it can be stopped and gone on with after each. A
ray of ds = p^(-alpha) |dx| bends away from high density, exponentially. With alpha < 0, the metric p^|alpha| |dx|, it
bends towards it: near a ridge of the density, where log p falls as -r² / 2 sigma² across, the distance r from the
ridge obeys r'' = -|alpha| |v|² / sigma² r, and the ray swings about the ridge, guided as light is in a fibre, with the
angular frequency sqrt(|alpha|) |v| / sigma in radians a frame. Over a distance of sqrt(d), which is the typical norm of
a point where coordinates have variance one, that is sqrt(guide) radians with

    guide = |alpha| d / sigma²,

which has no unit and the same meaning at every noise level sigma and in every dimension d.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from geodesic_cli.errors import GeometryError
from geodesic_cli.geometry import linalg
from geodesic_cli.geometry.density import Portion, Scaled, Score
from geodesic_cli.geometry.metric import DensityMetric
from geodesic_cli.geometry.solution import Status, Step
from geodesic_cli.geometry.solvers.ivp import TURN_PER_STEP, solve_ivp
from geodesic_cli.geometry.solvers.rays import Motion
from geodesic_cli.geometry.solvers.steppers import Stepper


@dataclass(frozen=True, eq=False)
class Departure:
    """Where a sequence ends and how it moves there.

    Args:
        x: the last point.
        v: the velocity there in units of x a frame.
        misfit: root mean square distance of the points from the polynomial, as a fraction of |v|.
    """

    x: Float[Tensor, "d"]
    v: Float[Tensor, "d"]
    misfit: float


@dataclass(frozen=True, eq=False)
class Arrival:
    """A ray at a frame.

    Args:
        x: the point, (d,).
        v: its velocity there, (d,).
        log_density: log p there relative to the start of the ray, nats.
        calls: score evaluations up to here.
        residual: the largest relative residual of the geodesic equation in any frame so far.
    """

    x: Float[Tensor, "d"]
    v: Float[Tensor, "d"]
    log_density: float = 0.0
    calls: int = 0
    residual: float = 0.0


@dataclass(frozen=True, eq=False)
class Ray:
    """How to go on from one frame to the next; a pure function of the arrival at the frame before.

    Args:
        score: grad log p, at positions from 0 to 1 over all the frames.
        alpha: the density exponent; negative bends towards high density.
        frames: how many frames the whole ray has.
        stepper: the method.
        steps: so many equal steps a frame; None chooses them as the path needs.
        bend: radians by which the direction may turn within a step that is chosen.
        max_drop: nats; the ray ends before the first frame whose log density is lower than that of the start by more.
    """

    score: Score
    alpha: float
    frames: int
    stepper: Stepper
    steps: int | None = None
    bend: float = TURN_PER_STEP
    max_drop: float = math.inf

    def next(self, now: Arrival, k: int) -> Arrival | Status:
        """From frame k to frame k + 1, or why the ray ends between them."""
        sign = -1.0 if self.alpha < 0 else 1.0
        portion = Portion(self.score, k / self.frames, (k + 1) / self.frames)
        metric = DensityMetric(Scaled(portion, sign), abs(self.alpha))
        visited, states = [now.x], [Motion(now.v, now.v.new_zeros(0), now.v.new_zeros(0, len(now.v)))]

        def note(step: Step) -> None:
            assert isinstance(step.state, Motion)
            visited.append(step.curve.x[-1])
            states[:] = [step.state]

        found = solve_ivp(metric, now.x, now.v, steps=self.steps, stepper=self.stepper, bend=self.bend, on_step=note)
        motion = states[0]
        if found.status is Status.NON_FINITE:
            return Status.NON_FINITE
        if len(visited) == 1 or float(motion.u[-1]) < 1:
            return Status.MAX_STEPS
        gained = sign * metric.log_density_steps(torch.stack(visited), motion.scores).sum()
        log_density = now.log_density + float(gained)
        if not log_density >= -self.max_drop:
            return Status.LEFT_SUPPORT
        calls, residual = now.calls + found.score_calls, max(now.residual, found.residual)
        return Arrival(visited[-1], motion.velocity, log_density, calls, residual)


def depart(points: Float[Tensor, "k d"], degree: int) -> Departure:
    """The departure of points (k, d) by a polynomial of a degree in [1, k - 1].

    Raises:
        GeometryError: fewer than two points, or a degree out of range.
    """
    k = len(points)
    if k < 2 or not 1 <= degree < k:
        raise GeometryError(f"A polynomial of degree {degree} needs at least {max(2, degree + 1)} points, got {k}.")
    j = torch.arange(1 - k, 0, dtype=torch.float64)
    powers = torch.stack([j**q for q in range(1, degree + 1)], dim=1)
    inverse = torch.linalg.pinv(powers).to(points)  # tiny, and not every device has it
    away = points[:-1] - points[-1]
    coefficients = inverse @ away
    v = coefficients[0]
    off = linalg.norm(powers.to(points) @ coefficients - away).square().mean().sqrt()
    return Departure(points[-1], v, float(off * linalg.reciprocal(linalg.norm(v[None]))))
