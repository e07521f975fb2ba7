"""Another autoencoder in the place of a model's own: where it may come from, and what is refused."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import huggingface_hub.constants as constants
import original_layout
import pipelines
import pytest
import torch
from diffusers import AutoencoderKL, AutoencoderTiny
from safetensors.torch import load_file, save_file

from geodesic_cli.diffusion import LatentDiffusion, load
from geodesic_cli.diffusion.loading.accounts import ModelRemark
from geodesic_cli.diffusion.loading.single_file import read_file
from geodesic_cli.errors import GeodesicError, InputError, ModelError
from geodesic_cli.runs.opening import open_model
from geodesic_cli.settings import InterpolateSettings
from helpers import Recorder, into_folder


@pytest.fixture(autouse=True)
def _no_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return pipelines.build(pipelines.SD1, tmp_path / "model")


def other(folder: Path, **changes: object) -> Path:
    torch.manual_seed(7)
    AutoencoderKL(**{**pipelines.VAE, **changes}).save_pretrained(folder)
    return folder


def same(model: LatentDiffusion, vae: Path) -> bool:
    held = load_file(vae / "diffusion_pytorch_model.safetensors")
    return all(torch.equal(tensor, model.codec.vae.state_dict()[name]) for name, tensor in held.items())


def test_a_folder_takes_the_place_and_the_model_is_another_one(folder: Path, tmp_path: Path) -> None:
    vae = other(tmp_path / "vae")
    own, changed = load(str(folder), "cpu"), load(str(folder), "cpu", vae=str(vae))
    assert same(changed, vae) and not same(own, vae)
    assert own.fingerprint != changed.fingerprint, "a run that goes on refuses the other one"
    assert changed.replaced == ("vae",)


def test_a_whole_model_gives_its_own(folder: Path, tmp_path: Path) -> None:
    vae = other(tmp_path / "m2" / "vae")
    assert same(load(str(folder), "cpu", vae=str(tmp_path / "m2")), vae)


@pytest.mark.parametrize("spelling", ["diffusers", "original", "original whole"])
def test_a_single_file_is_read_into_the_shape_of_the_models_own(folder: Path, tmp_path: Path, spelling: str) -> None:
    vae = other(tmp_path / "vae")
    file = tmp_path / "one.safetensors"
    if spelling == "diffusers":
        shutil.copyfile(vae / "diffusion_pytorch_model.safetensors", file)
    else:
        whole = pipelines.build(pipelines.SD1, tmp_path / "donor")
        shutil.copyfile(vae / "diffusion_pytorch_model.safetensors", whole / "vae/diffusion_pytorch_model.safetensors")
        original_layout.save(whole, pipelines.SD1, file)
        first = "first_stage_model."
        held = {key: tensor for key, tensor in load_file(file).items() if key.startswith(first)}
        cut = {key.removeprefix(first): tensor for key, tensor in held.items()}
        save_file({**(cut if spelling == "original" else held), "loss.logvar": torch.zeros(1)}, file)
    assert same(load(str(folder), "cpu", vae=str(file)), vae)


def test_a_folder_with_one_variant_alone_gives_it(folder: Path, tmp_path: Path) -> None:
    torch.manual_seed(7)
    AutoencoderKL(**pipelines.VAE).save_pretrained(tmp_path / "half", variant="fp16")
    assert load(str(folder), "cpu", vae=str(tmp_path / "half")).replaced == ("vae",)


def test_a_hub_id_in_the_cache_and_none(folder: Path, tmp_path: Path) -> None:
    repository = tmp_path / "cache" / "models--someone--vae"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("a" * 40)
    vae = other(repository / "snapshots" / ("a" * 40))
    assert same(load(str(folder), "cpu", vae="someone/vae"), vae)
    with pytest.raises(ModelError, match="someone/else is not on this machine, and the Hub cannot be asked"):
        load(str(folder), "cpu", vae="someone/else")


def test_a_model_without_one_is_read_with_it(folder: Path, tmp_path: Path) -> None:
    vae = other(tmp_path / "vae")
    path = tmp_path / "one" / "novae.safetensors"
    path.parent.mkdir()
    original_layout.save(folder, pipelines.SD1, path)
    shutil.copytree(folder / "tokenizer", path.parent / "tokenizer")
    save_file({key: v for key, v in load_file(path).items() if not key.startswith("first_stage_model.")}, path)
    shapes = {"sd15": pipelines.SD1}
    with pytest.raises(ModelError, match=r"holds no autoencoder .* Pass --vae"):
        read_file(path, "novae.safetensors", torch.float32, shapes)
    read = read_file(path, "novae.safetensors", torch.float32, shapes, str(vae))
    assert torch.equal(read.vae.encoder.conv_in.weight, AutoencoderKL.from_pretrained(vae).encoder.conv_in.weight)
    shutil.rmtree(folder / "vae")
    with pytest.raises(ModelError, match="lacks vae"):
        load(str(folder), "cpu")
    with pytest.warns(ModelRemark, match="the model's own by 0.18215"):  # the published scale of its kind
        assert same(load(str(folder), "cpu", vae=str(vae)), vae)


def test_what_does_not_fit_is_refused_by_name(folder: Path, tmp_path: Path) -> None:
    other(tmp_path / "sixteen", latent_channels=16)
    AutoencoderTiny(encoder_block_out_channels=(8,) * 4, decoder_block_out_channels=(8,) * 4).save_pretrained(
        tmp_path / "tiny"
    )
    (tmp_path / "empty").mkdir()
    (tmp_path / "a.ckpt").write_bytes(b"x")
    (tmp_path / "cut.safetensors").write_bytes(b"x" * 99)
    save_file({"a": torch.zeros(1)}, tmp_path / "strange.safetensors")
    lacking = load_file(other(tmp_path / "full") / "diffusion_pytorch_model.safetensors")
    save_file({k: v for k, v in lacking.items() if "decoder.mid" not in k}, tmp_path / "lacking.safetensors")
    said = {
        "sixteen": "makes latents of 16 channels, and the model's network takes 4",
        "tiny": "is of the kind AutoencoderTiny",
        "empty": "There is no autoencoder in",
        "nowhere": "neither a folder nor a file nor a Hub id",
        "a.ckpt": "is no .safetensors file",
        "cut.safetensors": "could not be read",
        "strange.safetensors": "holds no AutoencoderKL",
        "lacking.safetensors": "is not whole",
    }
    for name, words in said.items():
        with pytest.raises(ModelError, match=words) as caught:
            load(str(folder), "cpu", vae="nowhere" if name == "nowhere" else str(tmp_path / name))
        assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match="Another autoencoder is for models with text; scenes-ddpm has none"):
        load("scenes-ddpm", "cpu", vae=str(tmp_path / "full"))


def test_another_scale_of_the_latents_is_told(folder: Path, tmp_path: Path) -> None:
    vae = other(tmp_path / "vae", scaling_factor=0.25)
    with pytest.warns(ModelRemark, match=r"scales its latents by 0.25 and the model's own by 0.5"):
        load(str(folder), "cpu", vae=str(vae))
    ears = Recorder()
    open_model(InterpolateSettings(images=("a", "b"), model=str(folder), device="cpu", vae=str(vae)), ears)
    assert len(ears.warnings) == 1 and "scales its latents by 0.25" in ears.warnings[0]


def test_a_tuned_model_is_saved_with_the_autoencoder_that_it_was_tuned_with(folder: Path, tmp_path: Path) -> None:
    from geodesic_cli.diffusion.tuning.trainee import prepare

    vae = other(tmp_path / "vae", sample_size=16)
    prepare(load(str(folder), "cpu", vae=str(vae))).save(tmp_path / "tuned")
    assert same(load(str(tmp_path / "tuned"), "cpu"), vae)
    assert json.loads((tmp_path / "tuned" / "vae" / "config.json").read_text())["sample_size"] == 16


def test_a_run_remembers_its_autoencoder_and_its_words_by_their_numbers(folder: Path, tmp_path: Path) -> None:
    """The paths stay, what stands there does not."""
    from geodesic_cli.media import write_png
    from geodesic_cli.verbs.interpolate.run import run

    for name, value in (("a", 0.2), ("b", 0.8)):
        write_png(torch.full((3, 32, 32), value), tmp_path / f"{name}.png")
    vae, word = other(tmp_path / "vae"), tmp_path / "word.safetensors"
    save_file({"emb_params": torch.ones(1, 16)}, word)
    settings = InterpolateSettings(
        images=(str(tmp_path / "a.png"), str(tmp_path / "b.png")),
        model=str(folder),
        device="cpu",
        vae=str(vae),
        text_embedding=(str(word),),
        prompt=("a word",),
        method="slerp",
        steps=1,
        frames=2,
        size="32",
        out=str(tmp_path / "run"),
    )
    go = into_folder(run)
    go(settings, Recorder())
    again = replace(settings, resume=True)
    go(again, Recorder())
    save_file({"emb_params": torch.zeros(1, 16)}, word)
    with pytest.raises(GeodesicError, match="model"):
        go(again, Recorder())
    save_file({"emb_params": torch.ones(1, 16)}, word)
    AutoencoderKL(**pipelines.VAE).save_pretrained(vae)
    with pytest.raises(GeodesicError, match="model"):
        go(again, Recorder())
