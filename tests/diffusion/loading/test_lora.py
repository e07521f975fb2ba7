"""Adapters: a standard file out, the same file in, attached or merged."""

import copy
import json
from pathlib import Path

import pipelines
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


def test_two_saves_of_the_same_weights_are_the_same_bytes_for_everybody_to_read(trained, tmp_path: Path) -> None:
    network, folder = trained
    (tmp_path / "plain").write_text("")
    for k in range(4):  # the library writes the text of the header in random order
        file = lora.save(network, tmp_path / f"{k}")
        assert file.read_bytes() == (folder / lora.FILE).read_bytes()
        assert file.stat().st_mode == (tmp_path / "plain").stat().st_mode


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


Q = "mid_block.attentions.0.transformer_blocks.0.attn1.to_q"
OUT = "mid_block.attentions.0.transformer_blocks.0.attn1.to_out.0"
CONV = "mid_block.resnets.0.conv1"
TEXT = "encoder.layers.0.self_attn.q_proj"
FLAT = Q.replace(".", "_")
SPELLINGS = {
    "peft": (f"base_model.model.{Q}.lora_A.weight", f"base_model.model.{Q}.lora_B.weight"),
    "peft-part": (f"base_model.model.unet.{Q}.lora_A.weight", f"base_model.model.unet.{Q}.lora_B.weight"),
    "peft-in-memory": (f"base_model.model.{Q}.lora_A.default.weight", f"base_model.model.{Q}.lora_B.default.weight"),
    "diffusers": (f"unet.{Q}.lora_A.weight", f"unet.{Q}.lora_B.weight"),
    "diffusers-older": (f"unet.{Q}.lora.down.weight", f"unet.{Q}.lora.up.weight"),
    "processor": (
        f"unet.{Q.replace('to_q', 'processor.to_q')}_lora.down.weight",
        f"unet.{Q.replace('to_q', 'processor.to_q')}_lora.up.weight",
    ),
    "network": (f"{Q}.lora_A.weight", f"{Q}.lora_B.weight"),
    "kohya": (f"lora_unet_{FLAT}.lora_down.weight", f"lora_unet_{FLAT}.lora_up.weight"),
    "text-peft": (
        f"base_model.model.text_model.{TEXT}.lora_A.weight",
        f"base_model.model.text_model.{TEXT}.lora_B.weight",
    ),
    "text-diffusers": (
        f"text_encoder.text_model.{TEXT}.lora_A.weight",
        f"text_encoder.text_model.{TEXT}.lora_B.weight",
    ),
    "text-short": (f"text_encoder.{TEXT}.lora_A.weight", f"text_encoder.{TEXT}.lora_B.weight"),
    "text-older": (
        f"text_encoder.text_model.{TEXT}.lora_linear_layer.down.weight",
        f"text_encoder.text_model.{TEXT}.lora_linear_layer.up.weight",
    ),
    "text-kohya": (
        f"lora_te_text_model_{TEXT.replace('.', '_')}.lora_down.weight",
        f"lora_te_text_model_{TEXT.replace('.', '_')}.lora_up.weight",
    ),
    "text-kohya-xl": (
        f"lora_te1_text_model_{TEXT.replace('.', '_')}.lora_down.weight",
        f"lora_te1_text_model_{TEXT.replace('.', '_')}.lora_up.weight",
    ),
}


def layer(model: LatentDiffusion, name: str) -> torch.nn.Module:
    part = model.prompts.encoders[0] if name == TEXT else model.predict.unet
    return part.get_submodule(name)


def matrices(weight: torch.Tensor, rank: int = 2) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(5)
    down = 0.3 * torch.randn(rank, *weight.shape[1:], generator=generator)
    return down, 0.3 * torch.randn(len(weight), rank, *[1] * (weight.ndim - 2), generator=generator)


def change(model: LatentDiffusion, name: str, path: Path, weight: str = "") -> torch.Tensor:
    """What an adapter adds to one layer, where it leaves all others as they are."""
    adapted = load("clevr-mini", device="cpu", lora=(f"{path}{weight}",))
    for old, new in (
        (model.predict.unet, adapted.predict.unet),
        *zip(model.prompts.encoders, adapted.prompts.encoders, strict=True),
    ):
        after = new.state_dict()
        moved = {key for key, tensor in old.state_dict().items() if not torch.equal(after[key], tensor)}
        assert moved <= {f"{name}.weight"}
    return (layer(adapted, name).weight - layer(model, name).weight).detach()


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_an_adapter_is_read_in_every_spelling(model: LatentDiffusion, tmp_path: Path, spelling: str) -> None:
    name = TEXT if "text" in spelling else Q
    down, up = matrices(layer(model, name).weight)
    path = tmp_path / "a.safetensors"
    save_file(dict(zip(SPELLINGS[spelling], (down, up), strict=True)), path)
    assert torch.allclose(change(model, name, path), up @ down, atol=1e-5)
    assert torch.allclose(change(model, name, path, ":0.5"), up @ down / 2, atol=1e-5)


