import math

import pytest
import torch

from geodesic_cli.errors import GeometryError
from geodesic_cli.geometry import Blend, RadialProfile, Scaled, Sum
from geodesic_cli.geometry.toys import Exponential, GaussianMixture, Radial
from helpers import normal, vector

FIRST, SECOND = Radial(0.7), Exponential(vector(1, -2, 3))
X, U = normal(5, 3), torch.linspace(0, 1, 5, dtype=torch.float64)


def test_a_scaled_score_is_a_multiple():
    torch.testing.assert_close(Scaled(FIRST, 2.5)(X, U), 2.5 * FIRST(X, U))


def test_a_sum_of_scores_is_the_score_of_the_product():
    x = X.clone().requires_grad_(True)
    (FIRST.log_prob(x) + SECOND.log_prob(x) + FIRST.log_prob(x)).sum().backward()
    torch.testing.assert_close(Sum((FIRST, SECOND, FIRST))(X, U), x.grad)


def test_a_blend_is_the_first_at_the_start_and_the_second_at_the_end():
    blend = Blend(FIRST, SECOND)(X, U)
    torch.testing.assert_close(blend[0], FIRST(X, U)[0])
    torch.testing.assert_close(blend[-1], SECOND(X, U)[-1])
    torch.testing.assert_close(blend[2], (FIRST(X, U)[2] + SECOND(X, U)[2]) / 2)


def test_a_radial_profile_meets_the_norms_of_both_ends():
    profile = RadialProfile(2.0, 4.5)
    y = normal(2, 6)
    y = profile.radius * y / y.norm(dim=1, keepdim=True)
    assert profile.radius == pytest.approx(3.0)
    torch.testing.assert_close(profile.lift(y, vector(0, 1)).norm(dim=1), vector(2.0, 4.5))


def test_a_radial_profile_is_the_geometric_mean_of_the_norms_on_the_way():
    profile = RadialProfile(2.0, 4.5)
    expected = (2.0 ** (1 - U) * 4.5**U / 3.0)[:, None]
    torch.testing.assert_close(profile.factor(U), expected)


def test_lowering_undoes_lifting():
    profile = RadialProfile(0.3, 7.0)
    torch.testing.assert_close(profile.lower(profile.lift(X, U), U), X)
    torch.testing.assert_close(profile.lower(X, U), profile.radius / (0.3 ** (1 - U) * 7.0**U)[:, None] * X)


def test_the_lowered_score_is_the_gradient_seen_from_the_sphere():
    mixture = GaussianMixture(normal(4, 3, seed=1), vector(0.5, 0.8, 1.0, 1.3), vector(1, 2, 3, 4))
    profile = RadialProfile(0.9, 2.6)
    y = X.clone().requires_grad_(True)
    ratio = (0.9 ** (1 - U) * 2.6**U / math.sqrt(0.9 * 2.6))[:, None]
    mixture.log_prob(ratio * y).sum().backward()
    torch.testing.assert_close(profile.score(mixture)(X, U), y.grad, rtol=1e-12, atol=1e-12)


def test_equal_norms_leave_the_score_alone():
    torch.testing.assert_close(RadialProfile(1.5, 1.5).score(FIRST)(X, U), FIRST(X, U))


@pytest.mark.parametrize("norms", [(0.0, 1.0), (1.0, -1.0), (math.nan, 1.0), (1.0, math.inf)])
def test_a_radial_profile_needs_positive_norms(norms: tuple[float, float]):
    with pytest.raises(GeometryError, match="positive"):
        RadialProfile(*norms)
