"""Names to models, and clear words where there is none."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from diffusers.configuration_utils import FrozenDict

from geodesic_cli.diffusion import ALIASES, LatentDiffusion, load
from geodesic_cli.diffusion.loading.parts import read_parts, require_supported
from geodesic_cli.errors import InputError, ModelError

FOLDER = Path(ALIASES["clevr-mini"])


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A folder with the embedded model, to be spoilt."""
    return Path(shutil.copytree(FOLDER, tmp_path / "copy"))


def test_the_embedded_model_is_a_stable_diffusion_folder_of_at_most_twenty_megabytes() -> None:
    index = json.loads((FOLDER / "model_index.json").read_text())
    assert index["_class_name"] == "StableDiffusionPipeline"
    assert index["unet"] == ["diffusers", "UNet2DConditionModel"]
    assert index["vae"] == ["diffusers", "AutoencoderKL"]
    assert index["text_encoder"] == ["transformers", "CLIPTextModel"]
    files = [path for path in FOLDER.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= 20e6
    assert {path.suffix for path in files} <= {".json", ".safetensors", ".txt", ".md"}
    assert (FOLDER / "README.md").is_file()


def test_the_weights_are_half_precision_and_the_schedule_is_stable_diffusions() -> None:
    from safetensors import safe_open

    for weights in FOLDER.rglob("*.safetensors"):
        with safe_open(weights, "pt") as file:
            assert {file.get_tensor(name).dtype for name in file.keys()} <= {torch.float16, torch.int64}  # noqa: SIM118
    scheduler = json.loads((FOLDER / "scheduler" / "scheduler_config.json").read_text())
    assert (scheduler["beta_start"], scheduler["beta_end"]) == (0.00085, 0.012)
    assert scheduler["beta_schedule"] == "scaled_linear"


def test_the_parts_are_wired_with_the_shapes_of_the_model(model: LatentDiffusion) -> None:
    assert model.codec.downsampling == 8
    assert model.image_size == 64
    assert model.latent_shape(64, 64) == (4, 8, 8)
    assert model.latent_shape(64, 96) == (4, 8, 12)
    assert model.predict.prediction == "epsilon"
    assert len(model.predict.schedule.alpha_bar) == 1000


def test_a_folder_is_loaded_like_the_alias(model: LatentDiffusion, copy: Path) -> None:
    again = load(str(copy), device="cpu")
    z = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    condition = model.prompts.embed("a red cube")
    assert torch.equal(again.predict(z, 300.0, condition), model.predict(z, 300.0, condition))


@pytest.mark.parametrize("name", ["clevr-maxi", "./nowhere", "nowhere/", "/nowhere/at/all", "a/b/c"])
def test_an_unknown_name_is_answered_with_what_works_offline(name: str) -> None:
    with pytest.raises(ModelError, match="clevr-mini"):
        load(name, device="cpu")


def test_a_hub_model_without_a_network_says_what_to_download_and_where_to_put_it(monkeypatch) -> None:
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ModelError, match=r"diffusers' layout .* --model") as caught:
        load("nobody-at-all/no-such-model", device="cpu")
    assert "\n" not in str(caught.value)


def test_a_folder_that_lacks_a_part_is_named_with_the_part(copy: Path) -> None:
    shutil.rmtree(copy / "vae")
    with pytest.raises(ModelError, match="lacks vae"):
        load(str(copy), device="cpu")


def test_damaged_weights_are_one_sentence(copy: Path) -> None:
    weights = copy / "unet" / "diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(ModelError, match="could not be read"):
        load(str(copy), device="cpu")


def test_weights_that_are_pickles_are_not_read(copy: Path) -> None:
    weights = copy / "unet" / "diffusion_pytorch_model.safetensors"
    weights.rename(weights.with_suffix(".bin"))
    with pytest.raises(ModelError, match=r"the weights of its unet are pickles.*save_pretrained"):
        load(str(copy), device="cpu")


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("addition_embed_type", "text_time", "wants text_time embeddings"),
        ("in_channels", 9, "takes 9 channels"),
        ("cross_attention_dim", 32, "reads text of width 32"),
    ],
)
def test_a_model_of_another_kind_is_refused_with_the_reason(copy: Path, key: str, value: object, words: str) -> None:
    parts = read_parts(copy, "other", torch.float32)
    network = SimpleNamespace(config=FrozenDict({**parts.network.config, key: value}))
    with pytest.raises(ModelError, match=words):
        require_supported(replace(parts, network=network), "other")


def test_a_network_that_pools_the_prompt_itself_is_accepted(copy: Path) -> None:
    parts = read_parts(copy, "other", torch.float32)
    network = SimpleNamespace(config=FrozenDict({**parts.network.config, "addition_embed_type": "text"}))
    require_supported(replace(parts, network=network), "other")


def test_devices_and_dtypes_that_cannot_be_had_are_refused() -> None:
    with pytest.raises(InputError, match="device 'gpu'"):
        load("clevr-mini", device="gpu")
    with pytest.raises(InputError, match="fp32, fp16 or bf16"):
        load("clevr-mini", device="cpu", dtype="fp8")


@pytest.mark.gpu
def test_the_score_on_cuda_is_that_of_the_cpu_up_to_rounding(model: LatentDiffusion) -> None:
    on_gpu = load("clevr-mini", device="cuda", dtype="fp32")
    z = torch.randn(4, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    condition = model.prompts.embed("a red cube").expand(4)
    ours = on_gpu.predict(z.cuda(), 300.0, condition).cpu()
    assert torch.allclose(ours, model.predict(z, 300.0, condition), atol=2e-3)
