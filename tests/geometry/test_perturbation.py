"""Smooth bumps with fixed ends, of the size that was asked for."""

import pytest
import torch

from geodesic_cli.errors import GeometryError
from geodesic_cli.geometry import Curve, Euclidean, Sphere, perturb
from geodesic_cli.geometry.perturbation import moving_mean, smooth
from helpers import normal, vector


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def line(nodes: int = 33) -> Curve:
    return Curve.straight(vector(0, 0, 0), vector(3, 0, 4), nodes, Euclidean())


def arc() -> Curve:
    return Curve.straight(vector(2, 0, 0), vector(0, 2, 0), 33, Sphere(2.0))


@pytest.mark.parametrize("curve", [line(), arc()], ids=["line", "arc"])
def test_the_ends_stay_bit_for_bit_and_the_rest_moves(curve: Curve) -> None:
    bumped = perturb(curve, 0.05, seeded())
    assert torch.equal(bumped.x[[0, -1]], curve.x[[0, -1]])
    assert float((bumped.x - curve.x)[1:-1].norm(dim=1).min()) > 0
    assert bool(curve.space.contains(bumped.x).all())


def test_the_bump_has_the_root_mean_square_that_was_asked_for() -> None:
    bumped = perturb(line(), 0.02, seeded())
    assert float((bumped.x - line().x).square().sum(1).mean().sqrt()) == pytest.approx(0.02 * 5)


def test_the_same_seed_gives_the_same_bump_and_another_one_another() -> None:
    assert torch.equal(perturb(arc(), 0.01, seeded(3)).x, perturb(arc(), 0.01, seeded(3)).x)
    assert not torch.equal(perturb(arc(), 0.01, seeded(3)).x, perturb(arc(), 0.01, seeded(4)).x)


def test_a_bump_is_smooth_and_rougher_with_more_waves() -> None:
    def roughness(waves: int) -> float:
        change = perturb(line(129), 0.01, seeded(), waves).x - line(129).x
        return float((change[2:] - 2 * change[1:-1] + change[:-2]).norm() / change.norm())

    assert roughness(1) < roughness(3) < roughness(12)
    assert roughness(1) == pytest.approx((torch.pi / 128) ** 2, rel=0.01)


def test_no_amplitude_is_no_bump_and_nonsense_is_refused() -> None:
    curve = line()
    assert perturb(curve, 0.0, seeded()) is curve
    with pytest.raises(GeometryError, match="amplitude"):
        perturb(curve, -0.1, seeded())
    with pytest.raises(GeometryError, match="wave"):
        perturb(curve, 0.1, seeded(), waves=0)


def test_with_as_many_waves_as_inner_nodes_a_bump_is_white_noise() -> None:
    changes = torch.stack([perturb(line(17), 0.1, seeded(seed), 15).x - line(17).x for seed in range(300)])
    inner = changes[:, 1:-1].permute(1, 0, 2).reshape(15, -1)
    correlation = torch.corrcoef(inner)
    assert float((correlation - torch.eye(15, dtype=torch.float64)).abs().max()) < 0.12


@pytest.mark.parametrize("curve", [line(), arc()], ids=["line", "arc"])
def test_a_moving_mean_leaves_straight_curves_and_all_ends_where_they_are(curve: Curve) -> None:
    assert torch.allclose(smooth(curve, 2.0).x, curve.x, atol=1e-2)
    bumped = perturb(curve, 0.05, seeded(), 15)
    smoothed = smooth(bumped, 2.0)
    assert torch.equal(smoothed.x[[0, -1]], curve.x[[0, -1]])
    assert bool(curve.space.contains(smoothed.x).all())
    assert float((smoothed.x - curve.x).norm()) < 0.7 * float((bumped.x - curve.x).norm())
    assert smooth(curve, 0.0) is curve


def test_a_moving_mean_moves_a_parabola_by_half_of_width_squared_times_its_curvature() -> None:
    u = torch.arange(41, dtype=torch.float64)[:, None]
    moved = moving_mean(3 * u**2, 1.5) - 3 * u**2
    assert moved[12:-12].flatten().tolist() == pytest.approx([0.5 * 1.5**2 * 6] * 17, rel=1e-4)


def test_a_moving_mean_wider_than_the_curve_is_finite_and_a_negative_one_is_refused() -> None:
    assert bool(moving_mean(normal(5, 3), 100.0).isfinite().all())
    with pytest.raises(GeometryError, match="width"):
        moving_mean(normal(5, 3), -1.0)