@pytest.mark.parametrize(
    ("about", "scale"),
    [
        ({"lora_alpha": 6, "r": 2}, 3.0),
        ({"lora_alpha": 6, "use_rslora": True}, 6 / 2**0.5),
        ({"lora_alpha": 1, "alpha_pattern": {"attn1.to_q": 4}}, 2.0),
    ],
)
@pytest.mark.parametrize("where", ["beside", "header"])
def test_the_scale_is_that_of_the_configuration(model: LatentDiffusion, tmp_path: Path, about, scale, where) -> None:
    down, up = matrices(layer(model, Q).weight)
    path = tmp_path / "adapter_model.safetensors"
    header = {"lora_adapter_metadata": json.dumps({f"unet.{key}": value for key, value in about.items()})}
    save_file(dict(zip(SPELLINGS["peft"], (down, up), strict=True)), path, header if where == "header" else None)
    if where == "beside":
        (tmp_path / "adapter_config.json").write_text(json.dumps(about))
    assert torch.allclose(change(model, Q, tmp_path), scale * up @ down, atol=1e-5)


def test_peft_itself_wrote_the_folder(model: LatentDiffusion, tmp_path: Path) -> None:
    from peft import LoraConfig, get_peft_model

    network = copy.deepcopy(model.predict.unet)
    adapted = get_peft_model(network, LoraConfig(r=2, lora_alpha=6, target_modules=["to_q", "to_v"], use_dora=True))
    with torch.no_grad():
        for key, parameter in adapted.named_parameters():
            if "lora_" in key:
                parameter.add_(0.1 * torch.rand(parameter.shape, generator=torch.Generator().manual_seed(1)))
    adapted.save_pretrained(tmp_path)
    read = load("clevr-mini", device="cpu", lora=(str(tmp_path),))
    assert torch.allclose(answer(read.predict.unet, model), answer(adapted, model), atol=1e-4)
    assert not torch.allclose(answer(read.predict.unet, model), answer(model.predict.unet, model), atol=1e-2)


@pytest.mark.parametrize("axis", [0, 1])
def test_dora_of_kohyas_trainer_sets_the_norms_of_rows_or_columns(
    model: LatentDiffusion, tmp_path: Path, axis: int
) -> None:
    old = layer(model, Q).weight.detach()
    down, up = matrices(old)
    norms = torch.rand((len(old), 1) if axis == 0 else (1, old.shape[1])) + 0.5
    names = [*SPELLINGS["kohya"], f"lora_unet_{FLAT}.dora_scale"]
    path = tmp_path / "a.safetensors"
    save_file(dict(zip(names, (down, up, norms), strict=True)), path)
    new = old + change(model, Q, path)
    assert torch.allclose(new.norm(dim=1 - axis, keepdim=True), norms, atol=1e-4)
    assert torch.allclose(
        new / norms, (old + up @ down) / (old + up @ down).norm(dim=1 - axis, keepdim=True), atol=1e-4
    )


def test_convolutions_whole_changes_and_alphas(model: LatentDiffusion, tmp_path: Path) -> None:
    old = layer(model, CONV).weight.detach()
    down, up = matrices(old)
    flat = f"lora_unet_{CONV.replace('.', '_')}"
    tensors = {f"{flat}.lora_down.weight": down, f"{flat}.lora_up.weight": up, f"{flat}.alpha": torch.tensor(4.0)}
    save_file(tensors, tmp_path / "a.safetensors")
    expected = 2 * torch.einsum("or,ripq->oipq", up[:, :, 0, 0], down)
    assert torch.allclose(change(model, CONV, tmp_path / "a.safetensors"), expected, atol=1e-5)
    save_file({f"{flat}.diff": expected.contiguous()}, tmp_path / "b.safetensors")
    assert torch.allclose(change(model, CONV, tmp_path / "b.safetensors"), expected, atol=1e-5)


def test_half_an_adapter_is_refused_with_the_layers_that_have_no_place(model: LatentDiffusion, tmp_path: Path) -> None:
    down, up = matrices(layer(model, Q).weight)
    good = dict(zip(SPELLINGS["diffusers"], (down, up), strict=True))
    gone = {key.replace("mid_block", "down_blocks.7"): tensor.clone() for key, tensor in good.items()}
    path = tmp_path / "a.safetensors"
    for extra in (gone, {"bundle_emb.me": up.clone()}, {f"unet.{OUT}.lora_A.weight": down.clone()}):
        save_file({**good, **extra}, path)
        layer_name = next(iter(extra)).removesuffix(".lora_A.weight")
        with pytest.raises(ModelError, match=rf"in part: of its 2 layers 1 layer \({layer_name}\) is not in it"):
            load("clevr-mini", device="cpu", lora=(str(path),))
    save_file(gone, path)
    with pytest.raises(ModelError, match=r"does not fit this model: 1 layer \(unet.down_blocks.7.*\) is not in it"):
        load("clevr-mini", device="cpu", lora=(str(path),))
    save_file({key: tensor * torch.nan for key, tensor in good.items()}, path)
    with pytest.raises(ModelError, match="NaN"):
        load("clevr-mini", device="cpu", lora=(str(path),))


