"""Words of one's own: every spelling of a file, the word that it gives, and what is refused."""

import subprocess
import sys
from pathlib import Path

import pipelines
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from geodesic_cli.diffusion import load
from geodesic_cli.diffusion.loading.own_words import read_word
from geodesic_cli.errors import InputError, ModelError
from geodesic_cli.runs.opening import open_model
from geodesic_cli.settings import InterpolateSettings
from helpers import Recorder

ONE, TWO = {"text_encoder": 16}, {"text_encoder": 8, "text_encoder_2": 16}


def vectors(width: int, count: int = 2) -> Tensor:
    return torch.randn(count, width, generator=torch.Generator().manual_seed(width))


@pytest.mark.parametrize(
    ("held", "header", "given", "word"),
    [
        ({"emb_params": vectors(16)}, None, "", "style"),
        ({"string_to_param.*": vectors(16), "string_to_token.*": torch.tensor(265)}, None, "", "style"),
        ({"string_to_param": vectors(16)}, None, "", "style"),
        ({"*": vectors(16)}, None, "", "style"),
        ({"<cat-toy>": vectors(16)[0]}, None, "", "<cat-toy>"),
        ({"<cat-toy>": vectors(16)}, None, ":mine", "mine"),
        ({"emb_params": vectors(16, 1)}, {"name": "Dream"}, "", "Dream"),
        ({"emb_params": vectors(16, 1).half()}, {"name": "Dream"}, ":two words", "two words"),
    ],
)
def test_every_spelling_of_one_tensor(tmp_path: Path, held: dict, header: dict | None, given: str, word: str) -> None:
    path = tmp_path / "style.safetensors"
    save_file(held, path, header)
    read = read_word(f"{path}{given}", ONE)
    assert read.word == word
    tensor = next(tensor for key, tensor in held.items() if "token" not in key)
    assert torch.equal(read.vectors["text_encoder"], tensor.reshape(-1, 16))


def test_two_tensors_go_to_the_two_encoders_of_xl(tmp_path: Path) -> None:
    path = tmp_path / "style.safetensors"
    save_file({"clip_g": vectors(16), "clip_l": vectors(8)}, path)
    read = read_word(str(path), TWO)
    assert torch.equal(read.vectors["text_encoder"], vectors(8))
    assert torch.equal(read.vectors["text_encoder_2"], vectors(16))


@pytest.mark.parametrize(
    ("held", "widths", "words"),
    [
        ({"emb_params": vectors(24)}, ONE, "has vectors of width 24, and this model has 1 text encoder of width 16"),
        ({"clip_l": vectors(8), "clip_g": vectors(16)}, ONE, "holds vectors for text_encoder and text_encoder_2, and"),
        ({"emb_params": vectors(8)}, TWO, "this model has 2 text encoders of width 8, 16"),
        ({"clip_l": vectors(8)}, TWO, "this model has 2 text encoders"),
        ({"clip_l": vectors(8, 1), "clip_g": vectors(16)}, TWO, "another number of vectors for each"),
        ({"clip_l": vectors(16), "clip_g": vectors(16)}, TWO, "has vectors of width 16, and this model has"),
        ({"emb_params": torch.full((1, 16), float("nan"))}, ONE, "holds NaN"),
        ({"emb_params": torch.zeros(1, 16, 1)}, ONE, "is no row of vectors"),
        ({"emb_params": torch.zeros(1, 16, dtype=torch.int64)}, ONE, "is no row of vectors"),
        ({"a.lora_A.weight": vectors(16), "a.lora_B.weight": vectors(16)}, ONE, "is no embedding that is known"),
        ({}, ONE, "is no embedding that is known"),
    ],
)
def test_what_is_of_another_model_is_refused_by_name(
    tmp_path: Path, held: dict[str, Tensor], widths: dict[str, int], words: str
) -> None:
    path = tmp_path / "style.safetensors"
    save_file(held, path)
    with pytest.raises(ModelError, match=words) as caught:
        read_word(str(path), widths)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_a_file_that_is_not_there_cut_or_of_another_kind(tmp_path: Path) -> None:
    (tmp_path / "cut.safetensors").write_bytes(b"\x10" * 40)
    (tmp_path / "a.txt").write_text("x")
    for name, words in {"no.safetensors": "is not there", "cut.safetensors": "read", "a.txt": "is no .safet"}.items():
        with pytest.raises(ModelError, match=words):
            read_word(str(tmp_path / name), ONE)


