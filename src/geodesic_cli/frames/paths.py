"""From two images to paths between them, in memory: embed, join, measure, render. Verbs and scripts share this.

The ends keep their own norms. A path is x(u) = (R(u) / R0) y(u) with y on the sphere of radius R0 and R(u) going
geometrically from one end's norm to the other's (`geometry.RadialProfile`), so that the first and the last point are
the encodings of the images, to the last bit of rounding.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from geodesic_cli.diffusion import LatentDiffusion
from geodesic_cli.diffusion.densities import rate_of_paper
from geodesic_cli.frames.keyframes import Ends
from geodesic_cli.frames.path_report import PathReport
from geodesic_cli.geometry import (
    Curve,
    CurveReport,
    DensityMetric,
    Euclidean,
    GradientFlow,
    PathSolver,
    RadialProfile,
    Relaxation,
    Score,
    Seen,
    Solution,
    Sphere,
    Step,
    Surrogate,
    analyse,
    bending,
    from_both_ends,
    linalg,
    perturb,
    solve_bvp,
)
from geodesic_cli.geometry.solution import COMPARED_AT
from geodesic_cli.geometry.variation import too_long_by

BY_AUTHORS = "published"
"""The solver of the authors, with all its iterations whatever the steps allowed, and the method that uses it."""
BLEND, ATTENTION = "blend", "attention"
"""The method that mixes clean latents, and the one that mixes attention: they are not drawn from their points alone."""
BUMP = 1e-3
"""Amplitude of the seeded bump of the first path, as a fraction of its length."""
MEASURED, FINELY_MEASURED = 33, 65
"""Points at which a path is measured: score evaluations of `Problem.measure`."""
REACH = 0.25
"""Share of a leg within which it is bent so that it meets its neighbour without a corner."""


@dataclass(frozen=True, eq=False)
class ImagePath:
    """A path between two ends at noise level tau.

    Args:
        method: of `settings.METHODS`.
        curve: its nodes; directions on a sphere where there is a profile, points of flat space where there is none.
        profile: the norm along the path, or None.
        solution: how the geodesic was found; None for slerp and lerp.
        alpha: the density exponent that it was solved or is measured with.
        bend: the bending number of that alpha on the first path.
        corners: (2, d), what is added to dx/du at either end by a bump of width `REACH`, so that the legs of a longer
            path meet without a corner (`rounded`); None adds nothing.
    """

    method: str
    curve: Curve
    profile: RadialProfile | None
    solution: Solution | None
    alpha: float
    bend: float
    corners: Tensor | None = None

    def __call__(self, u: Tensor) -> Tensor:
        """Points x (m, d) at noise level tau for positions u (m,)."""
        y = self.curve(u)
        x = y if self.profile is None else self.profile.lift(y, u)
        if self.corners is None:
            return x
        return x + _bump(u)[:, None] * self.corners[0] - _bump(1 - u)[:, None] * self.corners[1]

    @property
    def end_velocities(self) -> tuple[Tensor, Tensor]:
        """dx/du at u = 0 and at u = 1, each (d,), by a difference over a step of the cube root of the precision."""
        h = torch.finfo(self.curve.x.dtype).eps ** (1 / 3)
        x = self(self.curve.x.new_tensor([0.0, h, 2 * h, 1 - 2 * h, 1 - h, 1.0]))
        return (4 * x[1] - 3 * x[0] - x[2]) / (2 * h), (3 * x[5] - 4 * x[4] + x[3]) / (2 * h)


def most_evaluations(solver: str, nodes: int, max_steps: int) -> int:
    """Score evaluations of a solver of `settings.PATH_SOLVERS` on one leg if it takes all its steps."""
    if solver == BY_AUTHORS:
        return GradientFlow().most_evaluations + 2 * COMPARED_AT
    if solver == "surrogate":
        return Surrogate().first + 4 + max_steps * Surrogate().batch + 2 * COMPARED_AT
    return nodes + max_steps * (nodes - 2)


@dataclass(frozen=True, eq=False)
class Problem:
    """The geodesic problem between two ends: the first path, the metric, and what alpha means there.

    ``seen`` are the scores on the great circle, which the bending number was measured with; ``rate`` is what the
    published learning rate is on a score at this noise level, and ``noise`` the signal a and the deviation sigma there.
    """

    ends: Ends
    score: Score
    metric: DensityMetric
    guess: Curve
    bend: float
    seen: Seen
    rate: float
    noise: tuple[float, float]

    @classmethod
    def between(
        cls,
        model: LatentDiffusion,
        ends: Ends,
        *,
        bend: float,
        alpha: float | None,
        nodes: int,
        guidance: float = 1.0,
        seed: int,
        score: Score | None = None,
    ) -> "Problem":
        """Set it up; costs one evaluation a node, which turns ``bend`` into alpha (or ``alpha`` into bend).

        The score is the model's own with the guidance, unless another one is given.
        """
        profile = ends.profile
        space = Sphere(profile.radius)
        y = profile.lower(ends.x, torch.tensor([0.0, 1.0], dtype=ends.x.dtype, device=ends.x.device))
        straight = Curve.straight(y[0], y[1], nodes, space)
        score = score or model.score(ends.shape, ends.tau, ends.conditioning, guidance)
        lowered = profile.score(score)
        scores = lowered(straight.x, straight.u)
        per_alpha = bending(lowered, straight, scores)
        if alpha is None:
            alpha = bend / per_alpha if per_alpha > 0 else 0.0
        guess = perturb(straight, BUMP, torch.Generator().manual_seed(seed))
        seen = Seen(straight.x, straight.u, scores)
        rate, noise = rate_of_paper(ends.tau, model.predict.schedule), model.predict.schedule.level(ends.tau)[:2]
        return cls(ends, score, DensityMetric(lowered, alpha, space), guess, alpha * per_alpha, seen, rate, noise)

    def at(self, alpha: float) -> "Problem":
        """The same with another density exponent."""
        bend = self.bend * alpha / self.metric.alpha if self.metric.alpha > 0 else 0.0
        return replace(self, metric=replace(self.metric, alpha=alpha), bend=bend)

    def solver(self, name: str) -> PathSolver:
        """The path solver of a name in `settings.SOLVERS`; the surrogate knows the scores seen already."""
        if name == BY_AUTHORS:
            return GradientFlow(lr=self.rate)
        return Surrogate(seen=self.seen) if name == "surrogate" else Relaxation()

    def most_evaluations(self, name: str, max_steps: int) -> int:
        """Score evaluations of the solver if it takes all its steps."""
        return most_evaluations(name, len(self.guess.x), max_steps)

    def geodesic(
        self,
        solver: str,
        tol: float,
        max_steps: int,
        on_step: Callable[[Step], None] | None = None,
        start: Step | None = None,
    ) -> ImagePath:
        """Solve for the geodesic near the great circle, with the solver of a name in `settings.SOLVERS`."""
        chosen = self.solver(solver)
        max_steps = max(max_steps, chosen.total + 1) if isinstance(chosen, GradientFlow) else max_steps
        solution = solve_bvp(
            self.metric, self.guess, solver=chosen, tol=tol, max_steps=max_steps, on_step=on_step, start=start
        )
        return ImagePath("geodesic", solution.curve, self.ends.profile, solution, self.metric.alpha, self.bend)

    def slerp(self) -> ImagePath:
        """The great circle, with the norm going from one end's to the other's."""
        x = self.guess.x
        curve = Curve.straight(x[0], x[-1], len(x), self.metric.space)
        return ImagePath("slerp", curve, self.ends.profile, None, self.metric.alpha, self.bend)

    def lerp(self) -> ImagePath:
        """The straight line in latent space."""
        curve = Curve.straight(self.ends.x[0], self.ends.x[1], len(self.guess.x), Euclidean())
        return ImagePath("lerp", curve, None, None, self.metric.alpha, self.bend)

    def measure(self, path: ImagePath) -> PathReport:
        """Measure a path at MEASURED points: one batch of scores serves density, length and residual.

        A long path of a search, which has more nodes, is measured at FINELY_MEASURED: fewer do not see its bends.
        """
        long = path.profile is None and len(path.curve.x) >= FINELY_MEASURED
        u = positions(FINELY_MEASURED if long else MEASURED).to(self.ends.x.device, self.ends.x.dtype)
        x = path(u)
        scores = self.score(x, u)
        flat = analyse(
            DensityMetric(self.score, self.metric.alpha, Euclidean()), Curve(x, Euclidean()), scores, order=4
        )
        own: CurveReport = flat
        too_long = too_long_by(DensityMetric(self.score, self.metric.alpha, Euclidean()), Curve(x, Euclidean()), scores)
        if path.profile is not None:
            nodes = Curve(path.curve(u), path.curve.space)
            lowered = path.profile.factor(u) * scores
            own = analyse(self.metric, nodes, lowered, order=4)
            too_long = too_long_by(self.metric, nodes, lowered)
        log_length = from_both_ends(own.log_length, float(own.log_density[-1]), self.metric.alpha)
        excess = flat.log_density - u * flat.log_density[-1]
        denoised = (x + self.noise[1] ** 2 * scores) / self.noise[0]
        return PathReport(
            u=u.tolist(),
            log_density=flat.log_density.tolist(),
            speed=flat.speed.tolist(),
            node_u=own.u[1:-1].tolist(),
            residual=own.residual[1:-1].tolist(),
            relative_residual=own.relative_residual,
            log_length=log_length,
            length=math.exp(log_length) if log_length < 709 else math.inf,
            **{name: getattr(flat, name) for name in ("euclidean_length", "min_log_density", "mean_log_density")},
            too_long=too_long,
            min_excess=float(excess.min()),
            mean_excess=float(excess.sum()) / (len(u) - 1),  # by the trapezoid rule: it is 0 at both ends
            denoised=linalg.norm(denoised[1:] - denoised[:-1])[:, 0].tolist(),
        )


def rounded(paths: Sequence[ImagePath], loop: bool = False) -> tuple[ImagePath, ...]:
    """Legs of one path, bent near their meeting points so that dx/du is continuous there; the points stay as they are.

    Shortest paths through given points have corners there. The common velocity is the mean of the two, and the
    correction c to a leg's own is added as c s (1 - s / r)^2 over its first part r = REACH, which moves no point by
    more than 4 r |c| / 27.

    Args:
        paths: the legs, each in its own u.
        loop: whether the last one meets the first.
    """
    ends = [path.end_velocities for path in paths]
    corners = [torch.zeros_like(torch.stack(pair)) for pair in ends]
    for k in range(0 if loop else 1, len(paths)):
        common = (ends[k - 1][1] + ends[k][0]) / 2
        corners[k - 1][1], corners[k][0] = common - ends[k - 1][1], common - ends[k][0]
    return tuple(replace(path, corners=own) for path, own in zip(paths, corners, strict=True))


def _bump(s: Tensor) -> Tensor:
    """s (1 - s / REACH)^2 up to REACH, then 0: slope 1 at 0, no value or slope at REACH."""
    return s * (1 - s.clamp(max=REACH) / REACH) ** 2


def positions(frames: int) -> Tensor:
    """Equal steps in u, float64, exact at both ends."""
    return torch.linspace(0, 1, frames, dtype=torch.float64)


def carried_down(model: LatentDiffusion, ends: Ends, path: ImagePath, u: Tensor, steps: int, guidance: float) -> Tensor:
    """Clean latents (m, d) at positions u (m,) of a path, as its method draws them, the ends like all others.

    ``steps`` + 1 evaluations for each position; where attention is mixed, for each of the two ends, too; of a blend of
    clean latents, which is drawn as it is, none.
    """
    if path.method == BLEND:
        return torch.lerp(ends.z[:1], ends.z[1:], u[:, None].to(ends.z))
    x = path(u.to(ends.x.dtype).to(ends.x.device))
    if path.method == ATTENTION:
        return model.drop_mixed(ends.x, x, u, ends.shape, ends.conditioning, ends.tau, steps, guidance)
    return model.drop(x, ends.shape, ends.conditioning(u), ends.tau, steps, guidance)


def clean_latents(
    model: LatentDiffusion, ends: Ends, path: ImagePath, u: Tensor, steps: int, guidance: float, at_once: int = 64
) -> Tensor:
    """Clean latents (m, d) along a path, `carried_down` but at u = 0 and u = 1.

    There they are the encodings of the images themselves, which have not been to tau and back. Where attention is
    mixed, the two ends go along with each part, so that it costs as much for each of them.
    """
    z = torch.lerp(ends.z[0], ends.z[1], u.round().to(ends.z.dtype).to(ends.z.device)[:, None])
    inner = ((u > 0) & (u < 1)).nonzero()[:, 0]
    for first in range(0, len(inner), at_once):
        rows = inner[first : first + at_once]
        drawn = carried_down(model, ends, path, u[rows], steps, guidance)
        z = z.index_put((rows.to(z.device),), drawn.to(z.dtype))
    return z
