"""Attention of two ends mixed into what lies between: the formula, the ends, and a model that stays as it was."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from diffusers import UNet2DModel
from networks import pixel_network, text_network
from torch import Tensor

from geodesic_cli.diffusion import Conditioning, Embedding, LatentDiffusion
from geodesic_cli.diffusion.attention import attention_layers, mixing, require_attention
from geodesic_cli.diffusion.batching import Chunks
from geodesic_cli.diffusion.score import NoisePredictor
from geodesic_cli.errors import ModelError


class Alone(torch.nn.Module):
    """A network of one attention layer and nothing else; `mid_block` makes it a UNet."""

    def __init__(self, processor: Any = None) -> None:
        from diffusers.models.attention_processor import Attention

        super().__init__()
        torch.manual_seed(0)
        self.mid_block = Attention(4, 6, heads=2, dim_head=3, processor=processor)
        self.dtype, self.device = torch.float32, torch.device("cpu")

    def forward(self, z: Tensor, times: Tensor, encoder_hidden_states: Tensor) -> Any:
        rows = z.flatten(2).transpose(1, 2)
        made = self.mid_block(rows, encoder_hidden_states=encoder_hidden_states)
        return type("Answer", (), {"sample": made.transpose(1, 2).reshape(z.shape)})


def by_the_formula(network: Alone, z: Tensor, tokens: Tensor, u: Tensor) -> Tensor:
    """The answers (m, C, H, W) between two ends, in a loop over rows and heads."""
    layer, made = network.mid_block, []
    keys, values = layer.to_k(tokens), layer.to_v(tokens)
    for k, share in enumerate(u.tolist(), 2):
        query = layer.to_q(z[k].flatten(1).T)
        key = torch.cat([(1 - share) * keys[0] + share * keys[1], keys[k]])
        value = torch.cat([(1 - share) * values[0] + share * values[1], values[k]])
        heads = []
        for head in range(2):
            part = slice(3 * head, 3 * head + 3)
            weights = (query[:, part] @ key[:, part].T / 3**0.5).softmax(1)
            heads.append(weights @ value[:, part])
        made.append(layer.to_out[0](torch.cat(heads, 1)).T.reshape(z[k].shape))
    return torch.stack(made)


def processors() -> list[Any]:
    from diffusers.models.attention_processor import AttnProcessor, AttnProcessor2_0, SlicedAttnProcessor

    return [AttnProcessor(), AttnProcessor2_0(), SlicedAttnProcessor(1)]


@pytest.mark.parametrize("processor", processors(), ids=lambda each: type(each).__name__)
def test_it_is_the_formula_with_every_processor(model: LatentDiffusion, processor: Any) -> None:
    network = Alone(processor)
    z, tokens, u = torch.randn(5, 4, 2, 3), torch.randn(5, 7, 6), torch.tensor([0.2, 0.5, 0.9], dtype=torch.float64)
    predict = NoisePredictor(network, model.predict.schedule)
    with mixing(predict, u) as noise:
        made = noise(z, 10.0, Embedding(tokens))
    assert torch.allclose(made[2:], by_the_formula(network, z, tokens, u), atol=1e-6)
    plain = network(z, torch.zeros(5), tokens).sample
    assert torch.allclose(made[:2], plain[:2], atol=1e-6) and not torch.allclose(made[2:], plain[2:], atol=1e-3)
    assert network.mid_block.processor is processor


def hooks(network: Any) -> int:
    return sum(len(module._forward_hooks) for module in network.modules())


@pytest.mark.parametrize("make", [pixel_network, text_network], ids=["pixels", "text"])
def test_an_end_stays_what_it_is_and_the_network_as_it_was(make: Callable[[], Any], model: LatentDiffusion) -> None:
    network = make()
    channels, width = network.config.in_channels, 12
    ask = model.predict.ask if not isinstance(network, UNet2DModel) else lambda net, z, t, c: net(z, t).sample
    predict = replace(model.predict, unet=network, ask=ask)
    z = torch.randn(2, channels, 8, 8, generator=torch.Generator().manual_seed(1)).repeat(2, 1, 1, 1)
    tokens = torch.randn(2, 3, width).repeat(2, 1, 1)
    plain, before = predict(z, 10.0, Embedding(tokens)), [each.processor for each in attention_layers(network)]
    with mixing(predict, torch.tensor([0.0, 1.0])) as noise:
        assert hooks(network) == 2 * len(attention_layers(network)) > 0
        mixed = noise(z, 10.0, Embedding(tokens))
    assert torch.allclose(mixed, plain, atol=1e-5)
    assert hooks(network) == 0 and [each.processor for each in attention_layers(network)] == before
    assert torch.equal(predict(z, 10.0, Embedding(tokens)), plain)


def test_after_an_error_the_network_is_as_it_was(model: LatentDiffusion) -> None:
    with pytest.raises(RuntimeError, match="stop"), mixing(model.predict, torch.tensor([0.5])):
        raise RuntimeError("stop")
    assert hooks(model.predict.unet) == 0


def test_the_answer_does_not_depend_on_how_many_go_at_once(model: LatentDiffusion) -> None:
    shape, u = model.latent_shape(64, 64), torch.linspace(0.1, 0.9, 5, dtype=torch.float64)
    d = torch.Size(shape).numel()
    generator = torch.Generator().manual_seed(2)
    ends, x = torch.randn(2, d, generator=generator), torch.randn(5, d, generator=generator)
    along = Conditioning(model.prompts.embed("a red cube"), model.prompts.embed("a blue cylinder"))
    single = replace(model, predict=replace(model.predict, chunks=Chunks(1)))
    made = [
        each.drop_mixed(ends, x, u, shape, along, 0.4, 2, guidance)
        for each in (model, single)
        for guidance in (1.0, 2.0)
    ]
    assert torch.allclose(made[0], made[2], atol=1e-4) and torch.allclose(made[1], made[3], atol=1e-4)
    assert float((made[0] - made[1]).norm()) > 0.1, "guidance counts"
    plain = model.drop(x, shape, along(u), 0.4, 2)
    assert float((made[0] - plain).norm()) > 0.1


def test_a_network_without_attention_is_one_sentence(model: LatentDiffusion) -> None:
    plain = UNet2DModel(
        sample_size=8, block_out_channels=(8, 8), norm_num_groups=4, add_attention=False,
        down_block_types=("DownBlock2D", "DownBlock2D"), up_block_types=("UpBlock2D", "UpBlock2D"),
    )  # fmt: skip
    for network in (plain, torch.nn.Linear(1, 1)):
        with pytest.raises(ModelError, match="needs a UNet with attention layers, and the network of x has none"):
            require_attention(network, "x")
