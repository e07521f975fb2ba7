"""Every weight and every number of a configuration is accounted for; what is not whole is refused in a sentence."""

import inspect
import json
import shutil
import warnings
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import diffusers
import pipelines
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from geodesic_cli.diffusion import load
from geodesic_cli.diffusion.loading.accounts import ModelRemark
from geodesic_cli.diffusion.loading.parts import UNMET
from geodesic_cli.errors import InputError, ModelError

# What diffusers itself builds the network from: a wrong one shows in the shapes of the weights or in its own answer.
BUILT = set(
    """
    in_channels out_channels down_block_types mid_block_type up_block_types block_out_channels layers_per_block act_fn
    norm_num_groups norm_eps attn_norm_num_groups norm_type use_quant_conv use_post_quant_conv mid_block_add_attention
    num_vq_embeddings vq_embed_dim center_input_sample flip_sin_to_cos freq_shift only_cross_attention
    downsample_padding mid_block_scale_factor dropout cross_attention_dim transformer_layers_per_block
    reverse_transformer_layers_per_block attention_head_dim num_attention_heads use_linear_projection
    addition_time_embed_dim upcast_attention resnet_time_scale_shift resnet_skip_time_act resnet_out_scale_factor
    time_embedding_dim time_embedding_act_fn timestep_post_act conv_in_kernel conv_out_kernel
    projection_class_embeddings_input_dim class_embeddings_concat mid_block_only_cross_attention cross_attention_norm
    addition_embed_type_num_heads downsample_type upsample_type add_attention num_train_timesteps num_layers
    num_single_layers joint_attention_dim caption_projection_dim pooled_projection_dim dual_attention_layers qk_norm
    axes_dims_rope
    """.split()  # noqa: SIM905
)
READ = set(
    """
    latent_channels scaling_factor shift_factor latents_mean latents_std force_upcast sample_size addition_embed_type
    time_embedding_type class_embed_type num_class_embeds lookup_from_codebook patch_size pos_embed_max_size
    guidance_embeds attention_type
    """.split()  # noqa: SIM905
)
KINDS = (
    *("AutoencoderKL", "VQModel", "UNet2DConditionModel", "UNet2DModel", "SD3Transformer2DModel"),
    "FluxTransformer2DModel",
)


@pytest.mark.parametrize("kind", KINDS)
def test_every_number_of_a_part_is_built_in_read_or_refused(kind: str) -> None:
    words = set(inspect.signature(getattr(diffusers, kind).__init__).parameters) - {"self", "args", "kwargs"}
    assert words <= BUILT | READ | set(UNMET)


# Of transformers: what the encoder is built from, what is read here, and what says nothing about its answer.
TEXT_BUILT = set(
    """
    vocab_size hidden_size intermediate_size projection_dim num_hidden_layers num_attention_heads hidden_act
    layer_norm_eps d_model d_kv d_ff num_layers num_heads relative_attention_num_buckets
    relative_attention_max_distance layer_norm_epsilon feed_forward_proj is_decoder eos_token_id
    """.split()  # noqa: SIM905
)
TEXT_READ = {"max_position_embeddings", "architectures", "dtype"}
TEXT_IDLE = set(
    """
    transformers_version output_hidden_states return_dict chunk_size_feed_forward is_encoder_decoder id2label label2id
    problem_type attention_dropout initializer_range initializer_factor pad_token_id bos_token_id num_decoder_layers
    dropout_rate use_cache classifier_dropout
    """.split()  # noqa: SIM905
)
"""Of training, of a decoder, of labels; the tokenizer has its own special tokens, and dropout is off."""


@pytest.mark.parametrize("kind", ["CLIPTextConfig", "T5Config"])
def test_every_number_of_a_text_encoder_is_built_in_read_or_idle(kind: str) -> None:
    words = {field.name for field in fields(getattr(transformers, kind))}
    assert words <= TEXT_BUILT | TEXT_READ | TEXT_IDLE


def test_no_number_is_in_two_tables() -> None:
    both = {"class_embed_type", "num_class_embeds"}  # refused for text, and read where there is none
    assert not BUILT & READ and (BUILT | READ) & set(UNMET) <= both
    assert not TEXT_BUILT & TEXT_READ and not (TEXT_BUILT | TEXT_READ) & TEXT_IDLE


