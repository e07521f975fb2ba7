"""The second variation of the length: what it says of curves whose geodesics are known."""

import math

import pytest
import torch

from geodesic_cli.geometry import Curve, DensityMetric, Relaxation, solve_bvp
from geodesic_cli.geometry.variation import UNSTABLE, steepest, too_long_by
from geodesic_cli.geometry.zoo import problems as zoo
from helpers import vector

CLOSED = {case.name: case for case in zoo.cases("closed", 0)}


@pytest.mark.parametrize("name", CLOSED)
@pytest.mark.parametrize("steps", [1, 2, 4])
def test_a_curve_is_too_long_by_what_is_said_to_within_a_factor_of_two_and_a_half(name: str, steps: int):
    case = CLOSED[name]
    solver = Relaxation(continuation=False)
    curve = solve_bvp(case.truth, case.straight(65), solver=solver, max_steps=steps, tol=1e-6).curve.at_constant_speed(
        65
    )
    scores = case.truth.scores_at(curve.x, curve.u)
    true, told = math.log1p(case.excess(curve)), too_long_by(case.truth, curve, scores)
    assert told / 2.5 - 2e-5 < true < 2.5 * told + 2e-5


def test_a_curve_without_inner_nodes_or_on_its_geodesic_is_not_too_long():
    straight = Curve.straight(vector(0, 0, 0), vector(1, 2, 0), 9)
    nothing = DensityMetric(lambda x, u: torch.zeros_like(x), 1.0)
    assert too_long_by(nothing, straight, torch.zeros_like(straight.x)) < 1e-20
    assert too_long_by(nothing, Curve(straight.x[:2]), torch.zeros(2, 3).double()) == 0


def test_fewer_steps_find_the_same_falling_direction_with_fewer_scores():
    def valley(x: torch.Tensor, u: torch.Tensor) -> torch.Tensor:
        """Low along the last axis."""
        return torch.cat([4 * x[:, :1], 0 * x[:, 1:]], dim=1)

    metric, curve = DensityMetric(valley, 0.8), Curve.straight(vector(0, 0, -3), vector(0, 0, 3), 17)
    scores = valley(curve.x, curve.u)
    exact, direction = steepest(metric, curve, scores)
    loose, towards = steepest(metric, curve, scores, steps=8, known=0.02, reach=1e-3)
    # Across the valley it is -d²/dz² - alpha 4: in units of the Laplacian its lowest wave has 1 - 3.2 * 36 / pi².
    assert exact == pytest.approx(1 - 3.2 * 36 / math.pi**2, rel=0.02)
    assert loose < UNSTABLE
    assert loose == pytest.approx(exact, rel=0.02)
    assert float((direction * towards).sum().abs() / (direction.norm() * towards.norm())) > 0.99
