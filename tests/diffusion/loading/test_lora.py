"""Adapters: a standard file out, the same file in, attached or merged."""

import copy
import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from geodesic_cli.diffusion import ALIASES, LatentDiffusion, load
from geodesic_cli.diffusion.loading import lora
from geodesic_cli.errors import InputError, ModelError


@pytest.fixture(scope="module")
def trained(model: LatentDiffusion, tmp_path_factory):
    """A network with a random adapter, and the folder with its file."""
    network = copy.deepcopy(model.predict.unet)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in lora.attach(network, 4, alpha=8):
            parameter.copy_(0.2 * torch.randn(parameter.shape, generator=generator))
    folder = tmp_path_factory.mktemp("adapter")
    lora.save(network, folder)
    return network, folder


def answer(network, model: LatentDiffusion) -> torch.Tensor:
    z = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(1))
    times = torch.tensor([300.0, 300.0])
    with torch.no_grad():
        return network(z, times, encoder_hidden_states=model.prompts.embed("a cube").expand(2).tokens).sample


def test_a_fresh_adapter_changes_nothing_and_trains_only_itself(model: LatentDiffusion) -> None:
    network = copy.deepcopy(model.predict.unet)
    trainable = lora.attach(network, 4)
    assert torch.equal(answer(network, model), answer(model.predict.unet, model))
    assert trainable
    assert all("lora" in name for name, p in network.named_parameters() if p.requires_grad)
    assert all(min(p.shape) == 4 for p in trainable)


def test_a_saved_adapter_is_the_standard_file_with_its_settings(trained) -> None:
    _, folder = trained
    with safe_open(folder / "pytorch_lora_weights.safetensors", "pt") as file:
        names, about = list(file.keys()), json.loads(file.metadata()["lora_adapter_metadata"])
    assert all(name.startswith("unet.") and name.endswith((".lora_A.weight", ".lora_B.weight")) for name in names)
    assert about["unet.r"] == 4
    assert about["unet.lora_alpha"] == 8
    assert [path.name for path in folder.iterdir()] == ["pytorch_lora_weights.safetensors"]


def test_diffusers_itself_reads_the_file(trained, model: LatentDiffusion) -> None:
    from diffusers.loaders import StableDiffusionLoraLoaderMixin as Pipeline

    network, folder = trained
    other = copy.deepcopy(model.predict.unet)
    state, alphas, about = Pipeline.lora_state_dict(str(folder), return_lora_metadata=True)
    Pipeline.load_lora_into_unet(state, alphas, other, metadata=about)
    assert torch.allclose(answer(other, model), answer(network, model), atol=1e-5)


def test_an_adapter_comes_back_attached_and_merged(trained, model: LatentDiffusion) -> None:
    network, folder = trained
    wanted = answer(network, model)
    assert not torch.allclose(wanted, answer(model.predict.unet, model), atol=1e-2)
    other = copy.deepcopy(model.predict.unet)
    lora.apply(other, folder)
    assert torch.allclose(answer(other, model), wanted, atol=1e-5)
    lora.merge(other)
    assert torch.allclose(answer(other, model), wanted, atol=1e-4)
    assert other.state_dict().keys() == model.predict.unet.state_dict().keys()


def test_a_weight_scales_the_change_of_the_weights(trained, model: LatentDiffusion) -> None:
    _, folder = trained
    name = "mid_block.attentions.0.transformer_blocks.0.attn1.to_q.weight"
    before = model.predict.unet.state_dict()[name]
    changes = []
    for weight in (1.0, 0.5, 0.0):
        other = copy.deepcopy(model.predict.unet)
        lora.apply(other, folder, weight)
        lora.merge(other)
        changes.append(other.state_dict()[name] - before)
    assert torch.allclose(changes[1], changes[0] / 2, atol=1e-6)
    assert not bool(changes[2].any())
    assert float(changes[0].abs().max()) > 0.1


def test_two_attached_adapters_add_up(trained, model: LatentDiffusion) -> None:
    _, folder = trained
    twice, double = copy.deepcopy(model.predict.unet), copy.deepcopy(model.predict.unet)
    lora.apply(twice, folder, 0.5)
    lora.apply(twice, folder, 0.5)
    lora.apply(double, folder, 1.0)
    assert torch.allclose(answer(twice, model), answer(double, model), atol=1e-5)


