"""Directions that do not need a scale: the best alpha, its error, and the cosine against random orders."""

import math

import pytest
import torch
from torch import Tensor

from geodesic_cli.geometry import Euclidean, linalg
from geodesic_cli.geometry.clips.sequence import SequenceReport, measure_sequence
from geodesic_cli.geometry.clips.significance import BestAlpha, against_shuffled, best_alpha
from geodesic_cli.geometry.toys import HalfSpace
from helpers import normal, vector

FLAT = Euclidean()


def fitted(found: SequenceReport) -> BestAlpha:
    products = linalg.dot(found.curvature, found.pull).squeeze(-1)
    squares = linalg.dot(found.pull, found.pull).squeeze(-1)
    return best_alpha(products, squares, float(found.curvature.square().sum()))


def geodesic(alpha: float, nodes: int = 33) -> tuple[Tensor, Tensor]:
    density = HalfSpace(alpha)
    u = torch.linspace(0, 1, nodes, dtype=torch.float64)
    x = density.geodesic(vector(-1, 0.6), vector(1, 0.8), u)
    return x, density(x, u)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("alpha", [0.01, 0.5, 3.0])
def test_on_a_geodesic_the_best_alpha_is_its_own_and_explains_everything(alpha: float) -> None:
    best = fitted(measure_sequence(*geodesic(alpha), 0.0, FLAT))
    assert best.alpha == pytest.approx(alpha, rel=1e-3)
    assert best.error < 1e-3 * alpha
    assert best.explained > 0.9999


def test_the_standard_error_is_how_far_the_estimate_strays() -> None:
    pull = normal(40, 5, seed=1) * torch.linspace(0.2, 3, 40, dtype=torch.float64)[:, None]
    found = []
    for seed in range(200):
        noise = 0.3 * normal(40, 5, seed=10 + seed) * pull.norm(dim=1, keepdim=True)
        curvature = -0.7 * pull + noise
        products, squares = (curvature * pull).sum(1), (pull * pull).sum(1)
        found.append(best_alpha(products, squares, float(curvature.square().sum())))
    alphas = torch.tensor([one.alpha for one in found])
    errors = torch.tensor([one.error for one in found])
    assert float(alphas.mean()) == pytest.approx(0.7, abs=0.02)
    assert float(errors.mean()) == pytest.approx(float(alphas.std()), rel=0.15)


def test_a_path_on_the_shell_of_typical_points_asks_for_minus_one_over_the_dimension() -> None:
    dimension, sigma = 256, 0.7
    eps = math.sqrt(dimension) * linalg.unit(normal(60, dimension))
    centre = 0.05 * torch.linspace(0, 1, 60, dtype=torch.float64)[:, None] * normal(1, dimension, seed=1)
    found = measure_sequence(centre + sigma * eps, -eps / sigma, 0.0, FLAT)
    best = fitted(found)
    assert best.alpha * dimension == pytest.approx(-1, abs=0.15)
    assert best.alpha + 10 * best.error < 0
    assert float(found.alignment.max()) < 0


def test_no_pull_and_no_bend_fit_nothing() -> None:
    assert best_alpha(torch.zeros(3), torch.zeros(3), 1.0) == BestAlpha(0.0, 0.0, 0.0)
    assert best_alpha(torch.zeros(3), torch.ones(3), 0.0) == BestAlpha(0.0, 0.0, 0.0)
    assert best_alpha(torch.ones(1), torch.ones(1), 1.0).error == math.inf


def test_a_geodesic_is_aligned_far_beyond_chance_and_a_random_order_is_not() -> None:
    x, scores = geodesic(0.5)
    found = against_shuffled(x, scores, FLAT, seeded(), draws=99)
    assert found.mean > 0.99
    assert found.p_value == 0.01
    order = torch.cat([torch.tensor([0]), 1 + torch.randperm(31, generator=seeded(5)), torch.tensor([32])])
    shuffled = against_shuffled(x[order], scores[order], FLAT, seeded(), draws=99)
    assert shuffled.p_value > 0.05


def test_p_values_of_chance_are_spread_evenly() -> None:
    values = []
    for seed in range(60):
        x, scores = normal(12, 8, seed=seed), normal(12, 8, seed=1000 + seed)
        values.append(against_shuffled(x, scores, FLAT, seeded(seed), draws=19).p_value)
    assert 0.35 < sum(values) / len(values) < 0.65
    assert min(values) >= 0.05
