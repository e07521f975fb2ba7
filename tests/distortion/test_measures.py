import math

import pytest
import torch
from torch import Tensor

from geodesic_cli.distortion import loss as isometry
from geodesic_cli.distortion import measures as distortion
from geodesic_cli.distortion.keeping import angle_error, length_error
from geodesic_cli.errors import GeometryError
from geodesic_cli.geometry.linalg import slerp
from helpers import normal, rotation


def bent(x: Tensor) -> Tensor:
    """A smooth map of rows R^7 -> R^(3 x 2 x 2)."""
    a = normal(7, 12, seed=2)
    return torch.tanh(x.flatten(1) @ a / 3).reshape(-1, 3, 2, 2)


def known(values: list[float], n: int) -> tuple[Tensor, Tensor]:
    """A matrix (n + 5, n) that has the given singular values on the tangent space of x, and x (1, n)."""
    x = normal(1, n, seed=3)
    tangent = torch.linalg.svd(x)[2][1:]  # rows orthogonal to x
    right = rotation(n - 1, seed=1)[: len(values)] @ tangent
    left = rotation(n + 5, seed=2)[: len(values)]
    return left.T @ torch.diag(torch.tensor(values, dtype=torch.float64)) @ right, x


def test_the_jacobian_is_that_of_autograd() -> None:
    x = normal(1, 7)
    exact = torch.autograd.functional.jacobian(lambda y: bent(y[None]).flatten(), x[0])
    assert torch.allclose(distortion.jacobian(bent, x, at_once=4), exact, atol=1e-9)


def test_the_pooled_jacobian_is_the_pool_of_the_jacobian() -> None:
    x = normal(1, 7)
    full = distortion.jacobian(bent, x)
    assert torch.allclose(
        distortion.pooled_jacobian(bent, x, at_once=2), distortion.pooled(full, bent(x)[0].shape), atol=1e-9
    )


def test_combinations_of_channels_are_rows_of_the_pooled_jacobian_combined() -> None:
    x, mix = normal(1, 7), distortion.random_basis(2, 3, torch.Generator().manual_seed(0))
    whole = distortion.pooled_jacobian(bent, x)
    assert torch.allclose(distortion.pooled_jacobian(bent, x, mix=mix), mix @ whole, atol=1e-12)


def test_the_tangent_metric_has_the_eigenvalues_of_the_projected_one() -> None:
    x = normal(1, 7)
    full = distortion.jacobian(bent, x)
    inside = torch.eye(7) - x.T @ x / (x @ x.T)
    expected = torch.linalg.eigvalsh(inside @ full.T @ full @ inside)[1:]
    assert torch.allclose(torch.linalg.eigvalsh(distortion.tangent_metric(full, x)), expected, atol=1e-12)


def test_the_projected_metric_is_the_part_of_the_whole_one() -> None:
    x = normal(1, 7)
    basis = distortion.random_basis(3, 6, torch.Generator().manual_seed(0))
    whole = distortion.tangent_metric(distortion.jacobian(bent, x), x)
    part = distortion.projected_metric(bent, x, basis, at_once=2)
    assert torch.allclose(part, basis @ whole @ basis.T, atol=1e-9)
    values, all_of_them = torch.linalg.eigvalsh(part), torch.linalg.eigvalsh(whole)
    assert values[-1] / values[0] <= all_of_them[-1] / all_of_them[0]


def test_the_top_of_a_known_spectrum_is_found_within_the_stated_error() -> None:
    wanted = [float(1.2 ** (-k)) * 5 for k in range(60)]
    matrix, x = known(wanted, 80)
    generator = torch.Generator().manual_seed(0)
    values, _, error = distortion.top_directions(lambda y: y @ matrix.T, x, 6, generator, rounds=4, at_once=7)
    assert bool(((values - torch.tensor(wanted[:6], dtype=torch.float64)).abs() <= error + 1e-8).all())
    assert float((error / values).max()) < 1e-2
    assert values.tolist() == pytest.approx(wanted[:6], rel=1e-4)


