"""Both ends of a spectrum, against spectra that are known, and bounds that hold."""

import math

import pytest
import torch
from torch import Tensor

from geodesic_cli.distortion import measures as distortion
from geodesic_cli.distortion.extremes import extremes
from geodesic_cli.errors import GeometryError
from helpers import normal, rotation


def bent(x: Tensor) -> Tensor:
    """A smooth map of rows R^7 -> R^12."""
    return torch.tanh(x.flatten(1) @ normal(7, 12, seed=2) / 3)


def known(values: list[float], n: int) -> tuple[Tensor, Tensor]:
    """A matrix (n + 5, n) that has the given singular values on the tangent space of x, and x (1, n)."""
    x = normal(1, n, seed=3)
    right = rotation(n - 1, seed=1)[: len(values)] @ torch.linalg.svd(x)[2][1:]
    left = rotation(n + 5, seed=2)[: len(values)]
    return left.T @ torch.diag(torch.tensor(values, dtype=torch.float64)) @ right, x


def chance() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.mark.parametrize("directions", [2, 8, 13, 30, 60])
def test_the_ends_are_bounds_and_an_eigenvalue_is_within_their_error(directions: int) -> None:
    values = [float(1.15 ** (-k)) * 5 for k in range(60)]
    matrix, x = known(values, 61)
    found = extremes(lambda y: y @ matrix.T, x, directions, chance(), at_once=7)
    spectrum = torch.tensor(values, dtype=torch.float64) ** 2
    assert found.directions == directions
    assert found.top <= 25 * (1 + 1e-8)
    assert found.bottom >= float(spectrum[-1]) * (1 - 1e-4)
    assert found.condition <= 25 / float(spectrum[-1]) * (1 + 1e-4)
    for value, error in ((found.top, found.top_error), (found.bottom, found.bottom_error)):
        assert float((spectrum - value).abs().min()) <= error + 1e-8
    if directions >= 30:
        assert found.top == pytest.approx(25, rel=1e-6)
    if directions == 60:  # all of the tangent space
        assert found.condition == pytest.approx(25 / float(spectrum[-1]), rel=1e-4)


def test_the_bound_is_sharper_than_random_directions() -> None:
    matrix, x = known([float(1.1 ** (-k)) for k in range(100)], 101)
    basis = distortion.random_basis(24, 100, chance())
    random = torch.linalg.eigvalsh(distortion.projected_metric(lambda y: y @ matrix.T, x, basis))
    assert extremes(lambda y: y @ matrix.T, x, 24, chance()).condition > 2 * float(random[-1] / random[0])


def test_a_metric_with_a_kernel_has_no_condition_number() -> None:
    matrix, x = known([3.0, 2.0, 1.0], 12)
    found = extremes(lambda y: y @ matrix.T, x, 11, chance())
    assert math.isinf(found.condition)
    assert found.top == pytest.approx(9, rel=1e-8)


def test_a_map_that_is_not_linear_has_the_ends_of_its_whole_metric() -> None:
    x = normal(1, 7)
    whole = torch.linalg.eigvalsh(distortion.tangent_metric(distortion.jacobian(bent, x), x))
    found = extremes(bent, x, 6, chance())
    assert (found.top, found.bottom) == pytest.approx((float(whole[-1]), float(whole[0])), rel=1e-6)


def test_one_direction_has_no_two_ends() -> None:
    with pytest.raises(GeometryError, match="two directions"):
        extremes(bent, normal(1, 7), 1, chance())
