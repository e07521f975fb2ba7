"""Every family of models goes the ordinary way: saved to disk in the Hub's layout, loaded, asked."""

from pathlib import Path

import pipelines
import pytest
import torch
from safetensors.torch import load_file

from geodesic_cli.diffusion import FlowSchedule, LatentDiffusion, load
from geodesic_cli.diffusion.batching import Chunks
from geodesic_cli.diffusion.loading import lora
from geodesic_cli.diffusion.loading.devices import pick_dtype
from geodesic_cli.errors import InputError, ModelError

MAKERS = {
    "sd1": lambda folder: pipelines.build(pipelines.SD1, folder),
    "sd2-v": lambda folder: pipelines.build(pipelines.SD2V, folder),
    "sdxl": lambda folder: pipelines.build(pipelines.XL, folder),
    "sd3": pipelines.build_sd3,
    "sd3-without-t5": lambda folder: pipelines.build_sd3(folder, t5=False),
    "flux": pipelines.build_flux,
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("models")
    return {name: make(root / name) for name, make in MAKERS.items()}


@pytest.fixture(scope="module")
def models(folders: dict[str, Path]) -> dict[str, LatentDiffusion]:
    return {name: load(str(folder), "cpu") for name, folder in folders.items()}


def noisy(model: LatentDiffusion, n: int = 3, side: int = 32) -> torch.Tensor:
    return torch.randn(n, *model.latent_shape(side, side), generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", MAKERS)
def test_an_image_goes_up_to_tau_and_comes_back_and_has_a_score(models, name: str) -> None:
    model = models[name]
    images = torch.rand(2, 3, 32, 48, generator=torch.Generator().manual_seed(0))
    shape = model.latent_shape(32, 48)
    along = model.prompts.along(("a cat", "a dog"))
    ends = along(torch.tensor([0.0, 1.0]))
    z = model.encode(images)
    x = model.lift(z, shape, ends, 0.5, 6)
    back = model.drop(x, shape, ends, 0.5, 6)
    assert model.decode(back, shape).shape == images.shape
    score = model.score(shape, 0.5, along, guidance=2.0)(x, torch.tensor([0.0, 1.0]))
    assert score.shape == x.shape
    assert bool(score.isfinite().all())
    assert model.sample(["a cat"], torch.Generator().manual_seed(0), steps=2).isfinite().all()


@pytest.mark.parametrize("name", MAKERS)
def test_the_prompt_and_its_pooled_vector_matter(models, name: str) -> None:
    from dataclasses import replace

    model = models[name]
    z, cat = noisy(model), model.prompts.embed("cat").expand(3)
    here = model.predict(z, 400.0, cat)
    assert not torch.equal(here, model.predict(z, 400.0, model.prompts.embed("dog").expand(3)))
    if cat.pooled is not None:
        assert not torch.equal(here, model.predict(z, 400.0, replace(cat, pooled=cat.pooled + 1)))


def test_the_embeddings_have_the_published_layout(models) -> None:
    def shapes(name: str) -> tuple[tuple[int, ...], tuple[int, ...] | None]:
        e = models[name].prompts.embed("a cat")
        return tuple(e.tokens.shape), None if e.pooled is None else tuple(e.pooled.shape)

    assert shapes("sd1") == ((1, 77, 16), None)
    assert shapes("sdxl") == ((1, 77, 24), (1, 16))
    assert shapes("sd3") == ((1, 77 + 256, 32), (1, 24))
    assert shapes("sd3-without-t5") == shapes("sd3")
    assert shapes("flux") == ((1, 512, 32), (1, 8))
    assert not bool(models["sd3-without-t5"].prompts.embed("a cat").tokens[:, 77:].any())


def test_sdxl_reads_the_states_before_the_last_layer_of_both_encoders(models) -> None:
    model = models["sdxl"]
    e = model.prompts.embed("a cat")
    for reader, part in zip(model.prompts.readers, (slice(0, 8), slice(8, 24)), strict=True):
        ids = reader.tokenizer("a cat", padding="max_length", max_length=77, return_tensors="pt").input_ids
        with torch.no_grad():
            output = reader.encoder(ids, output_hidden_states=True)
        assert torch.equal(e.tokens[..., part], output.hidden_states[-2])
        assert not torch.allclose(e.tokens[..., part], output.hidden_states[-1], atol=1e-3)
    assert torch.equal(e.pooled, output.text_embeds)


def test_sdxl_takes_zeros_for_no_prompt_and_others_the_empty_one(models) -> None:
    null = models["sdxl"].prompts.null()
    assert not bool(null.tokens.any()) and not bool(null.pooled.any())
    assert models["sd1"].prompts.null().equal(models["sd1"].prompts.embed(""))


def test_sdxl_is_told_the_size_of_the_image(models) -> None:
    model = models["sdxl"]
    told = []
    hook = model.predict.unet.register_forward_pre_hook(
        lambda module, args, kwargs: told.append(kwargs["added_cond_kwargs"]["time_ids"]), with_kwargs=True
    )
    model.predict(noisy(model, side=48), 400.0, model.prompts.embed("").expand(3))
    hook.remove()
    assert told[0].tolist() == [[48, 48, 0, 0, 48, 48]] * 3


def test_the_pipelines_of_diffusers_ask_the_networks_the_same(folders, models) -> None:
    # The layouts are held against diffusers' own pipelines: what they hand to the network for a prompt.
    from diffusers import (
        FluxPipeline,
        StableDiffusion3Pipeline,
        StableDiffusionXLPipeline,
    )

    xl, sd3, flux = models["sdxl"], models["sd3"], models["flux"]

    def of(model: LatentDiffusion) -> dict:
        readers = {}
        for k, reader in enumerate(model.prompts.readers):
            suffix = "" if k == 0 else f"_{k + 1}"
            readers |= {f"tokenizer{suffix}": reader.tokenizer, f"text_encoder{suffix}": reader.encoder}
        return {**readers, "vae": model.codec.vae}

    from diffusers import EulerDiscreteScheduler, FlowMatchEulerDiscreteScheduler

    with torch.no_grad():
        theirs = StableDiffusionXLPipeline(**of(xl), unet=xl.predict.unet, scheduler=EulerDiscreteScheduler())
        tokens, _, pooled, _ = theirs.encode_prompt("a cat", device="cpu", do_classifier_free_guidance=False)
        assert torch.equal(tokens, xl.prompts.embed("a cat").tokens)
        assert torch.equal(pooled, xl.prompts.embed("a cat").pooled)
        flow = FlowMatchEulerDiscreteScheduler()
        theirs = StableDiffusion3Pipeline(**of(sd3), transformer=sd3.predict.unet, scheduler=flow)
        tokens, _, pooled, _ = theirs.encode_prompt(
            "a cat", None, None, device="cpu", do_classifier_free_guidance=False
        )
        assert torch.allclose(tokens, sd3.prompts.embed("a cat").tokens, atol=1e-6)
        assert torch.allclose(pooled, sd3.prompts.embed("a cat").pooled, atol=1e-6)
        theirs = FluxPipeline(**of(flux), transformer=flux.predict.unet, scheduler=flow)
        tokens, pooled, _ = theirs.encode_prompt("a cat", None, device="cpu")
        assert torch.allclose(tokens, flux.prompts.embed("a cat").tokens, atol=1e-6)
        assert torch.allclose(pooled, flux.prompts.embed("a cat").pooled, atol=1e-6)
        z = noisy(flux)
        n, c, h, w = z.shape
        asked = {}
        hook = flux.predict.unet.register_forward_pre_hook(lambda m, a, k: asked.update(k), with_kwargs=True)
        output = flux.predict.ask(flux.predict.unet, z, torch.full((n,), 400.0), flux.prompts.embed("a cat").expand(n))
        hook.remove()
        assert torch.equal(asked["hidden_states"], FluxPipeline._pack_latents(z, n, c, h, w))
        assert torch.equal(asked["img_ids"], FluxPipeline._prepare_latent_image_ids(n, h // 2, w // 2, "cpu", z.dtype))
        raw = flux.predict.unet(**asked).sample
        assert torch.equal(output, FluxPipeline._unpack_latents(raw, h * 8, w * 8, 8))


def test_a_pipeline_of_diffusers_reads_the_same_folder(folders) -> None:
    from diffusers import StableDiffusionPipeline

    theirs = StableDiffusionPipeline.from_pretrained(folders["sd1"], safety_checker=None, feature_extractor=None)
    assert theirs.unet.config.cross_attention_dim == 16


def test_flow_models_have_the_straight_schedule_with_their_shift(models) -> None:
    schedule = models["sd3"].predict.schedule
    assert isinstance(schedule, FlowSchedule)
    assert schedule.shift == 3.0
    assert models["flux"].predict.schedule.shift == pytest.approx(3.158, abs=1e-3)
    assert models["sd3"].predict.prediction == "flow_prediction"
    assert models["sd2-v"].predict.prediction == "v_prediction"


def test_a_latent_of_a_transformer_is_made_of_patches(models) -> None:
    assert models["sd3"].latent_shape(32, 48) == (16, 4, 6)
    with pytest.raises(InputError, match="multiples of 16; got 40x32"):
        models["sd3"].latent_shape(32, 40)


@pytest.mark.parametrize("name", ["sd1", "sdxl", "sd3"])
@pytest.mark.parametrize(("dtype", "rounding"), [("fp32", 1e-5), ("bf16", 0.03), ("fp16", 0.004)])
def test_chunks_and_the_order_of_a_batch_change_a_score_by_no_more_than_rounding(
    folders, name: str, dtype: str, rounding: float
) -> None:
    from dataclasses import replace

    # In float32 a chunk takes other kernels than the whole: 5e-6 on AMD, below 1e-6 on Intel.
    model = load(str(folders[name]), "cpu", dtype)
    shape = model.latent_shape(32, 32)
    x = noisy(model, 7).flatten(1)
    u = torch.linspace(0, 1, 7)
    along = model.prompts.along(("a cat", "a dog"))
    whole = model.score(shape, 0.6, along)(x, u)
    order = torch.tensor([3, 0, 6, 1, 5, 2, 4])
    size = float(whole.norm(dim=1).mean())
    parted = replace(model, predict=replace(model.predict, chunks=Chunks(2))).score(shape, 0.6, along)(x, u)
    assert float((parted - whole).norm(dim=1).max()) <= rounding * size
    assert (
        float((model.score(shape, 0.6, along)(x[order], u[order]) - whole[order]).norm(dim=1).max()) <= rounding * size
    )
    exact = load(str(folders[name]), "cpu", "fp32").score(shape, 0.6, along)(x, u)
    assert float((whole - exact).norm(dim=1).max()) <= 3 * max(rounding, 1e-6) * size


def test_a_variant_is_read_where_a_part_has_it(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    folder = pipelines.build(pipelines.SD1, tmp_path / "both", variant="fp16")
    with pytest.raises(ModelError, match=r"only weights of the variant fp16.*Pass --variant"):
        load(str(folder), "cpu")
    assert load(str(folder), "cpu", variant="fp16").image_size == 32
    part = folder / "unet" / "diffusion_pytorch_model.fp16.safetensors"
    save_file(
        {name: 0 * tensor for name, tensor in load_file(part).items()},
        folder / "unet" / "diffusion_pytorch_model.safetensors",
        {"format": "pt"},
    )
    zero = load(str(folder), "cpu", variant="fp16").fingerprint
    part.unlink()
    assert load(str(folder), "cpu", variant="fp16").fingerprint != zero


def test_a_refiner_is_refused_with_what_it_lacks(folders, tmp_path: Path) -> None:
    import shutil

    folder = Path(shutil.copytree(folders["sdxl"], tmp_path / "refiner"))
    shutil.rmtree(folder / "text_encoder")
    with pytest.raises(ModelError, match="it lacks text_encoder"):
        load(str(folder), "cpu")


def test_the_autoencoder_of_sdxl_stays_in_single_precision_where_the_network_is_in_half(folders) -> None:
    model = load(str(folders["sdxl"]), "cpu", "fp16")
    assert model.predict.unet.dtype == torch.float16
    assert model.codec.vae.dtype == torch.float32
    assert load(str(folders["sd1"]), "cpu", "fp16").codec.vae.dtype == torch.float16
    assert load(str(folders["sdxl"]), "cpu", "bf16").codec.vae.dtype == torch.bfloat16


def test_half_precision_is_chosen_on_cuda_and_by_the_family() -> None:
    cuda, cpu = torch.device("cuda"), torch.device("cpu")
    assert pick_dtype("auto", cuda, "sdxl") == torch.float16
    assert pick_dtype("auto", cuda, "sd3") == torch.bfloat16
    assert pick_dtype("auto", cpu, "sd3") == torch.float32
    assert pick_dtype("fp16", cpu) == torch.float16


@pytest.mark.parametrize(("name", "prefix"), [("sdxl", "unet"), ("sd3", "transformer"), ("flux", "transformer")])
def test_an_adapter_of_any_family_goes_to_disk_and_back(folders, tmp_path: Path, name: str, prefix: str) -> None:
    trained = load(str(folders[name]), "cpu")
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in lora.attach(trained.predict.unet, 2):
            weight.copy_(torch.randn(weight.shape, generator=generator))
    file = lora.save(trained.predict.unet, tmp_path)
    assert all(key.startswith(f"{prefix}.") for key in load_file(file))
    z, c = noisy(trained), trained.prompts.embed("a cat").expand(3)
    plain, adapted = load(str(folders[name]), "cpu"), load(str(folders[name]), "cpu", lora=(f"{tmp_path}:1",))
    # The adapter's weights are large, and rounding with them: 1e-4 on AMD.
    assert torch.allclose(adapted.predict(z, 400.0, c), trained.predict(z, 400.0, c), atol=1e-3)
    assert not torch.allclose(plain.predict(z, 400.0, c), trained.predict(z, 400.0, c), atol=1e-2)


def test_an_adapter_of_another_family_is_refused(folders, tmp_path: Path) -> None:
    trained = load(str(folders["sdxl"]), "cpu")
    lora.attach(trained.predict.unet, 2)
    lora.save(trained.predict.unet, tmp_path)
    with pytest.raises(ModelError, match=r"does not fit this model|holds no adapter"):
        load(str(folders["sd1"]), "cpu", lora=(str(tmp_path),))
    with pytest.raises(ModelError, match=r"does not fit this model|holds no adapter"):
        load(str(folders["sd3"]), "cpu", lora=(str(tmp_path),))