@pytest.mark.parametrize(
    ("kind", "part", "numbers"),
    [("sd", "unet", {"gated_norm": True}), ("sd", "vae", {"patch": 2}), ("sd3", "transformer", {"rope": "axial"})],
)
def test_a_number_that_the_installed_class_does_not_know_is_told(spoil, kind: str, part: str, numbers: dict) -> None:
    ((key, value),) = numbers.items()
    with pytest.warns(ModelRemark, match=rf"says {key} = {value} for its .*does not know"):
        load(spoil(kind, part, **numbers), "cpu")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load(spoil(kind, part, **{key: None, "_made_by": "a tool"}), "cpu")


def test_an_encoder_that_acts_otherwise_answers_otherwise(spoil) -> None:
    """`hidden_act` and the end of a text are the encoder's own matter, and it reads them."""
    plain = load(spoil("sd", "text_encoder", hidden_act="quick_gelu"), "cpu").prompts.embed("a cat")
    other = load(spoil("sd", "text_encoder", hidden_act="gelu"), "cpu").prompts.embed("a cat")
    assert not plain.equal(other)


def test_the_scale_of_a_distilled_guidance_is_told_to_the_network(tmp_path: Path) -> None:
    folder = pipelines.build_flux(tmp_path)
    asked = []
    model = load(str(folder), "cpu")
    model.predict.unet.time_text_embed.guidance_embedder.register_forward_pre_hook(lambda _, given: asked.append(given))
    model.predict(torch.zeros(1, 16, 4, 4), 500.0, model.prompts.embed("a"))
    assert len(asked) == 1
    told = json.loads((folder / "transformer" / "config.json").read_text())
    assert told["guidance_embeds"] is True


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("whole")
    return {
        "sd": pipelines.build(pipelines.SD1, root / "sd"),
        "xl": pipelines.build(pipelines.XL, root / "xl"),
        "sd3": pipelines.build_sd3(root / "sd3"),
    }


@pytest.fixture
def spoil(folders: dict[str, Path], tmp_path: Path):
    """A copy of a model with other weights, or another configuration, in one part."""

    def spoilt(kind: str, part: str, change: Any = None, **numbers: Any) -> str:
        folder = Path(shutil.copytree(folders[kind], tmp_path / "copy", dirs_exist_ok=True))
        if change is not None:
            (file,) = (folder / part).glob("*.safetensors")
            save_file({k: v.contiguous() for k, v in change(load_file(file)).items()}, file, {"format": "pt"})
        if numbers:
            file = folder / part / ("scheduler_config.json" if part == "scheduler" else "config.json")
            file.write_text(json.dumps({**json.loads(file.read_text()), **numbers}))
        return str(folder)

    return spoilt


def answer(folder: str | Path, **options: Any) -> torch.Tensor:
    model = load(str(folder), "cpu", "fp32", **options)
    z = torch.randn(1, *model.latent_shape(32, 32), generator=torch.Generator().manual_seed(0))
    return model.predict(z, model.predict.schedule.level(0.3)[2], model.prompts.embed("a cat"))


@pytest.mark.parametrize(
    ("kind", "part", "word"),
    [
        ("sd", "text_encoder", "layers.1.mlp.fc1"),
        ("sd", "unet", "mid_block.resnets.0.conv1"),
        ("sd", "vae", "decoder.conv_in"),
        ("xl", "text_encoder_2", "text_projection"),
        ("sd3", "transformer", "proj_out"),
        ("sd3", "text_encoder_3", "wi.weight"),
    ],
)
def test_weights_that_are_missing_are_named_with_their_file(spoil, kind: str, part: str, word: str) -> None:
    folder = spoil(kind, part, lambda w: {k: v for k, v in w.items() if word not in k})
    with pytest.raises(ModelError, match=rf"is not whole: \d+ weights? \(.*{word}.*missing from .*{part}") as caught:
        load(folder, "cpu")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("part", ["unet", "vae", "text_encoder"])
def test_weights_without_a_place_are_named(spoil, part: str) -> None:
    folder = spoil("sd", part, lambda w: {**w, "surplus.weight": torch.zeros(2)})
    with pytest.raises(ModelError, match=r"1 weight \(surplus.weight\) is in .* without a place"):
        load(folder, "cpu")


def test_what_a_larger_model_leaves_in_a_text_encoder_is_no_harm(folders, spoil) -> None:
    more = {"logit_scale": torch.zeros(()), "visual_projection.weight": torch.zeros(2, 2)}
    more |= {"text_model.embeddings.position_ids": torch.arange(77)[None]}
    assert torch.equal(answer(spoil("sd", "text_encoder", lambda w: {**w, **more})), answer(folders["sd"]))


