from typing import Any

import pytest
import torch
from networks import pixel_network, text_network
from torch import Tensor

from geodesic_cli.diffusion.tuning.features import Bottleneck, twice_differentiable
from geodesic_cli.distortion import loss as isometry
from geodesic_cli.distortion import measures
from geodesic_cli.distortion.exact import exact_loss
from geodesic_cli.errors import ModelError
from helpers import normal

TIMES = torch.tensor([700, 850, 999])


def sdxl_network() -> Any:
    return text_network(
        addition_embed_type="text_time", addition_time_embed_dim=4, projection_class_embeddings_input_dim=5 + 6 * 4
    )


def case(kind: str) -> tuple[Any, Tensor, dict[str, Any]]:
    if kind == "pixels":
        return pixel_network(), normal(3, 3, 8, 8), {}
    words = {"encoder_hidden_states": normal(3, 5, 12, seed=1)}
    if kind == "text":
        return text_network(), normal(3, 4, 8, 8), words
    added = {"text_embeds": normal(3, 5, seed=2), "time_ids": torch.tensor([[64, 64, 0, 0, 64, 64]]).expand(3, -1)}
    return sdxl_network(), normal(3, 4, 8, 8), words | {"added_cond_kwargs": added}


KINDS = ("pixels", "text", "sdxl")


def seeded() -> isometry.Noise:
    return isometry.gaussian(torch.Generator().manual_seed(1))


def gradient(unet: Any) -> Tensor:
    return torch.cat(
        [(torch.zeros_like(p) if p.grad is None else p.grad).flatten().double() for p in unet.parameters()]
    )


@pytest.mark.parametrize("kind", KINDS)
def test_the_bottleneck_is_what_a_hook_on_the_whole_network_sees(kind: str) -> None:
    unet, x, conditions = case(kind)
    seen: list[Tensor] = []
    handle = unet.mid_block.register_forward_hook(lambda module, inputs, output: seen.append(output))
    unet(x, TIMES, **conditions)
    handle.remove()
    assert torch.equal(Bottleneck(unet, TIMES, conditions)(x), seen[0])


def test_the_way_up_is_not_walked() -> None:
    unet, x, conditions = case("text")
    walked: list[object] = []
    unet.up_blocks[0].register_forward_hook(lambda *_: walked.append(1))
    Bottleneck(unet, TIMES, conditions)(x)
    assert not walked
    unet(x, TIMES, **conditions)  # and the network is as it was before
    assert walked


def test_numbers_that_are_not_finite_are_a_sentence() -> None:
    unet, x, conditions = case("text")
    with pytest.raises(ModelError, match="not finite"):
        Bottleneck(unet, TIMES, conditions)(x * float("nan"))


@pytest.mark.parametrize("kind", KINDS)
def test_a_repeated_batch_gets_its_conditions_repeated(kind: str) -> None:
    unet, x, conditions = case(kind)
    f = Bottleneck(unet, TIMES, conditions)
    assert torch.allclose(f(x.repeat(2, 1, 1, 1)), f(x).repeat(2, 1, 1, 1), atol=1e-12)
    with pytest.raises(ValueError, match="multiple"):
        f(x[:2])


@pytest.mark.parametrize("kind", ["pixels", "text"])
def test_whole_jacobians_of_a_network_are_those_of_autograd(kind: str) -> None:
    """And the top singular vectors are those of the whole Jacobian on the sphere."""
    unet, x, conditions = case(kind)
    one = {name: value[:1] for name, value in conditions.items()}
    f, here = Bottleneck(unet, TIMES[:1], one), x[:1]
    found = measures.jacobian(f, here)
    with twice_differentiable(unet):
        whole = torch.autograd.functional.jacobian(lambda y: f(y).flatten(), here).flatten(1)
    assert float((found - whole).norm() / whole.norm()) < 1e-8
    flat = here.flatten()
    _, values, rows = torch.linalg.svd(whole - torch.outer(whole @ flat, flat) / (flat @ flat), full_matrices=False)
    top, vectors, error = measures.top_directions(f, here, 2, torch.Generator().manual_seed(0), rounds=20)
    assert bool(((top - values[:2]).abs() <= error + 1e-8 * values[0]).all())
    assert float((vectors[0] @ rows[0]).abs()) > 0.999