def test_the_directions_of_the_top_are_the_right_singular_vectors_with_a_fixed_sign() -> None:
    matrix, x = known([5.0, 3.0, 2.0, 1.0], 12)
    values, rows, _ = distortion.top_directions(lambda y: y @ matrix.T, x, 2, torch.Generator().manual_seed(0))
    assert torch.allclose((rows @ matrix.T).norm(dim=1), values, atol=1e-8)
    assert torch.allclose(rows @ rows.T, torch.eye(2, dtype=rows.dtype), atol=1e-8)
    assert float((rows @ x.flatten()).abs().max()) < 1e-8
    assert bool((rows.gather(1, rows.abs().argmax(1, keepdim=True)) > 0).all())


def test_the_error_of_a_single_round_is_stated_too() -> None:
    wanted = [float(1 - k / 100) for k in range(60)]  # a flat spectrum: the hard case
    matrix, x = known(wanted, 80)
    generator = torch.Generator().manual_seed(0)
    values, _, error = distortion.top_directions(lambda y: y @ matrix.T, x, 4, generator, rounds=1)
    nearest = (values[:, None] - torch.tensor(wanted, dtype=torch.float64)[None]).abs().min(1).values
    assert bool((nearest <= error + 1e-8).all())
    assert float(error.max()) > 1e-3


def test_more_singular_values_than_there_are_cannot_be_asked_for() -> None:
    with pytest.raises(GeometryError, match="Between 1 and 6"):
        distortion.top_directions(bent, normal(1, 7), 7, torch.Generator())


def test_the_condition_number_of_a_linear_map_is_that_of_its_square() -> None:
    matrix, x = known([4.0, 3.0, 2.0, 1.0], 5)
    metric = distortion.tangent_metric(matrix, x)
    found = distortion.riemannian(torch.stack([metric, metric]))
    assert found.mcn == pytest.approx(16)
    assert found.mcn_std == pytest.approx(0, abs=1e-6)
    assert found.vor == pytest.approx(0, abs=1e-10)  # a metric that does not vary
    assert (found.directions, found.points) == (4, 2)


def test_the_variance_of_two_metrics_that_differ_by_a_factor_is_known() -> None:
    one = torch.eye(3, dtype=torch.float64)
    found = distortion.riemannian(torch.stack([one, 3 * one]))
    assert found.vor == pytest.approx(3 * (math.log(1 / 2) ** 2 + math.log(3 / 2) ** 2) / 2)


def test_vor_does_not_depend_on_coordinates() -> None:
    metrics = torch.stack([a.T @ a for a in normal(4, 6, 5, seed=1)])
    turn = normal(5, 5, seed=2)
    moved = turn.T @ metrics @ turn
    assert distortion.riemannian(moved).vor == pytest.approx(distortion.riemannian(metrics).vor, rel=1e-8)


def test_too_few_features_make_the_metric_singular_and_mcn_infinite() -> None:
    a = normal(3, 6)
    found = distortion.riemannian((a.T @ a)[None])
    assert found.mcn == math.inf and found.vor == math.inf
    assert not distortion.is_possible(8, 6)
    assert distortion.is_possible(8, 7)


def test_the_singular_convention_takes_values_and_not_squares() -> None:
    values = torch.tensor([[4.0, 1.0], [8.0, 1.0]], dtype=torch.float64)
    found = distortion.singular(values)
    assert found.mcn == pytest.approx(6)
    assert found.vor == pytest.approx((math.log(2) / 2) ** 2)
    assert distortion.singular(torch.tensor([[1.0, 0.0]])).mcn == math.inf


def test_the_loss_from_a_spectrum_is_what_the_probes_estimate() -> None:
    points = normal(8, 7)
    exact, _ = distortion.loss_and_error(
        [distortion.moments(distortion.tangent_metric(distortion.jacobian(bent, x[None]), x[None])) for x in points]
    )
    generator = torch.Generator().manual_seed(0)
    totals = [isometry.linearise(bent, x[None], isometry.gaussian(generator), probes=2000).totals for x in points]
    chance, error = distortion.loss_and_error(totals)
    assert chance == pytest.approx(exact, rel=0.03)
    assert 0 < error < exact
    assert distortion.loss_and_error(totals[:1])[1] == 0


def test_the_stated_error_of_the_loss_is_its_spread_over_samples() -> None:
    """Over many draws of the points, the standard deviation of L is the jackknife's standard error."""
    totals = [
        distortion.moments(distortion.tangent_metric(distortion.jacobian(bent, x[None]), x[None]))
        for x in normal(400, 7)
    ]
    groups = [distortion.loss_and_error(totals[k : k + 10]) for k in range(0, 400, 10)]
    spread = float(torch.tensor([value for value, _ in groups]).std())
    stated = float(torch.tensor([error for _, error in groups]).square().mean().sqrt())
    assert stated == pytest.approx(spread, rel=0.35)


