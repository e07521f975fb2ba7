"""A model in one file is the model of the folder: narrow networks of the published depth, written and read again."""

import shutil
from pathlib import Path

import huggingface_hub.constants as constants
import original_layout
import pipelines
import pytest
import torch
from safetensors.torch import load_file, save_file

from geodesic_cli.diffusion import load
from geodesic_cli.diffusion.loading.load import wire
from geodesic_cli.diffusion.loading.parts import Parts, read_parts
from geodesic_cli.diffusion.loading.single_file import read_file
from geodesic_cli.errors import ModelError

NARROW = {
    "sd15": pipelines.SD1,
    "sd21-base": pipelines.SD2V,
    "sd21": pipelines.SD2V,
    "sdxl": pipelines.XL,
}


@pytest.fixture(autouse=True)
def _no_hub(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)


def single(tmp_path: Path, kind: str, file: str, header: dict[str, str] | None = None) -> tuple[Path, Path]:
    """A folder and a file with the same weights, and a tokenizer beside the file."""
    folder = pipelines.build(NARROW[kind], tmp_path / "folder")
    path = tmp_path / "one" / file
    path.parent.mkdir()
    original_layout.save(folder, NARROW[kind], path, header)
    shutil.copytree(folder / "tokenizer", path.parent / "tokenizer")
    return folder, path


def same(a: Parts, b: Parts) -> None:
    pairs = [(a.network, b.network), (a.vae, b.vae), *zip(a.encoders.values(), b.encoders.values(), strict=True)]
    for one, other in pairs:
        first, second = one.state_dict(), other.state_dict()
        assert first.keys() == second.keys()
        assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize(
    ("kind", "file"), [("sd15", "dreamy.safetensors"), ("sd21", "v2-1_768.safetensors"), ("sdxl", "xl.safetensors")]
)
def test_a_single_file_is_the_model_of_the_folder(tmp_path: Path, kind: str, file: str) -> None:
    folder, path = single(tmp_path, kind, file)
    here = read_parts(folder, "folder", torch.float32)
    there = read_file(path, "file", torch.float32, NARROW)
    same(here, there)
    assert there.prediction == here.prediction
    assert torch.equal(there.schedule.alpha_bar, here.schedule.alpha_bar)
    device = torch.device("cpu")
    models = [wire(parts, "it", device, torch.float32) for parts in (here, there)]
    assert models[0].prompts.embed("a cat").equal(models[1].prompts.embed("a cat"))
    assert models[0].fingerprint == models[1].fingerprint


@pytest.mark.parametrize(
    ("file", "header", "prediction"),
    [
        ("v2-1_512.safetensors", None, "epsilon"),
        ("mine.safetensors", {"modelspec.prediction_type": "v"}, "v_prediction"),
        ("v2-1_768.safetensors", {"modelspec.prediction_type": "epsilon"}, "epsilon"),
        ("mine.safetensors", {"modelspec.architecture": "stable-diffusion-v2-768-v"}, "v_prediction"),
        ("mine-vpred.safetensors", None, "v_prediction"),
    ],
)
def test_what_a_second_version_predicts_is_in_its_header_or_name(tmp_path: Path, file, header, prediction) -> None:
    from dataclasses import replace

    from geodesic_cli.diffusion.loading.single_file import recognise

    _, path = single(tmp_path, "sd21", file, header)
    published = {**NARROW, "sd21-base": replace(NARROW["sd21"], prediction="epsilon")}
    assert recognise(path, "file", published).prediction == prediction


def test_without_a_tokenizer_the_file_says_where_to_put_one(tmp_path: Path) -> None:
    _, path = single(tmp_path, "sd15", "a.safetensors")
    shutil.rmtree(path.parent / "tokenizer")
    with pytest.raises(ModelError, match=r"holds no tokenizer.*Put the folder `tokenizer`") as caught:
        load(str(path), "cpu")
    assert "\n" not in str(caught.value)


def test_a_tokenizer_in_the_cache_serves(tmp_path: Path) -> None:
    folder, path = single(tmp_path, "sd15", "a.safetensors")
    repository = tmp_path / "cache" / "models--stable-diffusion-v1-5--stable-diffusion-v1-5"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("b" * 40)
    shutil.move(path.parent / "tokenizer", repository / "snapshots" / ("b" * 40) / "tokenizer")
    same(read_parts(folder, "folder", torch.float32), read_file(path, "file", torch.float32, NARROW))


