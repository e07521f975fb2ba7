"""A sequence beside its rivals: the five paths of Fig. 3 of "Probability Density Geodesics in Image Diffusion Latent
Space" (Yu et al., CVPR 2025).

    clip       g_v    the points themselves, in their order and timing
    optimised  g_o    the geodesic that a solver finds from g_v, between the same ends, at even steps
    perturbed  g_δ    g_v with random bumps tangent to the space, ends fixed; several draws
    smoothed   g_s    g_v with a moving mean over the points, ends fixed
    straight          the shortest path of the space between the ends, at even steps

If g_v is a geodesic then (i) the norm of its geodesic gradient is small, (ii) about that of g_o, and (iii) larger on
g_δ and g_s. How the paper makes g_δ and g_s is not published. Here a bump is a sum of half waves (`perturb`), given by
its root mean square in mean steps of the sequence and by the number of waves, and the moving mean is Gaussian
(`smooth`), given by its width in frames.

All five have as many points as the sequence, because a polygon's curvature depends on how long its steps are.

The points have norms of their own. What is judged are their directions, on the sphere whose radius R0 is the geometric
mean of the two ends' norms, R0² = |x[0]| |x[m-1]|, and the score is seen from there: with x = f y, grad_y log p = f s.
The clip and the perturbed paths keep the norm of every point; of the smoothed path its logarithm is smoothed likewise;
of the straight and the optimised path it goes linearly from end to end (`RadialProfile`), as in an interpolation. Two
points follow the same convention as they do there. Log densities are those of the points x.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from geodesic_cli.geometry import linalg
from geodesic_cli.geometry.clips.sequence import HELD, SequenceReport, log_density_changes, measure_sequence, thirds
from geodesic_cli.geometry.clips.significance import Alignment, against_shuffled
from geodesic_cli.geometry.curve import Curve
from geodesic_cli.geometry.density import Portion, RadialProfile, Score
from geodesic_cli.geometry.metric import DensityMetric, accumulate
from geodesic_cli.geometry.perturbation import moving_mean, perturb, smooth
from geodesic_cli.geometry.solution import Solution
from geodesic_cli.geometry.solvers.bvp import solve_bvp
from geodesic_cli.geometry.solvers.relaxation import Relaxation
from geodesic_cli.geometry.space import Euclidean, Sphere

ATTEMPTS = (Relaxation(), Relaxation(damping=0.1, memory=20, continuation=False, shift=10.0))
"""Solvers of the optimised path, one after the other, each from the best path of those before. A clip's path is long
and rough: from there the relaxation gets further than the surrogate, in less time. Where it stalls, a careful one with
a long memory goes on: on the sample clips from residuals of 0.37 and 0.11 to 0.06 and 0.11."""


@dataclass(frozen=True)
class RivalChoice:
    """How the rivals are made.

    Args:
        alpha: the density exponent.
        noise: root mean square of a bump, in mean steps of the sequence.
        waves: half waves of a bump; None is as many as there are inner points, which is white noise.
        draws: how many perturbed paths.
        smoothing: width of the moving mean, in points.
        seed: of the bumps and of the random orders.
        tol: relative residual at which the optimised path is solved.
        max_steps: of each attempt at it.
        orders: random orders behind the p-value of the alignment.
    """

    alpha: float
    noise: float = 0.5
    waves: int | None = None
    draws: int = 8
    smoothing: float = 2.0
    seed: int = 0
    tol: float = 0.03
    max_steps: int = 40
    orders: int = 199


@dataclass(frozen=True, eq=False)
class Rivals:
    """What `compare` finds.

    Args:
        clip: measurements of the sequence.
        optimised: of the geodesic; None where the ends are one point, between which the shortest path is to stay.
        perturbed: of every draw.
        smoothed: of the smoothed sequence.
        straight: of the straight path; None where the ends are one point.
        solution: how the geodesic was found.
        shuffled: the alignment of the sequence against random orders of it.
        bumped: the alignment of the sequence against its perturbed paths.
        score_calls: evaluations of the score.
    """

    clip: SequenceReport
    optimised: SequenceReport | None
    perturbed: tuple[SequenceReport, ...]
    smoothed: SequenceReport
    straight: SequenceReport | None
    solution: Solution | None
    shuffled: Alignment
    bumped: Alignment
    score_calls: int


def compare(
    score: Score,
    x: Float[Tensor, "m d"],
    u: Float[Tensor, "m"],
    choice: RivalChoice,
    on_calls: Callable[[int], None] | None = None,
) -> Rivals:
    """Compare a sequence of at least three points, of any norms and no two neighbours alike, with its rivals.

    The positions u, for the score, increase. `on_calls` only watches: it is told of evaluations as they are spent.
    """
    count, spent = len(x), 0

    def note(calls: int) -> None:
        nonlocal spent
        spent += calls
        if on_calls is not None:
            on_calls(calls)

    profile = RadialProfile(float(linalg.norm(x[0])), float(linalg.norm(x[-1])))
    space, factor = Sphere(profile.radius), linalg.norm(x) / profile.radius
    y = x / factor
    even = torch.linspace(0, 1, count, dtype=x.dtype, device=x.device)
    even_u = u[0] + even * (u[-1] - u[0])
    generator = torch.Generator().manual_seed(choice.seed)

    def measured(points: Tensor, norms: Tensor, at: Tensor) -> tuple[SequenceReport, Tensor]:
        note(3 * count - 2)
        return _measured(score, points, norms, at, choice.alpha, space)

    clip, scores = measured(y, factor, u)
    curve = Curve(y, space)
    waves = count - 2 if choice.waves is None else choice.waves
    bumps = (perturb(curve, choice.noise / (count - 1), generator, waves) for _ in range(choice.draws))
    perturbed = tuple(measured(bump.x, factor, u)[0] for bump in bumps)
    smoothed, _ = measured(smooth(curve, choice.smoothing).x, moving_mean(factor.log(), choice.smoothing).exp(), u)
    optimised = straight = solution = None
    if float(space.distance(y[:1], y[-1:])) > float(clip.steps.median()) * HELD:
        between = profile.factor(even)
        straight, _ = measured(Curve.straight(y[0], y[-1], count, space).x, between, even_u)
        part = Portion(score, float(u[0]), float(u[-1]))
        metric = DensityMetric(profile.score(part), choice.alpha, space)
        solution = _solved(metric, curve, choice)
        note(solution.score_calls)
        optimised, _ = measured(solution.curve.at_constant_speed()(even), between, even_u)
    return Rivals(
        clip=clip,
        optimised=optimised,
        perturbed=perturbed,
        smoothed=smoothed,
        straight=straight,
        solution=solution,
        shuffled=against_shuffled(y, scores, space, generator, choice.orders),
        bumped=Alignment(float(clip.alignment.mean()), tuple(float(one.alignment.mean()) for one in perturbed)),
        score_calls=spent,
    )


def _solved(metric: DensityMetric, guess: Curve, choice: RivalChoice) -> Solution:
    """The geodesic near a guess, by as many attempts as it takes; the best path of all where none converges."""
    best, calls, steps = None, 0, 0
    for solver in ATTEMPTS:
        start = guess if best is None else best.curve
        found = solve_bvp(metric, start, solver=solver, tol=choice.tol, max_steps=choice.max_steps)
        calls, steps = calls + found.score_calls, steps + found.steps
        best = found if best is None or found.residual < best.residual else best
        if best.converged:
            break
    assert best is not None
    return replace(best, score_calls=calls, steps=steps)


def _measured(
    score: Score, y: Tensor, factor: Tensor, u: Tensor, alpha: float, space: Sphere
) -> tuple[SequenceReport, Tensor]:
    """The report and the scores at the points, from one batch with the thirds; log p is that of x = factor y."""
    logs, count = factor.log(), len(y)
    near, far = (((2 - k) * logs[:-1] + (1 + k) * logs[1:]) / 3 for k in (0, 1))
    norms = torch.cat([logs, near, far]).exp()
    x = norms * torch.cat([y, *thirds(y, space)])
    raw = score(x, torch.cat([u, (2 * u[:-1] + u[1:]) / 3, (u[:-1] + 2 * u[1:]) / 3]))
    lowered = norms * raw

    def inside(scores: Tensor) -> Tensor:
        return scores[count:].reshape(2, count - 1, -1)

    report = measure_sequence(y, lowered[:count], alpha, space, inside(lowered))
    changes = log_density_changes(x[:count], raw[:count], Euclidean(), inside(raw))
    return replace(report, log_density=accumulate(changes[:, 1])), lowered[:count]
