import json
from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderKL, DDPMScheduler, UNet2DModel, VQModel
from networks import pixel_network
from tiny import AUTOENCODER

from geodesic_cli.diffusion.loading.aliases import ALIASES
from geodesic_cli.diffusion.loading.unconditional import kind_of, load_unconditional
from geodesic_cli.errors import InputError, ModelError
from helpers import normal


def save(folder: Path, *, flat: bool = False, index: bool = True, autoencoder: str = "", clip: bool = False) -> str:
    unet = pixel_network().float()
    unet.save_pretrained(folder if flat else folder / "unet")
    DDPMScheduler(clip_sample=clip).save_pretrained(folder if flat else folder / "scheduler")
    parts: dict[str, object] = {"_class_name": "DDPMPipeline", "unet": ["diffusers", "UNet2DModel"]}
    torch.manual_seed(1)
    if autoencoder == "vqvae":
        VQModel(**AUTOENCODER, num_vq_embeddings=64).save_pretrained(folder / "vqvae")
        parts["vqvae"] = ["diffusers", "VQModel"]
    if autoencoder == "vae":
        AutoencoderKL(**AUTOENCODER).save_pretrained(folder / "vae")
        parts["vae"] = ["diffusers", "AutoencoderKL"]
    if index:
        (folder / "model_index.json").write_text(json.dumps(parts))
    return str(folder)


@pytest.mark.parametrize("flat", [False, True])
@pytest.mark.parametrize("index", [False, True])
def test_a_pixel_model_loads_from_both_layouts_with_and_without_an_index(
    tmp_path: Path, flat: bool, index: bool
) -> None:
    name = save(tmp_path / "m", flat=flat, index=index)
    assert kind_of(name) == "pixels"
    model = load_unconditional(name, "cpu")
    assert model.image_size == 8
    assert model.latent_shape(8, 8) == (3, 8, 8)
    images = torch.rand(2, 3, 8, 8)
    assert torch.allclose(model.decode(model.encode(images), (3, 8, 8)), images, atol=1e-6)


def test_the_noise_is_what_the_network_says(tmp_path: Path) -> None:
    model = load_unconditional(save(tmp_path / "m"), "cpu")
    x = normal(2, 3, 8, 8).float()
    found = model.predict(x, 500.0, model.prompts.embed("").expand(2))
    with torch.no_grad():
        expected = pixel_network().float()(x, 500).sample
    assert torch.allclose(found, expected, atol=1e-6)


def test_images_go_up_and_come_back(tmp_path: Path) -> None:
    model = load_unconditional(save(tmp_path / "m"), "cpu")
    z, nothing = normal(2, 192).float().clamp(-1, 1), model.prompts.embed("").expand(2)
    x = model.lift(z, (3, 8, 8), nothing, 0.5, 80)
    assert torch.allclose(model.drop(x, (3, 8, 8), nothing, 0.5, 80), z, atol=0.02)
    assert float((x - z).abs().max()) > 0.5


@pytest.mark.parametrize("autoencoder", ["vqvae", "vae"])
def test_a_latent_model_brings_its_autoencoder(tmp_path: Path, autoencoder: str) -> None:
    name = save(tmp_path / "m", autoencoder=autoencoder)
    assert kind_of(name) == "latents"
    model = load_unconditional(name, "cpu")
    assert model.image_size == 16
    assert model.latent_shape(16, 16) == (3, 8, 8)
    images = torch.rand(2, 3, 16, 16)
    z = model.encode(images)
    assert z.shape == (2, 192)
    decoded = model.decode(z, (3, 8, 8))
    assert decoded.shape == images.shape
    scale = 0.18215
    if autoencoder == "vqvae":
        vqvae = VQModel.from_pretrained(name, subfolder="vqvae").eval()
        with torch.no_grad():
            latents = vqvae.encode(2 * images - 1).latents
            back = vqvae.decode(latents).sample
        assert torch.allclose(z.reshape(2, 3, 8, 8), latents * scale, atol=1e-6)
        assert torch.allclose(decoded, (back / 2 + 0.5).clamp(0, 1), atol=1e-5)
    assert model.sample(["", ""], torch.Generator().manual_seed(0), 3, 1.0).shape == images.shape


def test_such_a_model_takes_no_prompt(tmp_path: Path) -> None:
    model = load_unconditional(save(tmp_path / "m"), "cpu")
    assert model.prompts.embed("").tokens.numel() == 0
    with pytest.raises(InputError, match="no prompt"):
        model.prompts.embed("a red cube")
    assert len(model.fingerprint) == 64


def test_a_model_with_text_is_told_apart_and_refused() -> None:
    assert kind_of(ALIASES["clevr-mini"]) == "text"
    assert kind_of("nowhere") == "text"
    with pytest.raises(ModelError, match="without text"):
        load_unconditional(ALIASES["clevr-mini"], "cpu")


def test_a_missing_part_and_a_class_label_are_errors(tmp_path: Path) -> None:
    name = save(tmp_path / "m")
    for file in (tmp_path / "m" / "scheduler").iterdir():
        file.unlink()
    with pytest.raises(ModelError, match="could not be read"):
        load_unconditional(name, "cpu")
    UNet2DModel(**{**pixel_network().config, "num_class_embeds": 4}).save_pretrained(tmp_path / "m" / "unet")
    DDPMScheduler().save_pretrained(tmp_path / "m" / "scheduler")
    with pytest.raises(ModelError, match="class label"):
        load_unconditional(name, "cpu")


@pytest.mark.parametrize("autoencoder", [None, "vae"])
def test_sides_are_those_that_the_network_can_halve_and_double(tmp_path: Path, autoencoder: str | None) -> None:
    model = load_unconditional(save(tmp_path / "m", autoencoder=autoencoder), "cpu")
    step = model.codec.step
    side = 5 * step
    shape = model.latent_shape(side, side)
    z, nothing = torch.zeros(1, shape[0] * shape[1] * shape[2]), model.prompts.embed("")
    assert model.lift(z, shape, nothing, 0.5, 2).shape == z.shape
    with pytest.raises(InputError, match=f"multiples of {step}"):
        model.latent_shape(side + step // 2, side)
