"""A sweep of random problems: whatever is asked, the answer's status is true.

Dimensions 1 to 64, alphas over four decades, flat space and spheres, densities that are smooth, kinked, constant, huge,
not a gradient, or not a number somewhere, and endpoints that are ordinary, identical, nearly identical, collinear with
the centre of symmetry, or antipodal.
"""

import math
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from geodesic_cli.errors import GeodesicError
from geodesic_cli.geometry import (
    Curve,
    DensityMetric,
    Euclidean,
    Relaxation,
    Scaled,
    Score,
    Solution,
    Space,
    Sphere,
    Status,
    Surrogate,
    bending,
    solve_bvp,
)
from geodesic_cli.geometry.toys import Exponential, GaussianMixture, Radial
from helpers import normal

TOL = 0.03
DENSITIES = ("mixture", "gaussian", "slope", "constant", "huge", "nan", "kinked", "curl", "ring")
ENDS = ("any", "any", "any", "same", "close", "collinear", "antipodal")


@dataclass
class Watched:
    """A score that remembers whether it ever was not finite."""

    score: Score
    finite: bool = True
    calls: int = 0

    def __call__(self, x: Tensor, u: Tensor) -> Tensor:
        s = self.score(x, u)
        self.calls += len(x)
        self.finite &= bool(s.isfinite().all())
        return s


def pick(generator: torch.Generator, count: int) -> int:
    return int(torch.randint(0, count, (1,), generator=generator))


def density(kind: str, d: int, seed: int) -> Score:
    centre = normal(d, seed=seed)
    ones = torch.ones(4, dtype=torch.float64)
    mixture = GaussianMixture(1.5 * normal(4, d, seed=seed + 1), 0.6 * ones + 0.3 * normal(4, seed=seed).abs(), ones)
    if kind == "gaussian":
        return Radial(0.8)
    if kind == "slope":
        return Exponential(2 * centre)
    if kind == "constant":
        return lambda x, u: torch.zeros_like(x)
    if kind == "huge":
        return Scaled(mixture, 1e6)
    if kind == "nan":
        return lambda x, u: torch.where(x[:, :1] > 0.2, math.nan, mixture(x, u))
    if kind == "kinked":
        return lambda x, u: -3 * torch.sign(x - 0.1 * centre) / math.sqrt(d)
    if kind == "curl":
        turn = normal(d, d, seed=seed + 2) / math.sqrt(d)
        return lambda x, u: mixture(x, u) + (1 - 2 * u[:, None]) * (x @ (turn - turn.T))
    if kind == "ring":
        return lambda x, u: -8 * (1 - 1.5 / x.norm(dim=1, keepdim=True).clamp(min=1e-6)) * x
    return mixture


def ends(kind: str, space: Space, d: int, seed: int) -> tuple[Tensor, Tensor]:
    a, b = 1.2 * normal(2, d, seed=seed + 3)
    if kind == "same":
        b = a.clone()
    elif kind == "close":
        b = a + 1e-7 * b
    elif kind == "collinear":
        b = -0.7 * a if isinstance(space, Euclidean) else b
    elif kind == "antipodal":
        b = -a
    a, b = space.project(torch.stack([a, b]))
    return a, b


def outcome(seed: int, solver_name: str) -> tuple[Solution | None, DensityMetric | None, Watched, int]:
    """The solution of a problem, its metric and score, and how many kinks a path is likely to cross."""
    generator = torch.Generator().manual_seed(seed)
    d = (1, 2, 2, 3, 5, 8, 16, 33, 64)[pick(generator, 9)]
    space = Sphere(1.5) if d > 1 and pick(generator, 3) == 0 else Euclidean()
    kind = DENSITIES[pick(generator, len(DENSITIES))]
    score = Watched(density(kind, d, seed))
    kinks = 2 * min(d, 8) if kind == "kinked" else 0
    a, b = ends(ENDS[pick(generator, len(ENDS))], space, d, seed)
    exponent = 4 * float(torch.rand(1, generator=generator)) - 3
    solver = Surrogate() if solver_name == "surrogate" else Relaxation()
    try:
        guess = Curve.straight(a, b, 17, space)
        per_alpha = bending(score, guess)
        scale = per_alpha if 1e-6 < per_alpha < math.inf else 1.0  # below, it is rounding on an axis of symmetry
        metric = DensityMetric(score, 10**exponent / scale, space)
        score.finite = True  # what follows is the solver's
        solution = solve_bvp(metric, guess, solver=solver, tol=TOL, max_steps=40)
    except GeodesicError:
        return None, None, score, kinks
    return solution, metric, score, kinks


def relative_residual(metric: DensityMetric, curve: Curve, order: int, kinks: int) -> float:
    """`Residual.relative` without the worst nodes: differences taken over a kink are wrong by the size of the kink."""
    terms = metric.residual(curve, order=order)
    left = terms.vectors[1:-1].norm(dim=1).sort().values[: len(curve.x) - 2 - kinks]
    scale = max(float(terms.density[1:-1].square().sum(1).mean().sqrt()), 0.1 / float(terms.length))
    return float(left.square().mean().sqrt()) / scale


def require_true(seed: int, solver_name: str) -> Status | None:
    """Check what the status of a problem's solution says, and return it."""
    solution, metric, score, kinks = outcome(seed, solver_name)
    if solution is None or metric is None:
        return None
    finite = score.finite
    curve, space = solution.curve, metric.space
    assert bool(curve.x.isfinite().all()), "a path must be finite"
    assert bool(space.contains(curve.x).all()), "a path must lie in its space"
    assert (solution.status is Status.NON_FINITE) == (not finite), "the score's failure must be told"
    if solution.status is Status.CONVERGED and float(curve.length) > 0:
        fine = curve.at_constant_speed(max(33, len(curve.x)))
        measured = min(relative_residual(metric, fine, order, kinks) for order in (2, 4))
        assert measured <= 2 * TOL, f"claims to have converged, but has a residual of {measured:.3g}"
    return solution.status


@pytest.mark.parametrize("solver_name", ["surrogate", "relaxation"])
@pytest.mark.parametrize("first", range(0, 48, 8))
def test_every_status_of_a_random_problem_is_true(first: int, solver_name: str):
    for seed in range(first, first + 8):
        require_true(seed, solver_name)


@pytest.mark.slow
@pytest.mark.parametrize("solver_name", ["surrogate", "relaxation"])
@pytest.mark.parametrize("first", range(0, 1000, 100))
def test_every_status_of_a_thousand_random_problems_is_true(first: int, solver_name: str):
    for seed in range(first, first + 100):
        require_true(seed, solver_name)