def test_files_that_are_no_such_model_are_refused_with_the_reason(tmp_path: Path) -> None:
    _, path = single(tmp_path, "sd15", "a.safetensors")
    weights = load_file(path)
    first = "model.diffusion_model.input_blocks.0.0.weight"
    alone = {name: tensor for name, tensor in weights.items() if name.startswith("model.")}
    save_file(alone, tmp_path / "alone.safetensors")
    with pytest.raises(ModelError, match="weights of the network alone"):
        load(str(tmp_path / "alone.safetensors"), "cpu")
    save_file({**weights, first: torch.zeros(8, 9, 3, 3)}, tmp_path / "paint.safetensors")
    with pytest.raises(ModelError, match=r"inpainting.* 9 channels"):
        load(str(tmp_path / "paint.safetensors"), "cpu")
    save_file({"a": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(ModelError, match=r"no Stable Diffusion 1, 2 or XL model.*folders in diffusers' layout"):
        load(str(tmp_path / "other.safetensors"), "cpu")
    (tmp_path / "cut.safetensors").write_bytes(path.read_bytes()[:500])
    with pytest.raises(ModelError, match="could not be read as a model"):
        load(str(tmp_path / "cut.safetensors"), "cpu")


def rewritten(path: Path, change) -> Path:
    save_file({name: tensor.clone() for name, tensor in change(load_file(path)).items()}, path)
    return path


@pytest.mark.parametrize("kind", ["sd15", "sdxl"])
@pytest.mark.parametrize("file", ["photo-768.safetensors", "great-vpred.safetensors"])
def test_a_name_says_nothing_where_only_one_kind_was_published(tmp_path: Path, kind: str, file: str) -> None:
    _, path = single(tmp_path, kind, file)
    assert read_file(path, "file", torch.float32, NARROW).prediction == "epsilon"


@pytest.mark.parametrize("kind", ["sd15", "sdxl"])
def test_keys_inside_a_file_say_what_it_predicts_and_how_its_noise_ends(tmp_path: Path, kind: str) -> None:
    _, path = single(tmp_path, kind, "a.safetensors")
    rewritten(path, lambda w: {**w, "v_pred": torch.ones(()), "ztsnr": torch.ones(())})
    parts = read_file(path, "file", torch.float32, NARROW)
    assert parts.prediction == "v_prediction"
    assert float(parts.schedule.alpha_bar[-1]) == 0.0


@pytest.mark.parametrize("key", ["edm_vpred.sigma_max", "edm_mean"])
def test_a_file_with_the_noise_of_edm_is_refused_by_its_keys(tmp_path: Path, key: str) -> None:
    _, path = single(tmp_path, "sdxl", "a.safetensors")
    rewritten(path, lambda w: {**w, key: torch.tensor(120.0)})
    with pytest.raises(ModelError, match=f"noise of EDM.*{key}"):
        read_file(path, "file", torch.float32, NARROW)


@pytest.mark.parametrize("kind", ["sd15", "sdxl"])
def test_a_text_encoder_without_the_prefix_of_its_names_is_the_same(tmp_path: Path, kind: str) -> None:
    folder, path = single(tmp_path, kind, "a.safetensors")
    rewritten(path, lambda w: {name.replace("transformer.text_model.", "transformer."): t for name, t in w.items()})
    same(read_parts(folder, "folder", torch.float32), read_file(path, "file", torch.float32, NARROW))


def test_a_file_without_an_autoencoder_takes_the_one_beside_it(tmp_path: Path) -> None:
    folder, path = single(tmp_path, "sd15", "a.safetensors")
    rewritten(path, lambda w: {name: t for name, t in w.items() if not name.startswith("first_stage_model.")})
    with pytest.raises(ModelError, match=r"holds no autoencoder \(VAE\).*Pass --vae"):
        read_file(path, "file", torch.float32, NARROW)
    shutil.copytree(folder / "vae", path.parent / "vae")
    same(read_parts(folder, "folder", torch.float32), read_file(path, "file", torch.float32, NARROW))


@pytest.mark.parametrize(
    "key",
    [
        "model.diffusion_model.middle_block.0.in_layers.2.weight",
        "first_stage_model.decoder.conv_in.weight",
        "cond_stage_model.transformer.text_model.encoder.layers.1.mlp.fc1.weight",
    ],
)
def test_a_file_that_lacks_a_weight_or_has_one_too_many_is_refused(tmp_path: Path, key: str) -> None:
    _, path = single(tmp_path, "sd15", "a.safetensors")
    whole = load_file(path)
    rewritten(path, lambda w: {name: t for name, t in w.items() if name != key})
    with pytest.raises(ModelError, match=r"1 weight .* missing from"):
        read_file(path, "file", torch.float32, NARROW)
    if not key.startswith("cond"):
        save_file({**whole, f"{key}.more": torch.zeros(2)}, path)
        with pytest.raises(ModelError, match="of another kind than its"):
            read_file(path, "file", torch.float32, NARROW)
    save_file({**whole, "control_model.a": torch.zeros(2, 2)}, path)
    with pytest.raises(ModelError, match="more than a Stable Diffusion"):
        read_file(path, "file", torch.float32, NARROW)