@pytest.mark.parametrize(
    ("kind", "ending"), [("LoHa", "hada_w1_a"), ("LoKr", "lokr_w1"), ("OFT", "oft_blocks"), ("core", "lora_mid.weight")]
)
def test_adapters_of_other_kinds_are_refused_by_their_name(model, tmp_path: Path, kind: str, ending: str) -> None:
    save_file({f"lora_unet_{FLAT}.{ending}": torch.ones(2, 2)}, tmp_path / "a.safetensors")
    with pytest.raises(ModelError, match=rf"is a .*{kind}.* which is not read"):
        load("clevr-mini", device="cpu", lora=(str(tmp_path / "a.safetensors"),))


def test_two_text_encoders_are_told_apart_by_name_or_width(tmp_path: Path) -> None:
    folder = pipelines.build(pipelines.XL, tmp_path / "xl")
    plain = load(str(folder), "cpu", "fp32")
    for number, prefix in (
        (1, "base_model.model.text_model."),
        (1, "lora_te2_text_model_"),
        (0, "text_encoder.text_model."),
    ):
        weight = plain.prompts.encoders[number].state_dict()
        name = next(key for key in weight if key.endswith("encoder.layers.1.mlp.fc1.weight"))
        down, up = matrices(weight[name])
        stem = "encoder.layers.1.mlp.fc1"
        stem = prefix + (stem.replace(".", "_") if "lora" in prefix else stem)
        path = tmp_path / "a.safetensors"
        save_file({f"{stem}.lora_down.weight": down, f"{stem}.lora_up.weight": up}, path)
        adapted = load(str(folder), "cpu", "fp32", lora=(str(path),))
        assert torch.allclose(adapted.prompts.encoders[number].state_dict()[name] - weight[name], up @ down, atol=1e-5)
        other = 1 - number
        assert all(
            torch.equal(a, b)
            for a, b in zip(
                adapted.prompts.encoders[other].state_dict().values(),
                plain.prompts.encoders[other].state_dict().values(),
                strict=True,
            )
        )


def test_the_blocks_of_the_original_code_are_found_through_the_converter_of_diffusers(tmp_path: Path) -> None:
    blocks = ["CrossAttnDownBlock2D"] * 2, ["CrossAttnUpBlock2D"] * 2
    unet = {**pipelines.XL.unet, "down_block_types": blocks[0], "up_block_types": blocks[1], "layers_per_block": 2}
    from dataclasses import replace

    folder = pipelines.build(replace(pipelines.XL, unet=unet), tmp_path / "xl")
    plain = load(str(folder), "cpu", "fp32")
    name = "down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q"
    old = plain.predict.unet.get_submodule(name).weight
    down, up = matrices(old)
    stem = "lora_unet_input_blocks_4_1_transformer_blocks_0_attn1_to_q"
    path = tmp_path / "a.safetensors"
    save_file(
        {f"{stem}.lora_down.weight": down, f"{stem}.lora_up.weight": up, f"{stem}.alpha": torch.tensor(1.0)}, path
    )
    adapted = load(str(folder), "cpu", "fp32", lora=(str(path),))
    assert torch.allclose(adapted.predict.unet.get_submodule(name).weight - old, up @ down / 2, atol=1e-5)


def test_fused_projections_of_flux_are_taken_apart(tmp_path: Path) -> None:
    folder = pipelines.build_flux(tmp_path / "flux")
    plain = load(str(folder), "cpu", "fp32").predict.unet.state_dict()
    down, up = matrices(torch.empty(96, 32))
    stem = "lora_unet_double_blocks_0_img_attn_qkv"
    path = tmp_path / "a.safetensors"
    save_file(
        {f"{stem}.lora_down.weight": down, f"{stem}.lora_up.weight": up, f"{stem}.alpha": torch.tensor(1.0)}, path
    )
    adapted = load(str(folder), "cpu", "fp32", lora=(str(path),)).predict.unet.state_dict()
    for part, name in zip((up @ down / 2).chunk(3), "qkv", strict=True):
        key = f"transformer_blocks.0.attn.to_{name}.weight"
        assert torch.allclose(adapted[key] - plain[key], part, atol=1e-5)