@pytest.mark.parametrize("kind", ["front end", "diffusers"])
def test_a_pickle_is_refused_with_the_command_that_converts_it(tmp_path: Path, kind: str) -> None:
    path = tmp_path / ("style.pt" if kind == "front end" else "style.bin")
    held = {"string_to_param": {"*": vectors(16)}, "string_to_token": {"*": 265}, "name": "style"}
    torch.save(held if kind == "front end" else {"<style>": vectors(16)[0]}, path)  # noqa: TID251  what is refused
    with pytest.raises(ModelError, match="is a pickle, which can run code") as caught:
        read_word(f"{path}:mine", ONE)
    command = str(caught.value).partition("Convert it once: python ")[2]
    subprocess.run(f"{sys.executable} {command}", shell=True, check=True, cwd=tmp_path)
    read = read_word(str(path.with_suffix(".safetensors")), ONE)
    assert read.word == ("style" if kind == "front end" else "<style>")
    assert torch.equal(read.vectors["text_encoder"], vectors(16)[: len(read.vectors["text_encoder"])])


@pytest.mark.parametrize("kind", ["sd1", "xl"])
def test_a_model_reads_its_words_and_is_another_model_with_them(tmp_path: Path, kind: str) -> None:
    shapes, widths = {"sd1": (pipelines.SD1, ONE), "xl": (pipelines.XL, TWO)}[kind]
    folder = pipelines.build(shapes, tmp_path / "m")
    plain = load(str(folder), "cpu")
    names = dict(zip(widths, ("clip_l", "clip_g") if kind == "xl" else ("emb_params",), strict=True))
    looked_up = {
        names[name]: reader.encoder.get_input_embeddings().weight[reader.tokenizer("qv").input_ids[1:-1]].clone()
        for name, reader in zip(widths, plain.prompts.readers, strict=True)
    }
    save_file(looked_up, tmp_path / "My-Style.safetensors")
    model = load(str(folder), "cpu", embedding=(str(tmp_path / "My-Style.safetensors"),))
    assert model.prompts.embed("a my-style cat").equal(plain.prompts.embed("a qv cat"))
    assert model.fingerprint != plain.fingerprint
    with pytest.raises(InputError, match="Two embeddings have the word 'My-Style'"):
        load(str(folder), "cpu", embedding=(str(tmp_path / "My-Style.safetensors"),) * 2)


def test_a_word_in_no_prompt_is_told_and_models_that_read_none_refuse(tmp_path: Path) -> None:
    folder = pipelines.build(pipelines.SD1, tmp_path / "m")
    save_file({"emb_params": vectors(16)}, tmp_path / "style.safetensors")
    given = (str(tmp_path / "style.safetensors"),)

    def warned(**more: object) -> list[str]:
        ears = Recorder()
        settings = InterpolateSettings(images=("a", "b"), model=str(folder), device="cpu", text_embedding=given, **more)  # type: ignore[arg-type]
        open_model(settings, ears)
        return ears.warnings

    assert warned(prompt=("a (STYLE:1.2) cat",)) == []
    assert warned(prompt=("a styled cat",)) == [
        "No prompt has the word 'style' of the text embedding: it changes nothing."
    ]
    with pytest.raises(ModelError, match="of the family flux"):
        load(str(pipelines.build_flux(tmp_path / "f")), "cpu", embedding=given)
    with pytest.raises(InputError, match="Embeddings are words of a prompt; scenes-ddpm takes none"):
        load("scenes-ddpm", "cpu", embedding=given)


def test_the_converted_file_is_what_was_asked(tmp_path: Path) -> None:
    save_file({"emb_params": vectors(16)}, tmp_path / "a:b.safetensors")
    assert read_word(str(tmp_path / "a:b.safetensors"), ONE).word == "a:b", "a colon of the path itself"
    assert load_file(tmp_path / "a:b.safetensors")
