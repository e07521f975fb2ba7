"""Images to noise and back: what is measured, that a stopped run goes on, and models with and without text."""

import itertools
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from analytic import GaussianNetwork
from torch import Tensor

from geodesic_cli import media
from geodesic_cli.diffusion import Embedding, LatentDiffusion
from geodesic_cli.diffusion.loading.unconditional import load_unconditional
from geodesic_cli.diffusion.transport import ddim
from geodesic_cli.errors import InputError, ModelError, OutputError
from geodesic_cli.frames.canvas import Canvas
from geodesic_cli.frames.journey import Journey, conditions, reconstruct
from geodesic_cli.runs.names import first_free
from geodesic_cli.runs.observer import Silent
from geodesic_cli.scenes import render, sample
from geodesic_cli.settings import InvertSettings
from geodesic_cli.verbs.latent.invert import GROUP, Inversion, invert, noise_pictures, stem
from geodesic_cli.verbs.latent.invert import run as verb_run
from geodesic_cli.verbs.latent.survival import warn_of_structure
from helpers import Recorder, into_folder

run = into_folder(verb_run)


@pytest.fixture(scope="module")
def result(model: LatentDiffusion, pair: Tensor) -> Inversion:
    return invert(*pair, model=model, steps=24)


def test_images_come_back_as_the_autoencoder_has_them(result: Inversion) -> None:
    assert result.metrics["transport"]["psnr"]["mean"] > 55
    assert result.metrics["reconstruction"]["psnr"]["mean"] == pytest.approx(
        result.metrics["autoencoder"]["psnr"]["mean"], abs=0.5
    )
    assert result.metrics["latent_mse"]["mean"] < 1e-2
    assert result.made.back.shape == result.images.shape


def test_the_noise_has_about_the_norm_of_noise_and_no_likeness_to_the_image(result: Inversion) -> None:
    noise = result.metrics["noise"]
    assert abs(noise["norm"]["mean"] - 1) < 0.3
    assert abs(noise["neighbours"]["mean"]) < 0.2
    assert result.noise.shape == (2, result.metrics["dimension"])


def test_every_image_has_its_own_numbers_and_the_summary_is_their_mean(result: Inversion) -> None:
    each = result.metrics["each"]
    for name in ("autoencoder", "reconstruction", "transport"):
        mean = sum(one[name]["ssim"] for one in each) / 2
        assert result.metrics[name]["ssim"]["mean"] == pytest.approx(mean)
    assert {"mse", "psnr", "ssim", "pyramid"} == set(each[0]["transport"])


def test_more_steps_bring_images_back_better_and_ours_beats_the_published_scheme(
    model: LatentDiffusion, pair: Tensor
) -> None:
    def error(steps: int, scheme: str) -> float:
        journey = Journey(model, Canvas.of(model, "64"), 1.0, steps, 1.0, scheme)
        return float(reconstruct(journey, pair, conditions(model, (), 2)).latent_error.mean())

    assert error(24, "adams") < 0.2 * error(12, "adams")
    assert error(24, "adams") < 0.2 * error(24, "ddim")


def test_ours_beats_the_published_scheme_also_where_the_schedule_has_a_long_tail_of_noise() -> None:
    """DDPM's schedule goes on to ten times the noise of Stable Diffusion's, where steps are wasted."""
    pixels = load_unconditional("scenes-ddpm", "cpu", "fp32")
    images = render(sample(2, torch.Generator().manual_seed(3)), 32)

    def decibels(scheme: str) -> float:
        journey = Journey(pixels, Canvas.of(pixels, "32"), 1.0, 24, 1.0, scheme)
        return float(-10 * reconstruct(journey, images, conditions(pixels, (), 2)).latent_error.mean().log10())

    assert decibels("adams") > 32 > 28 > decibels("ddim")  # latents lie in [-1, 1]: 6 dB less than for images


