"""From two images to paths between them, in memory: embed, join, measure, render. Verbs and scripts share this.

The ends keep their own norms. A path is x(u) = (R(u) / R0) y(u) with y on the sphere of radius R0 and R(u) going
geometrically from one end's norm to the other's (`geometry.RadialProfile`), so that the first and the last point are
the encodings of the images, to the last bit of rounding.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from geodesic_cli import media
from geodesic_cli.diffusion import Conditioning, DiffusionScore, LatentDiffusion
from geodesic_cli.errors import ModelError
from geodesic_cli.geometry import (
    Curve,
    CurveReport,
    DensityMetric,
    Euclidean,
    PathSolver,
    RadialProfile,
    Relaxation,
    Seen,
    Solution,
    Sphere,
    Step,
    Surrogate,
    analyse,
    bending,
    linalg,
    perturb,
    solve_bvp,
)

BUMP = 1e-3
"""Amplitude of the seeded bump of the first path, as a fraction of its length."""
MEASURED = 65
"""Points at which a path is measured: score evaluations of `Problem.measure`."""
DENSE = 4
"""Even pacing looks at this many positions per frame, each carried down in half the steps of a frame."""


@dataclass(frozen=True, eq=False)
class Ends:
    """Two images at noise level tau, and what is needed to measure and to draw what lies between them.

    Args:
        z: (2, d), clean latents.
        x: (2, d), the same carried to noise level tau.
        shape: (C, H, W) of a latent.
        conditioning: c(u).
        tau: the noise level.
        psnr: how well the autoencoder alone brings each image back, dB.
    """

    z: Tensor
    x: Tensor
    shape: tuple[int, int, int]
    conditioning: Conditioning
    tau: float
    psnr: tuple[float, float]

    @property
    def profile(self) -> RadialProfile:
        """The norm along a path between these ends."""
        return RadialProfile(float(self.x[0].norm()), float(self.x[1].norm()))


@dataclass(frozen=True, eq=False)
class Path:
    """A path between two ends at noise level tau.

    Args:
        method: geodesic, slerp or lerp.
        curve: its nodes; directions on a sphere where there is a profile, points of flat space where there is none.
        profile: the norm along the path, or None.
        solution: how the geodesic was found; None for slerp and lerp.
        alpha: the density exponent that it was solved or is measured with.
        bend: the bending number of that alpha on the first path.
    """

    method: str
    curve: Curve
    profile: RadialProfile | None
    solution: Solution | None
    alpha: float
    bend: float

    def __call__(self, u: Tensor) -> Tensor:
        """Points x (m, d) at noise level tau for positions u (m,)."""
        y = self.curve(u)
        return y if self.profile is None else self.profile.lift(y, u)


@dataclass(frozen=True, eq=False)
class PathReport:
    """Measurements of a path. Density, speed and ``euclidean_length`` are those of x, whatever the method.

    ``log_length``, ``length``, ``residual`` and ``relative_residual`` belong to the metric that the path is judged by:
    for the geodesic and slerp that of the directions on their sphere, which the solver shortens; for lerp, which leaves
    the sphere, that of flat space, not to be compared with the others.
    The density at u is that of the conditioning c(u): where the prompt changes along the path, ``log_density`` counts
    what the motion gains and not what the change of prompt does. It ends elsewhere on every path, because of that and
    because a network is not exactly a gradient; ``min_excess`` and ``mean_excess`` are what log p has above the
    straight line between its own two end values, and compare paths without that mismatch.
    """

    u: list[float]
    log_density: list[float]
    speed: list[float]
    node_u: list[float]
    residual: list[float]
    relative_residual: float
    log_length: float
    length: float
    euclidean_length: float
    min_log_density: float
    mean_log_density: float
    min_excess: float
    mean_excess: float


def embed(
    model: LatentDiffusion, images: Tensor, prompts: tuple[str, ...], tau: float, steps: int, guidance: float = 1.0
) -> Ends:
    """Carry two images (2, 3, h, w) to noise level tau, each under its own prompt; 2 x ``steps`` evaluations.

    The guidance is the one that frames will be drawn with; see `LatentDiffusion.lift`.
    """
    shape = model.latent_shape(*images.shape[2:])
    conditioning = model.prompts.along(prompts)
    z = model.encode(images)
    if not bool(torch.isfinite(z).all()):
        raise ModelError(f"The autoencoder of {model.name} gives NaN or infinity.", "Pass --dtype fp32.")
    back = model.decode(z, shape).to(images.device)
    x = model.lift(z, shape, conditioning(torch.tensor([0.0, 1.0])), tau, steps, guidance)
    psnr = media.psnr(images[0], back[0]), media.psnr(images[1], back[1])
    return Ends(z.to(x.device), _widest(x), shape, conditioning, tau, psnr)


def _widest(x: Tensor) -> Tensor:
    """Geometry in float64, except on MPS, which has none."""
    return x if x.device.type == "mps" else x.double()


@dataclass(frozen=True, eq=False)
class Problem:
    """The geodesic problem between two ends: the first path, the metric, and what alpha means there.

    ``seen`` are the scores on the great circle, which the bending number was measured with.
    """

    ends: Ends
    score: DiffusionScore
    metric: DensityMetric
    guess: Curve
    bend: float
    seen: Seen

    @classmethod
    def between(
        cls,
        model: LatentDiffusion,
        ends: Ends,
        *,
        bend: float,
        alpha: float | None,
        nodes: int,
        guidance: float,
        seed: int,
    ) -> "Problem":
        """Set it up; costs one evaluation a node, which turns ``bend`` into alpha (or ``alpha`` into bend)."""
        profile = ends.profile
        space = Sphere(profile.radius)
        y = profile.lower(ends.x, torch.tensor([0.0, 1.0], dtype=ends.x.dtype, device=ends.x.device))
        straight = Curve.straight(y[0], y[1], nodes, space)
        score = model.score(ends.shape, ends.tau, ends.conditioning, guidance)
        lowered = profile.score(score)
        scores = lowered(straight.x, straight.u)
        per_alpha = bending(lowered, straight, scores)
        if alpha is None:
            alpha = bend / per_alpha if per_alpha > 0 else 0.0
        guess = perturb(straight, BUMP, torch.Generator().manual_seed(seed))
        seen = Seen(straight.x, straight.u, scores)
        return cls(ends, score, DensityMetric(lowered, alpha, space), guess, alpha * per_alpha, seen)

    def solver(self, name: str) -> PathSolver:
        """The path solver of a name in `settings.SOLVERS`; the surrogate knows the scores seen already."""
        return Surrogate(seen=self.seen) if name == "surrogate" else Relaxation()

    def most_evaluations(self, name: str, max_steps: int) -> int:
        """Score evaluations of the solver if it takes all its steps."""
        solver, nodes = self.solver(name), len(self.guess.x)
        if isinstance(solver, Surrogate):
            return solver.first + 3 + max_steps * solver.batch
        return nodes + max_steps * (nodes - 2)

    def geodesic(
        self,
        solver: str,
        tol: float,
        max_steps: int,
        on_step: Callable[[Step], None] | None = None,
        start: Step | None = None,
    ) -> Path:
        """Solve for the geodesic near the great circle, with the solver of a name in `settings.SOLVERS`."""
        solution = solve_bvp(
            self.metric,
            self.guess,
            solver=self.solver(solver),
            tol=tol,
            max_steps=max_steps,
            on_step=on_step,
            start=start,
        )
        return Path("geodesic", solution.curve, self.ends.profile, solution, self.metric.alpha, self.bend)

    def slerp(self) -> Path:
        """The great circle, with the norm going from one end's to the other's."""
        x = self.guess.x
        curve = Curve.straight(x[0], x[-1], len(x), self.metric.space)
        return Path("slerp", curve, self.ends.profile, None, self.metric.alpha, self.bend)

    def lerp(self) -> Path:
        """The straight line in latent space."""
        curve = Curve.straight(self.ends.x[0], self.ends.x[1], len(self.guess.x), Euclidean())
        return Path("lerp", curve, None, None, self.metric.alpha, self.bend)

    def measure(self, path: Path) -> PathReport:
        """Measure a path at MEASURED points; the residual at every second of them.

        One batch of scores serves the density, which is a line integral and needs many points, and the residual.
        """
        u = positions(MEASURED).to(self.ends.x.device, self.ends.x.dtype)
        x = path(u)
        scores = self.score(x, u)
        flat = analyse(DensityMetric(self.score, self.metric.alpha, Euclidean()), Curve(x, Euclidean()), scores)
        own: CurveReport = flat
        if path.profile is not None:
            nodes = Curve(path.curve(u[::2]), path.curve.space)
            lowered = (path.profile.factor(u) * scores)[::2]
            own = analyse(self.metric, nodes, lowered, order=4)
        excess = flat.log_density - u * flat.log_density[-1]
        return PathReport(
            u=u.tolist(),
            log_density=flat.log_density.tolist(),
            speed=flat.speed.tolist(),
            node_u=own.u[1:-1].tolist(),
            residual=own.residual[1:-1].tolist(),
            relative_residual=own.relative_residual,
            log_length=own.log_length,
            length=own.length,
            euclidean_length=flat.euclidean_length,
            min_log_density=flat.min_log_density,
            mean_log_density=flat.mean_log_density,
            min_excess=float(excess.min()),
            mean_excess=float(excess.mean()),
        )


def evaluations_to_pace(frames: int, steps: int) -> int:
    """Network evaluations of `even_positions` at guidance 1."""
    return (DENSE * (frames - 1) - 1) * (max(1, steps // 2) + 1)


def positions(frames: int) -> Tensor:
    """Equal steps in u, float64, exact at both ends."""
    return torch.linspace(0, 1, frames, dtype=torch.float64)


def clean(
    model: LatentDiffusion, ends: Ends, path: Path, u: Tensor, steps: int, guidance: float, at_once: int = 64
) -> Tensor:
    """Clean latents (m, d) along a path; ``steps`` + 1 evaluations for each position but u = 0 and u = 1.

    There they are the encodings of the images themselves, which have not been to tau and back.
    """
    z = torch.lerp(ends.z[0], ends.z[1], u.round().to(ends.z.dtype).to(ends.z.device)[:, None])
    inner = ((u > 0) & (u < 1)).nonzero()[:, 0]
    for first in range(0, len(inner), at_once):
        rows = inner[first : first + at_once]
        x = path(u[rows].to(ends.x.dtype).to(ends.x.device))
        condition = ends.conditioning(u[rows])
        drawn = model.drop(x, ends.shape, condition, ends.tau, steps, guidance)
        z = z.index_put((rows.to(z.device),), drawn.to(z.dtype))
    return z


def even_positions(model: LatentDiffusion, ends: Ends, path: Path, frames: int, steps: int, guidance: float) -> Tensor:
    """Positions u at which neighbouring frames are equally far apart in the autoencoder's latents.

    The autoencoder's latent is the model's own idea of what a picture looks like; it needs no further network. A jump
    stays a jump, but gets more frames than a part where nothing happens. `evaluations_to_pace` says what it costs.
    """
    dense = positions(DENSE * (frames - 1) + 1)
    z = clean(model, ends, path, dense, max(1, steps // 2), guidance).to("cpu", torch.float64)
    travelled = torch.cat([torch.zeros(1, dtype=torch.float64), (z[1:] - z[:-1]).norm(dim=-1).cumsum(0)])
    if not bool(travelled[-1] > 0):
        return positions(frames)
    after, part = linalg.locate(travelled, positions(frames) * travelled[-1])
    u = dense[after - 1] + part * (dense[after] - dense[after - 1])
    u[0], u[-1] = 0.0, 1.0
    return u