def test_the_option_reaches_the_model_and_its_fingerprint(trained, model: LatentDiffusion) -> None:
    network, folder = trained
    adapted = load("clevr-mini", device="cpu", lora=(f"{folder}:1.0",))
    assert torch.allclose(answer(adapted.predict.unet, model), answer(network, model), atol=1e-4)
    assert adapted.fingerprint != model.fingerprint
    assert load("clevr-mini", device="cpu", lora=(f"{folder}:0",)).fingerprint == model.fingerprint


def test_adapters_of_the_text_encoder_and_of_kohyas_trainer_are_read(model: LatentDiffusion, tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(2)
    unet = "mid_block.attentions.0.transformer_blocks.0.attn1.to_q"
    text = "encoder.layers.0.self_attn.{}_proj"
    modules = {f"lora_unet_{unet.replace('.', '_')}": 128}
    modules |= {f"lora_te_text_model_{text.format(name).replace('.', '_')}": 64 for name in ("q", "k", "v", "out")}
    tensors = {}
    for name, width in modules.items():
        tensors[f"{name}.lora_down.weight"] = torch.randn(2, width, generator=generator)
        tensors[f"{name}.lora_up.weight"] = torch.randn(width, 2, generator=generator)
        tensors[f"{name}.alpha"] = torch.tensor(1.0)
    save_file(tensors, tmp_path / "kohya.safetensors")
    adapted = load("clevr-mini", device="cpu", lora=(str(tmp_path / "kohya.safetensors"),))

    def change(old: torch.nn.Module, new: torch.nn.Module) -> dict[str, torch.Tensor]:
        after = new.state_dict()
        return {k: after[k] - v for k, v in old.state_dict().items() if not torch.equal(after[k], v)}

    def product(name: str) -> torch.Tensor:  # alpha / r = 1 / 2
        return tensors[f"{name}.lora_up.weight"] @ tensors[f"{name}.lora_down.weight"] / 2

    names = list(modules)
    in_unet = change(model.predict.unet, adapted.predict.unet)
    assert list(in_unet) == [f"{unet}.weight"]
    assert torch.allclose(in_unet[f"{unet}.weight"], product(names[0]), atol=1e-4)
    in_text = change(model.prompts.encoders[0], adapted.prompts.encoders[0])
    assert len(in_text) == 4
    assert torch.allclose(in_text[f"{text.format('q')}.weight"], product(names[1]), atol=1e-4)


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("a/b", ("a/b", 1.0)),
        ("a/b:0.7", ("a/b", 0.7)),
        ("C:\\a\\b.safetensors", ("C:\\a\\b.safetensors", 1.0)),
        ("a:b/c:-2", ("a:b/c", -2.0)),
        ("7", ("7", 1.0)),
    ],
)
def test_a_path_may_end_in_a_weight(text: str, parsed: tuple[str, float]) -> None:
    assert lora.parse(text) == parsed


def test_what_is_no_adapter_is_said_in_one_sentence(tmp_path: Path, model: LatentDiffusion) -> None:
    network = copy.deepcopy(model.predict.unet)
    with pytest.raises(ModelError, match="nowhere is none"):
        lora.apply(network, tmp_path / "nowhere")
    with pytest.raises(ModelError, match="holds none"):
        lora.apply(network, tmp_path)
    (tmp_path / "a.bin").write_bytes(b"")
    with pytest.raises(ModelError, match="of another kind"):
        lora.apply(network, tmp_path / "a.bin")
    with pytest.raises(ModelError, match="holds no adapter"):
        lora.apply(network, Path(ALIASES["clevr-mini"]) / "unet" / "diffusion_pytorch_model.safetensors")
    (tmp_path / "broken.safetensors").write_bytes(b"1234")
    with pytest.raises(ModelError, match="does not fit"):
        lora.apply(network, tmp_path / "broken.safetensors")
    with pytest.raises(InputError, match="weight of an adapter"):
        lora.parse("a:inf")
    with pytest.raises(InputError, match="no layers called nothing"):
        lora.attach(network, 2, targets=("nothing",))
    with pytest.raises(InputError, match="rank"):
        lora.attach(network, 0)


def test_an_adapter_of_another_width_is_refused(trained, model: LatentDiffusion, tmp_path: Path) -> None:
    _, folder = trained
    weights = load_file(folder / "pytorch_lora_weights.safetensors")
    wide = {name: torch.cat([w, w], 1) if "lora_A" in name else torch.cat([w, w]) for name, w in weights.items()}
    save_file(wide, tmp_path / "wide.safetensors")
    with pytest.raises(ModelError, match="does not fit this model"):
        lora.apply(copy.deepcopy(model.predict.unet), tmp_path / "wide.safetensors")
