"""Smooth bumps with fixed ends, of the size that was asked for."""

import pytest
import torch

from geodesic_cli.errors import GeometryError
from geodesic_cli.geometry import Curve, Euclidean, Sphere, perturb
from helpers import vector


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
