import math

import pytest
import torch
from torch import Tensor, nn

from geodesic_cli.distortion import loss as isometry
from geodesic_cli.distortion.exact import exact_loss
from geodesic_cli.distortion.loss import gaussian, gradient_scalar, linearise, ratio
from geodesic_cli.errors import GeometryError
from helpers import chart_metric, from_chart, normal, rotation

KINDS = isometry.LOSSES


def seeded(seed: int = 3) -> isometry.Noise:
    return gaussian(torch.Generator().manual_seed(seed))


def every_direction(like: Tensor) -> Tensor:
    """Rows sqrt(n) e_i instead of chance: the mean of v vᵀ over them is I, so traces come out exactly."""
    n = like.shape[1]
    assert len(like) % n == 0
    return math.sqrt(n) * torch.eye(n, dtype=like.dtype).repeat_interleave(len(like) // n, 0)


class Net(nn.Module):
    """A smooth encoder R^7 -> R^9 with a part, `after`, that h does not depend on."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second, self.after = nn.Linear(7, 16), nn.Linear(16, 9), nn.Linear(9, 7)
        self.double()

    def forward(self, x: Tensor) -> Tensor:
        return self.second(torch.tanh(self.first(x)))


def gradient(net: nn.Module) -> Tensor:
    return torch.cat([torch.zeros(p.numel()) if p.grad is None else p.grad.flatten() for p in net.parameters()])


# --- closed forms


@pytest.mark.parametrize("rows", [5, 9])
def test_a_linear_encoder_has_the_closed_form(rows: int) -> None:
    a, x = normal(rows, 7), normal(1, 7, seed=1)
    inside = torch.eye(7) - x.T @ x / (x @ x.T)
    metric = inside @ a.T @ a @ inside
    probe = linearise(lambda y: y @ a.T, x.expand(7, 7), every_direction)
    assert ratio(probe.totals) == pytest.approx(float((metric**2).sum() / metric.trace() ** 2), rel=1e-9)
    whole = linearise(lambda y: y @ a.T, x.expand(7, 7), every_direction, regulariser="iso-euclidean")
    gram = a.T @ a
    assert ratio(whole.totals) == pytest.approx(float((gram**2).sum() / gram.trace() ** 2), rel=1e-9)


def test_an_orthogonal_map_has_the_least_loss_there_is() -> None:
    turn, x = rotation(7), normal(1, 7, seed=1)
    probe = linearise(lambda y: 3 * y @ turn.T, x.expand(7, 7), every_direction)
    assert ratio(probe.totals) == pytest.approx(1 / 6, rel=1e-9)


def test_a_map_onto_a_line_has_the_greatest() -> None:
    direction = normal(1, 7)
    probe = linearise(lambda y: y @ direction.T, normal(1, 7, seed=1).expand(7, 7), every_direction)
    assert ratio(probe.totals) == pytest.approx(1, rel=1e-9)


@pytest.mark.parametrize("radius", [1.0, 2.5])
def test_the_paper_s_operator_in_the_stereographic_chart_has_the_eigenvalues_of_the_tangent_form(
    radius: float,
) -> None:
    """R = G^-1 J_phiᵀ J_fᵀ J_f J_phi with the chart's own metric G against P Jᵀ J P."""
    net = Net()
    z = normal(1, 6, seed=4)
    x = from_chart(z, radius)
    in_chart = torch.autograd.functional.jacobian(lambda c: net(from_chart(c[None], radius))[0], z[0])
    r = in_chart.T @ in_chart / chart_metric(z, radius)
    expected = torch.linalg.eigvalsh(r)
    ambient = torch.autograd.functional.jacobian(lambda y: net(y[None])[0], x[0])
    inside = torch.eye(7) - x.T @ x / radius**2
    found = torch.linalg.eigvalsh(inside @ ambient.T @ ambient @ inside)
    assert torch.allclose(found[1:], expected, rtol=1e-10)
    probe = linearise(net, x.expand(7, 7), every_direction)
    assert ratio(probe.totals) == pytest.approx(float((expected**2).sum() / expected.sum() ** 2), rel=1e-8)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scale", [1e-3, 70.0])
def test_the_loss_does_not_see_the_scale_of_the_encoder(kind: str, scale: float) -> None:
    net, x = Net(), normal(4, 7)
    plain = linearise(net, x, seeded(), regulariser=kind)
    scaled = linearise(lambda y: scale * net(y), x, seeded(), regulariser=kind)
    assert ratio(scaled.totals) == pytest.approx(ratio(plain.totals), rel=1e-9)


def test_one_probe_in_many_is_unbiased_for_both_traces() -> None:
    a, x = normal(9, 7), normal(1, 7, seed=1)
    sure = linearise(lambda y: y @ a.T, x.expand(7, 7), every_direction).totals / 7
    chance = linearise(lambda y: y @ a.T, x, seeded(), probes=20000).totals / 20000
    assert chance[:2].tolist() == pytest.approx(sure[:2].tolist(), rel=0.02)


def test_path_length_is_the_relative_variance_of_the_length_plus_one() -> None:
    net, x = Net(), normal(3, 7)
    y = seeded()(normal(3, 9))
    lengths = torch.stack(
        [
            (torch.autograd.functional.jacobian(lambda c: net(c[None])[0], row).T @ v).norm()
            for row, v in zip(x, y, strict=True)
        ]
    )
    found = ratio(linearise(net, x, seeded(), regulariser="path-length").totals)
    assert found - 1 == pytest.approx(float(lengths.var(unbiased=False) / lengths.mean() ** 2), rel=1e-8)


# --- the gradient


def visited(net: Net, x: Tensor) -> isometry.Visit:
    leaf = x.clone().requires_grad_(True)
    return isometry.Visit(leaf, net(leaf))


@pytest.mark.parametrize("way", ["central", "forward", "visit"])
@pytest.mark.parametrize("keep_graph", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_the_surrogate_has_the_gradient_of_the_exact_loss(kind: str, keep_graph: bool, way: str) -> None:
    net, x = Net(), normal(5, 7)
    exact = exact_loss(net, x, seeded(), regulariser=kind)
    exact.backward()
    expected = gradient(net)
    net.zero_grad()
    visit = visited(net, x) if way == "visit" else None
    differences = "central" if way == "central" else "forward"
    probe = linearise(net, x, seeded(), regulariser=kind, keep_graph=keep_graph, differences=differences, visit=visit)
    gradient_scalar(net, probe, probe.totals, visit).backward()
    assert ratio(probe.totals) == pytest.approx(float(exact.detach()), rel=1e-8 if way == "central" else 1e-6)
    assert float((gradient(net) - expected).norm() / expected.norm()) < 1e-6
    assert float(expected.norm()) > 1e-4


@pytest.mark.parametrize("kind", ["iso", "iso-euclidean"])
def test_the_error_of_forward_differences_is_odd_in_the_probe(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over a probe and its opposite it is of second order: ten times the step, a hundred times the error."""
    net, x = Net(), normal(5, 7)
    exact_loss(net, x, seeded(), regulariser=kind).backward()
    expected = gradient(net)

    def off(step: float, signs: tuple[int, ...]) -> float:
        found = torch.zeros_like(expected)
        monkeypatch.setattr(isometry, "default_step", lambda *_: step)
        for sign in signs:
            net.zero_grad()
            draw = isometry.gaussian(torch.Generator().manual_seed(3))
            noise = draw if sign > 0 else lambda like, draw=draw: -draw(like)
            probe = linearise(net, x, noise, regulariser=kind, differences="forward")
            gradient_scalar(net, probe, probe.totals).backward()
            found += gradient(net) / len(signs)
        return float((found - expected).norm() / expected.norm())

    assert off(1e-3, (1,)) == pytest.approx(10 * off(1e-4, (1,)), rel=0.1)
    assert off(1e-3, (1, -1)) == pytest.approx(100 * off(1e-4, (1, -1)), rel=0.1)
    assert off(1e-3, (1, -1)) < 0.02 * off(1e-3, (1,))


def test_a_visit_adds_its_graph_to_what_else_hangs_on_it() -> None:
    net, x = Net(), normal(5, 7)
    visit = visited(net, x)
    probe = linearise(net, x, seeded(), keep_graph=True, differences="forward", visit=visit)
    (gradient_scalar(net, probe, probe.totals) + net.after(visit.h[:, :9]).square().sum()).backward()
    both = gradient(net)
    net.zero_grad()
    net.after(net(x)).square().sum().backward()
    alone = linearise(net, x, seeded(), differences="forward")
    gradient_scalar(net, alone, alone.totals).backward()
    assert torch.allclose(both, gradient(net), rtol=1e-6, atol=1e-9)


def test_a_visit_of_some_of_many_points_is_one_of_these() -> None:
    net, x, rows = Net(), normal(5, 7), torch.tensor([3, 0])
    whole = visited(net, x)
    some = isometry.Visit(whole.x, whole.h[rows], rows)
    probe = linearise(net, x[rows], seeded(), differences="forward", visit=some)
    alone = linearise(net, x[rows], seeded(), differences="forward")
    torch.testing.assert_close(probe.totals, alone.totals)
    torch.testing.assert_close(probe.back, alone.back)


@pytest.mark.parametrize("wrong", [{"probes": 2, "differences": "forward"}, {"differences": "central"}])
def test_a_visit_goes_with_forward_differences_of_one_direction(wrong: dict[str, object]) -> None:
    net, x = Net(), normal(5, 7)
    with pytest.raises(ValueError, match="forward"):
        linearise(net, x, seeded(), visit=visited(net, x), **wrong)  # type: ignore[arg-type]


def test_the_exact_gradient_is_that_of_finite_differences() -> None:
    net, x = Net(), normal(5, 7)
    exact_loss(net, x, seeded()).backward()
    weight = net.first.weight
    direction = normal(*weight.shape, seed=5)
    values = []
    for sign in (1, -1):
        with torch.no_grad():
            weight += sign * 1e-5 * direction
        values.append(float(exact_loss(net, x, seeded()).detach()))
        with torch.no_grad():
            weight -= sign * 1e-5 * direction
    assert (values[0] - values[1]) / 2e-5 == pytest.approx(float((weight.grad * direction).sum()), rel=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_micro_batches_add_up_to_one_large_batch(kind: str) -> None:
    net, x = Net(), normal(6, 7)
    noise = {"whole": seeded()(normal(6, 9 if kind == "path-length" else 7))}
    whole = linearise(net, x, lambda _: noise["whole"], regulariser=kind)
    gradient_scalar(net, whole, whole.totals).backward()
    expected = gradient(net)
    net.zero_grad()
    probes = [
        linearise(net, part, lambda _, own=own: own, regulariser=kind)
        for part, own in zip(x.split([2, 3, 1]), noise["whole"].split([2, 3, 1]), strict=True)
    ]
    totals = torch.stack([probe.totals for probe in probes]).sum(0) + torch.zeros(3)  # zeros: a process without points
    for probe in probes:
        gradient_scalar(net, probe, totals).backward()
    assert torch.allclose(totals, whole.totals, rtol=1e-12)
    assert float((gradient(net) - expected).norm() / expected.norm()) < 1e-8


def test_several_directions_for_each_point_are_rows_of_the_repeated_batch() -> None:
    net, x = Net(), normal(3, 7)
    once = linearise(net, x.repeat(4, 1), seeded())
    several = linearise(net, x, seeded(), probes=4)
    assert torch.equal(once.totals, several.totals)


def test_descent_along_the_surrogate_makes_the_map_more_of_an_isometry() -> None:
    net = Net()
    optimiser = torch.optim.Adam(net.parameters(), 1e-2)
    test = normal(64, 7, seed=9)
    before = ratio(linearise(net, test, seeded(8)).totals)
    for step in range(60):
        probe = linearise(net, normal(32, 7, seed=100 + step), seeded(step), keep_graph=True)
        optimiser.zero_grad()
        gradient_scalar(net, probe, probe.totals).backward()
        optimiser.step()
    after = ratio(linearise(net, test, seeded(8)).totals)
    assert 1 / 6 * 0.95 < after < 0.8 * before


def test_the_surrogate_reaches_the_encoder_and_nothing_else() -> None:
    net = Net()
    probe = linearise(net, normal(4, 7), seeded())
    gradient_scalar(net, probe, probe.totals).backward()
    assert net.first.weight.grad is not None and net.second.weight.grad is not None
    assert net.after.weight.grad is None
    assert net.second.bias.grad is None or float(net.second.bias.grad.abs().max()) < 1e-8


def test_phase_one_leaves_no_graph_and_no_gradient() -> None:
    net = Net()
    probe = linearise(net, normal(4, 7), seeded())
    assert not any(value.requires_grad for value in (probe.x, probe.ahead, probe.back, probe.totals))
    assert probe.image is None
    assert all(parameter.grad is None for parameter in net.parameters())
    assert linearise(net, normal(4, 7), seeded(), keep_graph=True).image.requires_grad


# --- what can go wrong


def test_the_same_seed_gives_the_same_bits() -> None:
    net, x = Net().float(), normal(4, 7).float()
    assert torch.equal(linearise(net, x, seeded()).totals, linearise(net, x, seeded()).totals)


def test_half_precision_is_refused() -> None:
    with pytest.raises(GeometryError, match="float32"):
        linearise(Net(), normal(2, 7).bfloat16(), seeded())


def test_an_encoder_that_is_not_finite_is_an_error() -> None:
    with pytest.raises(GeometryError, match="not finite"):
        linearise(lambda y: y / 0, normal(2, 7), seeded())


def test_a_constant_encoder_and_no_points_have_no_loss() -> None:
    for totals in (torch.zeros(3), torch.tensor([0.0, 0.0, 4.0])):
        with pytest.raises(GeometryError, match="constant"):
            ratio(totals)


def test_an_unknown_regulariser_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="iso-euclidean"):
        linearise(Net(), normal(2, 7), seeded(), regulariser="none")


def test_a_point_at_the_origin_has_every_direction_as_tangent() -> None:
    v = normal(2, 7)
    assert torch.equal(isometry.tangent(torch.zeros(2, 7), v), v)
