import math

import pytest
import torch

from geodesic_cli.geometry import Blend, Seen
from geodesic_cli.geometry.kernel.regression import fit_scores
from geodesic_cli.geometry.toys import GaussianMixture, Radial
from helpers import normal, vector

MIXTURE = GaussianMixture(normal(4, 3), vector(0.8, 0.9, 1.0, 1.3), vector(1, 2, 3, 4))


def seen(score, count: int, seed: int = 0, d: int = 3) -> Seen:
    x, u = normal(count, d, seed=seed), torch.linspace(0, 1, count, dtype=torch.float64)
    return Seen(x, u, score(x, u))


def error(model, score, d: int = 3) -> float:
    x = 0.7 * normal(200, d, seed=99)
    u = torch.rand(200, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    wanted = score(x, u)
    return float((model(x, u) - wanted).norm() / wanted.norm())


def test_the_scores_seen_are_reproduced():
    data = seen(MIXTURE, 30)
    model = fit_scores(data, varying=False)
    torch.testing.assert_close(model(data.x, data.u), data.scores, rtol=0, atol=1e-4)


def test_more_scores_make_a_better_model():
    errors = [error(fit_scores(seen(MIXTURE, count), varying=False), MIXTURE) for count in (10, 40, 160)]
    assert errors[0] > 1.5 * errors[1] > 2 * errors[2]
    assert errors[2] < 0.1


def test_a_gaussian_is_known_from_three_scores_by_its_trend():
    model = fit_scores(seen(Radial(0.5), 3), varying=False)
    assert model.slope == pytest.approx(4.0, rel=1e-6)
    assert error(model, Radial(0.5)) < 1e-6


def test_the_trend_is_never_repulsive():
    model = fit_scores(seen(lambda x, u: 5 * x, 12), varying=False)
    assert model.slope == 0


def test_a_density_that_varies_along_the_path_needs_its_position():
    score = Blend(Radial(0.5), MIXTURE)
    data = seen(score, 80)
    assert error(fit_scores(data, varying=True), score) < 0.6 * error(fit_scores(data, varying=False), score)


def test_noise_is_found_and_its_size_is_right():
    clean = seen(MIXTURE, 120)
    noisy = Seen(clean.x, clean.u, clean.scores + 0.3 * normal(120, 3, seed=5))
    model = fit_scores(noisy, varying=False)
    assert model.nugget >= 1e-2
    assert model.noise == pytest.approx(0.3 * math.sqrt(3), rel=0.5)
    assert fit_scores(clean, varying=False).nugget <= 1e-3
    assert error(model, MIXTURE) < 0.3


def test_the_least_certain_points_are_the_ones_far_from_all_others():
    data = seen(MIXTURE, 10)
    model = fit_scores(data, varying=False)
    x = torch.cat([data.x[:3] + 1e-3, vector(9, 0, 0)[None], vector(9, 0.01, 0)[None], vector(-9, 0, 0)[None]])
    chosen = model.least_certain(x, torch.zeros(6, dtype=torch.float64), 2)
    assert chosen[-1] == 5
    assert chosen[0] in (3, 4)  # not both: the second is known once the first is


def test_a_fit_stays_near_the_length_of_the_one_before():
    data = seen(MIXTURE, 20)
    free = fit_scores(data, varying=False).length
    held = fit_scores(data, varying=False, previous=free / 4).length
    assert held <= 2.1 * free / 4


def test_the_result_of_a_fit_does_not_depend_on_a_rotation():
    turn = torch.linalg.qr(normal(3, 3, seed=7))[0]
    data = seen(MIXTURE, 25)
    turned = Seen(data.x @ turn, data.u, data.scores @ turn)
    x, u = normal(5, 3, seed=8), torch.zeros(5, dtype=torch.float64)
    one, other = fit_scores(data, varying=False), fit_scores(turned, varying=False)
    torch.testing.assert_close(other(x @ turn, u), one(x, u) @ turn, rtol=0, atol=1e-7)


def test_far_from_the_origin_the_model_loses_no_more_digits_than_the_points_have():
    away = vector(*[3e3] * 3)
    data = seen(MIXTURE, 40)
    near, far = (fit_scores(Seen(data.x + shift, data.u, data.scores), varying=False) for shift in (0 * away, away))
    x, u = 0.7 * normal(50, 3, seed=9), torch.zeros(50, dtype=torch.float64)
    apart = torch.cdist(x, data.x, compute_mode="donot_use_mm_for_euclid_dist") * math.sqrt(5) / near.length
    kernel = (1 + apart + apart * apart / 3) * torch.exp(-apart)
    torch.testing.assert_close(near(x, u), near.offset - near.slope * x + kernel @ near.coefficients, rtol=0, atol=1e-9)
    assert far.length == pytest.approx(near.length)
    torch.testing.assert_close(far(x + away, u), near(x, u), rtol=0, atol=1e-4)
