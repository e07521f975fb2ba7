"""Models are found in the cache without the network, and downloaded from the first source that has them."""

import time
from pathlib import Path

import pytest
from hub import COMMIT, at, offline, serving

from geodesic_cli.diffusion import load
from geodesic_cli.diffusion.loading import locate as room
from geodesic_cli.diffusion.loading.aliases import MODELS, Alias
from geodesic_cli.diffusion.loading.locate import find_model, wanted
from geodesic_cli.errors import ModelError


def test_a_hub_id_is_downloaded_once_and_only_what_is_safe_and_needed(folder, cache, monkeypatch) -> None:
    with serving(someone__tiny=folder) as hub:
        at(hub, monkeypatch)
        model = load("someone/tiny", "cpu")
        assert hub.fetched == {
            "model_index.json",
            "scheduler/scheduler_config.json",
            "text_encoder/config.json",
            "text_encoder/model.safetensors",
            "tokenizer/merges.txt",
            "tokenizer/tokenizer_config.json",
            "tokenizer/vocab.json",
            "unet/config.json",
            "unet/diffusion_pytorch_model.safetensors",
            "vae/config.json",
            "vae/diffusion_pytorch_model.safetensors",
        }
        before = len(hub.asked)
        assert load("someone/tiny", "cpu").fingerprint == model.fingerprint
        assert len(hub.asked) == before, "what is in the cache needs no network"
    offline(monkeypatch)
    assert load("someone/tiny", "cpu").fingerprint == model.fingerprint
    assert model.folder is not None and model.folder.name == COMMIT


def test_a_revision_is_asked_for_and_one_that_is_not_there_is_named(folder, cache, monkeypatch) -> None:
    with serving(someone__tiny=folder) as hub:
        at(hub, monkeypatch)
        place = find_model("someone/tiny", revision="v1")
        assert place.path.name == COMMIT
        assert any("/revision/v1" in asked for asked in hub.asked)
        with pytest.raises(ModelError, match="someone/tiny has no revision v2"):
            find_model("someone/tiny", revision="v2")


def test_the_mirrors_of_an_alias_are_tried_in_their_order(folder, cache, monkeypatch) -> None:
    alias = Alias("mirrored", "", ("gone/tiny", "second/tiny", "third/tiny"), 32, 0.1)
    monkeypatch.setattr("geodesic_cli.diffusion.loading.aliases.MODELS", (*MODELS, alias))
    with serving(second__tiny=folder, third__tiny=folder) as hub:
        at(hub, monkeypatch)
        assert find_model("mirrored").source == "second/tiny"
        assert [
            name for name in ("gone", "second", "third") if any(f"models/{name}" in asked for asked in hub.asked)
        ] == [
            "gone",
            "second",
        ]
    offline(monkeypatch)
    assert find_model("mirrored").source == "second/tiny"


def test_a_model_that_is_nowhere_is_one_sentence_with_every_place(cache, monkeypatch) -> None:
    with serving() as hub:
        at(hub, monkeypatch)
        with pytest.raises(ModelError) as caught:
            load("sd21-base", "cpu")
    text = str(caught.value)
    assert "\n" not in text
    for part in (str(cache), *room.sources("sd21-base"), "--model clevr-mini works without any download"):
        assert part in text