def test_the_relative_length_of_a_straight_line_is_one_and_of_a_half_circle_half_pi() -> None:
    u = torch.linspace(0, 1, 201, dtype=torch.float64)
    line = u[:, None] * normal(1, 12)
    a, b = torch.tensor([1.0, 0.0]).double(), torch.tensor([math.cos(3.1), math.sin(3.1)]).double()
    arc = slerp(a, b, u)
    lengths = distortion.relative_length(torch.stack([line.reshape(-1, 3, 4)]))
    assert lengths.tolist() == pytest.approx([1.0])
    assert float(distortion.relative_length(arc[None])) == pytest.approx(3.1 / (2 * math.sin(1.55)), rel=1e-4)


@pytest.mark.parametrize("shape", [(3, 2, 2), (3, 5, 4)])
def test_windows_are_averaged_as_torch_averages_them(shape: tuple[int, int, int]) -> None:
    a = normal(7, math.prod(shape), seed=2)

    def f(y: Tensor) -> Tensor:
        return torch.tanh(y.flatten(1) @ a / 3).reshape(-1, *shape)

    x = normal(1, 7)
    whole = torch.autograd.functional.jacobian(lambda y: torch.nn.AvgPool2d(2)(f(y)).flatten(), x)
    assert torch.allclose(distortion.window_pooled_jacobian(f, x, at_once=4), whole.flatten(1), atol=1e-12)


def test_a_window_that_is_larger_than_h_is_refused() -> None:
    with pytest.raises(GeometryError, match="1 x 1"):
        distortion.window_pooled_jacobian(lambda y: y[:, :, None, None], normal(1, 7))


def test_an_isometry_up_to_scale_keeps_lengths_whatever_the_scale_of_each_point() -> None:
    turned, chance = 3 * rotation(6), torch.Generator()
    kept = torch.stack([turned.T @ turned, torch.eye(6, dtype=torch.float64)])
    assert length_error(kept, chance.manual_seed(0)) == pytest.approx(0, abs=1e-6)
    # In the plane |J v|² = s² cos² + sin²: the mean and the spread of its root by a fine sum.
    angle = torch.linspace(0, 2 * torch.pi, 100_001, dtype=torch.float64)[:-1]
    lengths = (9 * angle.cos() ** 2 + angle.sin() ** 2).sqrt()
    metric = torch.diag(torch.tensor([9.0, 1.0], dtype=torch.float64))[None]
    found = length_error(metric, chance.manual_seed(0), directions=20_000)
    assert found == pytest.approx(float(lengths.std() / lengths.mean()), rel=0.02)


def test_an_isometry_up_to_scale_keeps_angles_and_another_map_does_not() -> None:
    def off(*metrics: Tensor) -> float:
        return angle_error(torch.stack(metrics), torch.Generator().manual_seed(0))

    turned = 3 * rotation(6)
    assert off(turned.T @ turned, torch.eye(6, dtype=torch.float64)) == pytest.approx(0, abs=1e-5)
    stretched = [torch.diag(torch.tensor([scale, 1.0], dtype=torch.float64)) for scale in (1.5, 4.0, 1e4)]
    errors = [off(metric) for metric in stretched]
    assert errors == sorted(errors) and errors[0] > 2

    # In the plane, against the angles themselves: the metric of x -> (2 x, y).
    generator = torch.Generator().manual_seed(0)
    a, b = torch.randn(2, 256, 2, generator=generator, dtype=torch.float64)
    a = a / a.norm(dim=1, keepdim=True)
    b = b - (a * b).sum(1, keepdim=True) * a
    b = b / b.norm(dim=1, keepdim=True)
    angle = torch.rand(256, generator=generator, dtype=torch.float64) * math.pi
    c = angle.cos()[:, None] * a + angle.sin()[:, None] * b
    scale = torch.tensor([2.0, 1.0], dtype=torch.float64)
    after = torch.acos(torch.nn.functional.cosine_similarity(a * scale, c * scale).clamp(-1, 1))
    expected = float((after - angle).abs().mean()) * 180 / math.pi
    assert off(torch.diag(scale**2)) == pytest.approx(expected, rel=1e-6)