@pytest.mark.parametrize("regulariser", isometry.LOSSES)
@pytest.mark.parametrize("kind", ["pixels", "text"])
def test_the_surrogate_gradient_is_exact_on_a_network_with_attention_and_layer_norm(
    kind: str, regulariser: str
) -> None:
    unet, x, conditions = case(kind)
    f = Bottleneck(unet, TIMES, conditions)
    with twice_differentiable(unet):
        exact = exact_loss(f, x, seeded(), regulariser=regulariser)
        exact.backward()
    expected = gradient(unet)
    for dtype, bound in ((torch.float64, 1e-6), (torch.float32, 1e-3)):
        unet.to(dtype).zero_grad()
        probe = isometry.linearise(f, x.to(dtype), seeded(), regulariser=regulariser)
        isometry.gradient_scalar(f, probe, probe.totals).backward()
        assert float((gradient(unet) - expected).norm() / expected.norm()) < bound
        assert isometry.ratio(probe.totals) == pytest.approx(float(exact.detach()), rel=bound)


def test_the_exact_gradient_is_that_of_finite_differences_through_layer_norm() -> None:
    unet, x, conditions = case("text")
    f = Bottleneck(unet, TIMES, conditions)
    norm = next(module for module in unet.modules() if isinstance(module, torch.nn.LayerNorm))
    direction = normal(*norm.weight.shape, seed=5)
    values = []
    with twice_differentiable(unet):
        exact_loss(f, x, seeded()).backward()
    for sign in (1, -1):
        with torch.no_grad():
            norm.weight += sign * 1e-4 * direction
        values.append(isometry.ratio(isometry.linearise(f, x, seeded()).totals))  # no second derivative in sight
        with torch.no_grad():
            norm.weight -= sign * 1e-4 * direction
    assert (values[0] - values[1]) / 2e-4 == pytest.approx(float((norm.weight.grad * direction).sum()), rel=1e-4)


def test_the_composite_layer_norm_leaves_nothing_behind() -> None:
    unet, x, conditions = case("text")
    f = Bottleneck(unet, TIMES, conditions)
    before = f(x)
    with twice_differentiable(unet):
        assert torch.allclose(f(x), before, atol=1e-12)
    assert torch.equal(f(x), before)
    assert not any("forward" in vars(module) for module in unet.modules())


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_reach_the_encoder_and_all_of_it(kind: str) -> None:
    unet, x, conditions = case(kind)
    f = Bottleneck(unet, TIMES, conditions)
    probe = isometry.linearise(f, x, seeded())
    isometry.gradient_scalar(f, probe, probe.totals).backward()
    reached = {id(parameter) for parameter in unet.parameters() if parameter.grad is not None}
    outside = ("up_blocks", "conv_norm_out", "conv_out")
    encoder = {id(weight) for name, weight in unet.named_parameters() if name.split(".")[0] not in outside}
    assert reached == encoder
    assert 0 < len(reached) < len(list(unet.parameters()))


def test_gradient_checkpointing_changes_no_gradient() -> None:
    unet, x, conditions = case("text")
    f = Bottleneck(unet, TIMES, conditions)
    found = []
    for switch in (unet.disable_gradient_checkpointing, unet.enable_gradient_checkpointing):
        switch()
        unet.train().zero_grad()
        probe = isometry.linearise(f, x, seeded())
        isometry.gradient_scalar(f, probe, probe.totals).backward()
        found.append(gradient(unet))
    assert torch.allclose(*found, rtol=1e-9, atol=1e-12)


def test_autocast_outside_does_not_reach_inside() -> None:
    unet, x, conditions = case("text")
    unet.float()
    f = Bottleneck(unet, TIMES, conditions)
    plain = f(x.float())
    with torch.autocast("cpu", torch.bfloat16):
        inside = f(x.float())
    assert torch.equal(plain, inside)


def test_half_precision_dropout_and_a_missing_mid_block_are_refused() -> None:
    unet, x, conditions = case("text")
    with pytest.raises(ModelError, match="float32"):
        Bottleneck(unet.bfloat16(), TIMES, conditions)(x)
    for module in unet.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.1
    Bottleneck(unet.eval(), TIMES, conditions)
    with pytest.raises(ModelError, match="dropout"):
        Bottleneck(unet.train(), TIMES, conditions)
    unet.mid_block = None
    with pytest.raises(ModelError, match="mid block"):
        Bottleneck(unet, TIMES, conditions)