def test_folders_that_do_not_exist_are_not_sought_on_the_hub(cache, monkeypatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models").mkdir()
    monkeypatch.setattr(room, "_downloaded", lambda *given: pytest.fail("the Hub was asked"))
    for name in ("./my-model", "../my-model", "models/x", str(tmp_path / "x"), "~/x", "a/b/c", "models/x/"):
        with pytest.raises(ModelError, match=r"There is no (model|folder)") as caught:
            find_model(name)
        assert name in str(caught.value)
    (cache / "models--models--y").mkdir(parents=True)  # in the cache, whatever else is called like its owner
    monkeypatch.setattr(room, "_downloaded", lambda *given: "asked")
    assert find_model("models/y") == find_model("owner/name") == "asked"


def test_a_hub_out_of_reach_is_said_at_once(cache, monkeypatch) -> None:
    with serving() as hub:
        pass
    at(hub, monkeypatch)  # nobody listens there any more
    began = time.monotonic()
    with pytest.raises(ModelError, match=r"cannot be reached .*clevr-mini"):
        load("sd15", "cpu")
    assert time.monotonic() - began < 2 * room.HUB_PATIENCE


def test_offline_nothing_is_asked(folder, cache, monkeypatch) -> None:
    with serving(someone__tiny=folder) as hub:
        at(hub, monkeypatch)
        offline(monkeypatch)
        with pytest.raises(ModelError, match=r"HF_HUB_OFFLINE is set.*Run once with a network"):
            load("someone/tiny", "cpu")
        assert hub.asked == []


def test_a_copy_that_is_not_complete_is_completed(folder, cache, monkeypatch) -> None:
    with serving(someone__tiny=folder) as hub:
        at(hub, monkeypatch)
        place = find_model("someone/tiny")
        (place.path / "unet" / "diffusion_pytorch_model.safetensors").unlink()
        assert "unet has no weights" in room.lacks(place.path, None)
        find_model("someone/tiny")
        assert room.lacks(place.path, None) == ""


NAMES = [
    "README.md",
    "model_index.json",
    "text_encoder_3/config.json",
    "text_encoder_3/model-00001-of-00002.safetensors",
    "text_encoder_3/model-00002-of-00002.safetensors",
    "text_encoder_3/model.safetensors.index.json",
    "text_encoder_3/model.fp16-00001-of-00002.safetensors",
    "text_encoder_3/model.safetensors.index.fp16.json",
    "transformer/config.json",
    "transformer/diffusion_pytorch_model.safetensors",
    "transformer/flax_model.msgpack",
    "transformer/onnx/model.safetensors",
    "tokenizer_3/spiece.model",
    "unet/diffusion_pytorch_model.non_ema.safetensors",
    "unet/diffusion_pytorch_model.safetensors",
    "unet/diffusion_pytorch_model.fp16.safetensors",
    "all.safetensors",
]


def test_one_set_of_weights_is_chosen_of_many() -> None:
    plain, half = set(wanted(NAMES, None)), set(wanted(NAMES, "fp16"))
    both = {
        "model_index.json",
        "text_encoder_3/config.json",
        "transformer/config.json",
        "transformer/diffusion_pytorch_model.safetensors",
        "tokenizer_3/spiece.model",
    }
    assert plain == both | {
        "text_encoder_3/model-00001-of-00002.safetensors",
        "text_encoder_3/model-00002-of-00002.safetensors",
        "text_encoder_3/model.safetensors.index.json",
        "unet/diffusion_pytorch_model.safetensors",
    }
    assert half == both | {
        "text_encoder_3/model.fp16-00001-of-00002.safetensors",
        "text_encoder_3/model.safetensors.index.fp16.json",
        "unet/diffusion_pytorch_model.fp16.safetensors",
    }


def test_names_that_are_nearly_right_are_answered_with_the_right_one() -> None:
    with pytest.raises(ModelError, match="Did you mean 'sd15'"):
        find_model("sd1.5")
    with pytest.raises(ModelError, match=r"no \.safetensors file"):
        find_model(__file__)


def test_the_sizes_of_the_models_are_those_of_their_published_shapes() -> None:
    import torch
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    from geodesic_cli.diffusion.loading.shapes import PUBLISHED

    for alias in MODELS:
        if alias.name not in ("clevr-mini", "emoji-mini", *PUBLISHED):
            continue
        if alias.embedded:
            parts = [*(model := load(alias.name, "cpu")).prompts.encoders, model.codec.vae, model.predict.unet]
        else:
            shapes = PUBLISHED[alias.name]
            with torch.device("meta"):
                parts = [UNet2DConditionModel(**shapes.unet), AutoencoderKL(**shapes.vae)]
                for part, config in shapes.encoders.items():
                    kind = CLIPTextModel if part == "text_encoder" else CLIPTextModelWithProjection
                    parts.append(kind(CLIPTextConfig(**config)))
        millions = sum(weight.numel() for part in parts for weight in part.parameters()) / 1e6
        assert alias.millions == pytest.approx(millions, abs=0.06), alias.name
