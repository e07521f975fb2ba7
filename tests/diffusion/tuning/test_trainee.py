from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from tiny import SIDE, pixel_model, write_latent_model

from geodesic_cli.diffusion import LatentDiffusion, load
from geodesic_cli.diffusion.loading.unconditional import load_unconditional
from geodesic_cli.diffusion.tuning.trainee import Trainee, prepare
from geodesic_cli.errors import ModelError

Z, NOISE = (torch.randn(4, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(k)) for k in (0, 1))
TIMES = torch.tensor([0, 300, 600, 999])


def levels(model: LatentDiffusion) -> tuple[torch.Tensor, torch.Tensor]:
    alpha_bar = model.predict.schedule.alpha_bar[TIMES].double().reshape(-1, 1, 1, 1)  # type: ignore[attr-defined]
    return alpha_bar.sqrt().float(), (1 - alpha_bar).sqrt().float()


def test_noising_is_the_forward_process(tmp_path: Path) -> None:
    trainee = prepare(pixel_model(tmp_path))
    a, sigma = levels(trainee.model)
    torch.testing.assert_close(trainee.noised(Z, NOISE, TIMES), a * Z + sigma * NOISE)
    assert trainee.timesteps == 1000


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction", "sample"])
def test_the_right_answer_has_no_error_and_another_one_has(tmp_path: Path, prediction: str) -> None:
    model = pixel_model(tmp_path)
    a, sigma = levels(model)
    right = {"epsilon": NOISE, "v_prediction": a * NOISE - sigma * Z, "sample": Z}[prediction]
    model = replace(model, predict=replace(model.predict, prediction=prediction))

    def answering(answer: torch.Tensor) -> Trainee:
        def call(x: torch.Tensor, times: torch.Tensor) -> Any:
            return SimpleNamespace(sample=answer)

        return replace(prepare(model), call=call)

    x, condition = a * Z + sigma * NOISE, model.prompts.embed("").expand(4)
    assert float(answering(right).errors(x, Z, NOISE, TIMES, condition).max()) < 1e-10
    off = answering(right + 0.5).errors(x, Z, NOISE, TIMES, condition)
    torch.testing.assert_close(off, torch.full((4,), 0.25))


def test_a_model_that_came_from_no_folder_is_saved_with_all_its_parts(tmp_path: Path) -> None:
    pixels = replace(pixel_model(tmp_path / "tiny"), name="somebody/some-model")
    prepare(pixels).save(tmp_path / "pixels")
    again = load_unconditional(str(tmp_path / "pixels"), "cpu", "fp32")
    assert torch.equal(again.predict.unet.conv_in.weight, pixels.predict.unet.conv_in.weight)
    a, b = (m.predict.schedule.alpha_bar for m in (again, pixels))  # type: ignore[attr-defined]
    torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-7)

    text = replace(load("clevr-mini", "cpu", "fp32"), name="somebody/some-model")
    prepare(text).save(tmp_path / "text")
    again = load(str(tmp_path / "text"), "cpu", "fp32")
    z = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    one, other = (m.predict(z, 500.0, m.prompts.embed("a red cube")) for m in (text, again))
    torch.testing.assert_close(one, other)


@pytest.mark.parametrize("autoencoder", ["VQModel", "AutoencoderKL"])
@pytest.mark.parametrize("known", [True, False])
def test_a_latent_model_without_text_is_saved_for_the_pipeline_of_diffusers(
    tmp_path: Path, autoencoder: str, known: bool
) -> None:
    """Known: it came from a folder, which is copied; else all parts are written anew."""
    from diffusers import LDMPipeline

    model = load_unconditional(str(write_latent_model(tmp_path, autoencoder)), "cpu", "fp32")
    model = model if known else replace(model, name="somebody/some-model")
    with torch.no_grad():
        model.predict.unet.conv_in.weight.add_(0.1)
    prepare(model).save(tmp_path / "out")
    pipeline = LDMPipeline.from_pretrained(tmp_path / "out", local_files_only=True)
    assert type(pipeline.vqvae).__name__ == autoencoder
    assert torch.equal(pipeline.unet.conv_in.weight, model.predict.unet.conv_in.weight)
    assert not pipeline.scheduler.config.clip_sample
    torch.testing.assert_close(
        pipeline.scheduler.alphas_cumprod,
        model.predict.schedule.alpha_bar,  # type: ignore[attr-defined]
        rtol=1e-4,
        atol=1e-7,
    )
    again = load_unconditional(str(tmp_path / "out"), "cpu", "fp32")
    images = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    assert torch.equal(again.encode(images), model.encode(images))
    assert again.image_size == 16


def test_a_folder_is_saved_without_what_a_run_left_in_it(tmp_path: Path) -> None:
    model = pixel_model(tmp_path / "tiny")
    for name in ("manifest.json", "metrics.json", "loss.csv", "checkpoint-5/state.safetensors", "previews/000000.png"):
        (tmp_path / "tiny" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "tiny" / name).write_text("{}")
    prepare(model).save(tmp_path / "out")
    names = {path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert names == {
        "model_index.json",
        "scheduler/scheduler_config.json",
        "unet/config.json",
        "unet/diffusion_pytorch_model.safetensors",
    }


def test_what_cannot_be_trained_is_refused(tmp_path: Path) -> None:
    model = pixel_model(tmp_path)
    model.predict.unet.half()
    with pytest.raises(ModelError, match="fp32"):
        prepare(model)
    with pytest.raises(ModelError, match="variance-preserving"):
        prepare(replace(model, predict=replace(model.predict, schedule=SimpleNamespace())))  # type: ignore[arg-type]


def test_an_adapter_is_all_that_is_trained(tmp_path: Path) -> None:
    model = load("clevr-mini", "cpu", "fp32")
    trainee = prepare(model, rank=2)
    assert trainee.weights
    assert all("lora" in name for name in trainee.weights)
    assert all(p.requires_grad == ("lora" in n) for n, p in model.predict.unet.named_parameters())