@pytest.mark.parametrize("kind", ["sd", "xl"])
@pytest.mark.parametrize("prefix", ["text_model.", ""])
def test_a_text_encoder_loads_with_and_without_the_prefix_of_its_names(folders, spoil, kind: str, prefix: str) -> None:
    def change(w: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return {k if "projection" in k else prefix + k.removeprefix("text_model."): v for k, v in w.items()}

    part = "text_encoder" if kind == "sd" else "text_encoder_2"
    assert torch.equal(answer(spoil(kind, part, change)), answer(folders[kind]))


def test_an_autoencoder_under_the_older_names_of_attention_loads(folders, spoil) -> None:
    older = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}

    def change(w: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        for new, old in older.items():
            w = {k.replace(f"attentions.0.{new}.", f"attentions.0.{old}."): v for k, v in w.items()}
        return w

    folder = spoil("sd", "vae", change)
    images = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    here, there = (load(str(place), "cpu", "fp32") for place in (folders["sd"], folder))
    assert torch.equal(here.encode(images), there.encode(images))


@pytest.mark.parametrize(("part", "value"), [("unet", float("nan")), ("vae", float("inf")), ("text_encoder", -1e999)])
def test_weights_that_are_no_numbers_are_refused(spoil, part: str, value: float) -> None:
    def change(w: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        name = next(k for k, v in w.items() if v.ndim == 2)
        w[name][0, 0] = value
        return w

    with pytest.raises(ModelError, match=rf"weights .* are damaged: 1 weight .* NaN or infinite in .*{part}"):
        load(spoil("sd", part, change), "cpu")


@pytest.mark.parametrize(
    ("part", "numbers", "words"),
    [
        ("unet", {"class_embed_type": "projection", "projection_class_embeddings_input_dim": 8}, "class_embed_type"),
        ("unet", {"num_class_embeds": 4}, "num_class_embeds"),
        ("unet", {"time_cond_proj_dim": 8}, "time_cond_proj_dim"),
        ("unet", {"encoder_hid_dim": 8, "encoder_hid_dim_type": "text_proj"}, "encoder_hid_dim"),
        ("unet", {"out_channels": 8}, "answers 8 channels for 4"),
        ("unet", {"attention_type": "gated"}, "attention_type"),
    ],
)
def test_networks_that_want_more_than_a_prompt_are_refused(tmp_path, part: str, numbers: dict, words: str) -> None:
    shapes = replace(pipelines.SD1, unet={**pipelines.UNET, **numbers})
    if "attention_type" in numbers:
        shapes = replace(shapes, unet={**shapes.unet, "transformer_layers_per_block": 1})
    with pytest.raises(ModelError, match=words):
        load(str(pipelines.build(shapes, tmp_path)), "cpu")


def test_the_means_and_spreads_of_latents_are_honoured(folders, spoil) -> None:
    mean, std = [1.0, -1.0, 0.5, 0.0], [2.0, 1.0, 0.5, 4.0]
    plain = load(str(folders["sd"]), "cpu", "fp32")
    model = load(spoil("sd", "vae", latents_mean=mean, latents_std=std), "cpu", "fp32")
    images = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    raw = plain.codec.encode(images) / 0.5
    columns = (torch.tensor(numbers).reshape(-1, 1, 1) for numbers in (mean, std))
    m, s = columns
    z = model.codec.encode(images)
    assert torch.allclose(z, (raw - m) * 0.5 / s, atol=1e-6)
    assert torch.allclose(model.codec.decode(z), plain.codec.decode(plain.codec.encode(images)), atol=1e-5)
    assert model.fingerprint != plain.fingerprint


def test_no_scaling_factor_is_a_factor_of_one(folders, spoil) -> None:
    images = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    plain = load(str(folders["sd"]), "cpu", "fp32").codec.encode(images)
    assert torch.allclose(load(spoil("sd", "vae", scaling_factor=None), "cpu", "fp32").codec.encode(images), 2 * plain)


def test_latents_of_edm_need_their_spread(folders, spoil) -> None:
    scheduler = {"_class_name": "EDMEulerScheduler", "prediction_type": "epsilon", "sigma_data": 0.5}
    folder = Path(spoil("xl", "scheduler", **scheduler))
    with pytest.raises(ModelError, match=r"spread 0.5.*does not say theirs"):
        load(str(folder), "cpu")
    file = folder / "vae" / "config.json"
    told = {"latents_mean": [0.0] * 4, "latents_std": [5.0] * 4}
    file.write_text(json.dumps({**json.loads(file.read_text()), **told}))
    assert answer(folder).isfinite().all()


def test_a_transformer_of_a_flow_wants_a_flow(spoil) -> None:
    with pytest.raises(ModelError, match="transformer of flow matching"):
        load(spoil("sd3", "scheduler", _class_name="DDIMScheduler"), "cpu")


@pytest.mark.parametrize("kind", ["DPMSolverMultistepScheduler", "UniPCMultistepScheduler"])
def test_a_flow_under_another_solver_is_the_same_model(folders, spoil, kind: str) -> None:
    numbers = {"prediction_type": "flow_prediction", "use_flow_sigmas": True, "flow_shift": 3.0}
    folder = spoil("sd3", "scheduler", _class_name=kind, **numbers)
    assert load(folder, "cpu").fingerprint == load(str(folders["sd3"]), "cpu").fingerprint
    assert torch.equal(answer(folder), answer(folders["sd3"]))


def test_an_image_above_the_table_of_positions_is_refused(folders) -> None:
    model = load(str(folders["sd3"]), "cpu")
    assert model.latent_shape(256, 256) == (16, 32, 32)
    with pytest.raises(InputError, match=r"positions up to 256 pixels; got 272x256.*at most 256"):
        model.latent_shape(256, 272)


def test_a_tokenizer_without_a_length_has_the_one_of_its_encoder(folders, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(folders["sd"], tmp_path / "copy"))
    file = folder / "tokenizer" / "tokenizer_config.json"
    config = json.loads(file.read_text())
    del config["model_max_length"]
    file.write_text(json.dumps(config))
    assert torch.equal(answer(folder), answer(folders["sd"]))


def test_parts_that_do_not_fit_are_found_by_a_first_call(folders, spoil, tmp_path: Path) -> None:
    folder = Path(spoil("xl", "scheduler"))
    shutil.rmtree(folder / "unet")
    wide = {**pipelines.XL.unet, "projection_class_embeddings_input_dim": 16 + 6 * 2 + 1}
    shutil.copytree(pipelines.build(replace(pipelines.XL, unet=wide), tmp_path / "wide") / "unet", folder / "unet")
    with pytest.raises(ModelError, match=r"The network of the model .* a first call of it fails") as caught:
        load(str(folder), "cpu")
    assert "\n" not in str(caught.value)


def test_exploding_noise_is_for_pixels(spoil) -> None:
    with pytest.raises(ModelError, match="noise explodes"):
        load(spoil("sd", "scheduler", _class_name="ScoreSdeVeScheduler"), "cpu")


@pytest.mark.parametrize("text", ["[1]", "{", '{"_class_name": "DDIMScheduler", "beta_start": "a"}', ""])
def test_a_configuration_that_is_none_is_a_sentence(folders, tmp_path: Path, text: str) -> None:
    folder = Path(shutil.copytree(folders["sd"], tmp_path / "copy"))
    (folder / "scheduler" / "scheduler_config.json").write_text(text)
    with pytest.raises(ModelError, match="could not be read") as caught:
        load(str(folder), "cpu")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "part", "numbers", "word"),
    [
        ("sd", "unet", {"_class_name": "UNet3DConditionModel"}, "UNet3DConditionModel"),
        ("sd", "vae", {"_class_name": "AutoencoderTiny"}, "AutoencoderTiny"),
        ("xl", "text_encoder_2", {"model_type": "chinese_clip_text_model"}, "chinese_clip_text_model"),
        ("sd3", "text_encoder_3", {"model_type": "umt5"}, "umt5"),
        ("sd3", "transformer", {"_class_name": "PixArtTransformer2DModel"}, "PixArtTransformer2DModel"),
    ],
)
def test_a_part_that_says_that_it_is_another_is_refused(spoil, kind: str, part: str, numbers: dict, word: str) -> None:
    """Its weights may fit all the same."""
    with pytest.raises(ModelError, match=rf"{part} says that it is a {word}"):
        load(spoil(kind, part, **numbers), "cpu")


def test_a_text_encoder_out_of_a_whole_clip_is_one(folders, spoil) -> None:
    assert torch.equal(answer(spoil("sd", "text_encoder", model_type="clip")), answer(folders["sd"]))