def test_ddim_is_of_first_order_and_converges_to_the_flow_of_gaussian_data() -> None:
    network = GaussianNetwork()
    condition = Embedding(torch.full((3, 1, 1), 0.4, dtype=torch.float64))
    z = torch.randn(3, 2, 2, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))

    def predict(x: Tensor, timestep: float) -> Tensor:
        return network(x, torch.full((len(x),), timestep), condition.tokens).sample

    def carried(steps: int) -> Tensor:
        return ddim(predict, z, 0.0, 0.6, network.schedule, steps)

    fine = carried(3200)
    assert torch.allclose(fine, network.carried(z, 0.4, 0.6), atol=6e-3)
    errors = [float((carried(steps) - fine).abs().max()) for steps in (25, 50, 100)]
    for coarse, halved in itertools.pairwise(errors):
        assert 1.7 < coarse / halved < 2.4, errors


def test_the_evaluations_told_are_those_made(model: LatentDiffusion, pair: Tensor) -> None:
    for scheme, guidance in (("adams", 1.0), ("ddim", 1.0), ("ddim", 2.0), ("adams", 2.0)):
        seen = 0

        def counting(*arguments: object, **named: object) -> object:
            nonlocal seen
            seen += len(arguments[0])  # type: ignore[arg-type]
            return model.predict.unet(*arguments, **named)

        counting.device, counting.dtype, counting.config = (  # type: ignore[attr-defined]
            model.predict.unet.device,
            model.predict.unet.dtype,
            model.predict.unet.config,
        )
        counted = replace(model, predict=replace(model.predict, unet=counting))
        journey = Journey(counted, Canvas.of(counted, "64"), 0.6, 3, guidance, scheme)
        reconstruct(journey, pair, conditions(model, (), 2))
        assert seen == 2 * sum(journey.evaluations)


