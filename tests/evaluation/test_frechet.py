"""The Fréchet distance against its closed forms for Gaussians."""

import pytest
import torch

from geodesic_cli.errors import InputError
from geodesic_cli.evaluation import frechet, statistics
from geodesic_cli.evaluation.frechet import Statistics
from helpers import normal, rotation


def gaussian(mean: torch.Tensor, covariance: torch.Tensor) -> Statistics:
    return Statistics(mean, covariance, 10**6)


def test_equal_sets_are_at_distance_zero() -> None:
    x = normal(50, 4)
    assert frechet(x, x).value == pytest.approx(0, abs=1e-12)


def test_commuting_covariances_have_the_closed_form() -> None:
    q, s, r = rotation(5), torch.arange(1.0, 6.0, dtype=torch.float64), torch.tensor([4.0, 1, 0, 9, 2]).double()
    m = normal(5, seed=3)
    one, two = gaussian(torch.zeros(5).double(), q * s @ q.T), gaussian(m, q * r @ q.T)
    expected = float(m.square().sum() + (s.sqrt() - r.sqrt()).square().sum())
    assert frechet(one, two).value == pytest.approx(expected, rel=1e-10)


def test_covariances_that_do_not_commute_agree_with_a_matrix_root() -> None:
    from scipy.linalg import sqrtm

    a, b = (x.T @ x for x in (normal(6, 4, seed=1), normal(9, 4, seed=2)))
    zero = torch.zeros(4).double()
    expected = float(a.trace() + b.trace() - 2 * sqrtm((a @ b).numpy()).real.trace())
    assert frechet(gaussian(zero, a), gaussian(zero, b)).value == pytest.approx(expected, rel=1e-8)


def test_it_does_not_change_under_a_rotation_and_scales_as_a_square() -> None:
    x, y, q = normal(60, 5, seed=1), 2 * normal(70, 5, seed=2) + 1, rotation(5)
    plain = frechet(x, y).value
    assert frechet(x @ q, y @ q).value == pytest.approx(plain, rel=1e-9)
    assert frechet(3 * x, 3 * y).value == pytest.approx(9 * plain, rel=1e-9)


def test_statistics_are_those_of_numpy() -> None:
    import numpy as np

    x = normal(20, 3)
    found = statistics(x)
    assert np.allclose(found.covariance.numpy(), np.cov(x.numpy(), rowvar=False))
    assert np.allclose(found.mean.numpy(), x.numpy().mean(0))


def test_too_few_images_bring_a_caution_and_more_do_not() -> None:
    assert "5 images are too few for 8" in frechet(normal(5, 8), normal(20, 8, seed=1)).caution
    assert frechet(normal(9, 8), normal(20, 8, seed=1)).caution == ""


def test_a_small_set_is_biased_upwards_as_the_text_says() -> None:
    values = [frechet(normal(n, 8, seed=n), normal(n, 8, seed=n + 1)).value for n in (20, 200, 2000)]
    assert values[0] > 3 * values[1] > 9 * values[2] > 0


def test_what_cannot_be_measured_is_refused() -> None:
    with pytest.raises(InputError, match="one dimension"):
        frechet(normal(9, 3), normal(9, 4))
    with pytest.raises(InputError, match="two images"):
        statistics(normal(1, 3))
    with pytest.raises(InputError, match="finite"):
        statistics(torch.full((3, 2), torch.nan))