def test_a_run_writes_what_the_manifest_lists_and_the_noise_is_that_of_the_function(
    model: LatentDiffusion, files: tuple[str, str], pair: Tensor, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    done = run(InvertSettings(images=files, out=str(out), device="cpu", steps=6), Silent(), "test")
    listed = json.loads((out / "manifest.json").read_text())["files"]
    assert {"sheet.png", "noise.safetensors", "reconstructions/00001.png", "metrics.json"} <= set(listed)
    images = torch.stack([media.read_image(path) for path in files])
    assert torch.equal(done.noise, invert(*images, model=model, steps=6).noise)
    assert media.read_image(out / "sheet.png").shape[0] == 3
    with pytest.raises(OutputError, match="not empty"):
        run(InvertSettings(images=files, out=str(out), device="cpu", steps=6), Silent(), "test")


@pytest.mark.slow
def test_a_stopped_run_goes_on_where_it_was(files: tuple[str, str], tmp_path: Path) -> None:
    images = files * (GROUP // 2) + files[:1]  # two groups
    settings = InvertSettings(images=images, out=str(tmp_path / "run"), device="cpu", steps=3)
    with pytest.raises(KeyboardInterrupt):
        run(settings, Recorder(after=1), "test")
    kept = tmp_path / "run" / "checkpoint" / "00000.safetensors"
    before = kept.stat().st_mtime_ns
    resumed = run(replace(settings, resume=True), Silent(), "test")
    assert kept.stat().st_mtime_ns == before
    whole = run(replace(settings, out=str(tmp_path / "other")), Silent(), "test")
    assert torch.equal(resumed.noise, whole.noise)
    assert resumed.metrics["transport"] == whole.metrics["transport"]


def test_a_resumed_run_refuses_other_images(files: tuple[str, str], tmp_path: Path) -> None:
    settings = InvertSettings(images=files, out=str(tmp_path / "run"), device="cpu", steps=3)
    with pytest.raises(KeyboardInterrupt):
        run(settings, Recorder(after=1), "test")
    media.write_png(torch.zeros(3, 64, 64), files[0])
    with pytest.raises(InputError, match="images are not those"):
        run(replace(settings, resume=True), Silent(), "test")


def test_images_of_other_shapes_are_cropped_with_a_warning(model: LatentDiffusion, pair: Tensor) -> None:
    watch = Recorder()
    invert(pair[0], torch.rand(3, 40, 90), model=model, steps=2, observer=watch)
    assert sum("cut off" in words for words in watch.warnings) == 1
    assert watch.warnings[0].startswith("image 2 is 90x40; its middle is used at 64x64, and 56% of it is cut off.")


def test_a_model_of_pixels_inverts_as_well(tmp_path: Path, pair: Tensor) -> None:
    from diffusers import DDIMScheduler, UNet2DModel

    torch.manual_seed(0)
    unet = UNet2DModel(
        sample_size=16,
        block_out_channels=(8, 8),
        norm_num_groups=4,
        down_block_types=("DownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "UpBlock2D"),
        layers_per_block=1,
    )
    torch.nn.init.zeros_(unet.conv_out.weight)
    torch.nn.init.constant_(unet.conv_out.bias, 0.3)  # eps = 0.3 everywhere: the flow is y = z + 0.3 s
    unet.save_pretrained(tmp_path / "unet")
    DDIMScheduler().save_pretrained(tmp_path / "scheduler")
    done = invert(pair[0], model=str(tmp_path), device="cpu", steps=8)
    assert done.images.shape == (1, 3, 16, 16)
    assert done.metrics["autoencoder"]["mse"]["mean"] < 1e-12  # pixels are their own latents
    assert done.metrics["latent_mse"]["mean"] < 1e-6
    signal, sigma, _ = load_unconditional(str(tmp_path), "cpu").predict.schedule.level(1.0)
    assert torch.allclose(done.noise, signal * done.made.z + sigma * 0.3, atol=1e-5)
    with pytest.raises(ModelError, match=r"An adapter is a \.safetensors file"):
        invert(pair[0], model=str(tmp_path), device="cpu", lora=("x",))


def test_prompts_are_none_one_or_one_each(model: LatentDiffusion) -> None:
    assert len(conditions(model, (), 3)) == 3
    assert len(conditions(model, ("a red cube",), 3)) == 3
    two = conditions(model, ("a red cube", "a blue sphere"), 2)
    assert not two[0].equal(two[1])
    with pytest.raises(InputError, match="no prompt, one, or 3"):
        conditions(model, ("a", "b"), 3)


def test_noise_of_one_channel_is_drawn_gray_and_zero_is_the_middle() -> None:
    assert torch.allclose(noise_pictures(torch.zeros(1, 16), (1, 4, 4), 8, 8), torch.full((1, 3, 8, 8), 0.5))
    assert noise_pictures(torch.zeros(2, 64), (4, 4, 4), 8, 8).shape == (2, 3, 8, 8)


def test_what_cannot_be_inverted_is_refused(model: LatentDiffusion, pair: Tensor) -> None:
    with pytest.raises(InputError, match="at least one image"):
        invert(model=model)
    with pytest.raises(InputError, match=r"in \[0, 1\]; these go from .* Divide"):
        invert(255 * pair[0], model=model)
    with pytest.raises(InputError, match=r"invert\(\) has no option 'step'"):
        invert(pair[0], model=model, step=3)
    with pytest.raises(InputError, match="adams, ddim; got 'dim'"):
        invert(pair[0], model=model, scheme="dim")
    with pytest.raises(InputError, match="not asked for"):
        invert(pair[0], model=model, metric_weights="folder")


def test_folders_are_called_after_the_first_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert first_free("runs/" + stem(InvertSettings(images=("x/cat.png", "dog.png")))) == "runs/invert-cat"
    (tmp_path / "runs" / "invert-cat").mkdir(parents=True)
    assert first_free("runs/" + stem(InvertSettings(images=("x/cat.png",)))) == "runs/invert-cat-2"


def test_what_is_no_noise_is_said_once_with_its_number() -> None:
    shape, told = (4, 16, 16), Recorder()
    noise = torch.randn(3, 1024, generator=torch.Generator().manual_seed(0))
    warn_of_structure(noise, shape, ("a.png", "b.png", "c.png"), told)
    assert told.warnings == []
    noise[1] = noise[1] ** 3
    warn_of_structure(noise, shape, ("a.png", "b.png", "c.png"), told)
    (words,) = told.warnings
    assert words.startswith("The noise of 1 of 3 images is not like noise (") and "excess kurtosis" in words
