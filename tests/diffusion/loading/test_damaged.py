"""Damaged and hostile models, adapters and embeddings end in one sentence that names them, and are never half believed.

The short form tries some damage to every file; `pytest -m slow tests/diffusion/loading/test_damaged.py` tries more.
"""

import json
import os
import random
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
import torch
from pipelines import SD1, build
from safetensors.torch import save_file
from tiny import write_pixel_model

from attacks import Outcome, cut_and_flipped, damaged_weights, other_texts, other_values, outcome
from geodesic_cli.diffusion import load
from geodesic_cli.diffusion.loading import lora
from geodesic_cli.errors import ModelError

MORE = int(os.environ.get("GEODESIC_TEST_ATTACKS", "12"))
"""Changes of each kind to each file in the long form."""


@pytest.fixture(scope="module")
def sd1(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = Path(build(SD1, tmp_path_factory.mktemp("models") / "sd1"))
    load(str(folder), "cpu")  # what it imports is not the attacks' time
    return folder


@pytest.fixture(scope="module")
def pixels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pixel_model(tmp_path_factory.mktemp("models") / "pixels")


def tried(file: Path, data: bytes, act: Callable[[], object]) -> Outcome:
    before = file.read_bytes()
    file.write_bytes(data)
    try:
        return outcome(act)
    finally:
        file.write_bytes(before)


def attacked(folder: Path, act: Callable[[], object], count: int, weights_alone: bool = False) -> list[str]:
    """Damage each file of a folder; what was not refused as it should be."""
    chance, faults, tries = random.Random(count), [], 0
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        data = file.read_bytes()
        cases: list[tuple[str, bytes, bool]] = []
        if file.suffix == ".safetensors":
            cases += [(what, changed, True) for what, changed in damaged_weights(data, chance)]
            header = 8 + int.from_bytes(data[:8], "little")
            cases += [("flipped", changed, False) for changed in cut_and_flipped(data, chance, count, header)]
        elif not weights_alone:
            cases += [("flipped", changed, False) for changed in cut_and_flipped(data, chance, count)]
            cases += [(f"{changed[:9]!r}", changed, False) for changed in other_texts(data)]
            if file.suffix == ".json" and file.name not in ("vocab.json", "tokenizer.json"):
                cases += [(what, changed, False) for what, changed in other_values(data, chance, 2 * count)]
        kept = cases if count > 2 else chance.sample(cases, min(3, len(cases)))  # others for each file
        for what, changed, must in kept:
            tries += 1
            found = tried(file, changed, act)
            if found.fault or (must and found.kind != "refused"):
                faults.append(f"{file.relative_to(folder)}: {what}: {found.kind}: {found.told[-600:]}")
    print(f"{folder.name}: {tries} tried, {len(faults)} failed")
    return faults


def attacked_file(file: Path, flips: Iterable[bytes], act: Callable[[], object], chance: random.Random) -> list[str]:
    """Damage a file of weights, which must be refused, and change bits of it, which may be taken; what went wrong."""
    cases = [(what, changed, True) for what, changed in damaged_weights(file.read_bytes(), chance)]
    cases += [("flipped", changed, False) for changed in flips]
    found = [(what, must, tried(file, changed, act)) for what, changed, must in cases]
    faults = [f"{what}: {one}" for what, must, one in found if one.fault or (must and one.kind != "refused")]
    print(f"{file.name}: {len(found)} tried, {len(faults)} failed")
    return faults


@pytest.mark.parametrize("count", [1, pytest.param(MORE, marks=[pytest.mark.slow, pytest.mark.timeout(7200)])])
def test_a_damaged_folder_is_a_sentence(sd1: Path, count: int) -> None:
    assert not attacked(sd1, lambda: load(str(sd1), "cpu").name, count)


@pytest.mark.parametrize("count", [1, pytest.param(MORE, marks=[pytest.mark.slow, pytest.mark.timeout(7200)])])
def test_a_damaged_model_of_pixels_is_a_sentence(pixels: Path, count: int) -> None:
    assert not attacked(pixels, lambda: load(str(pixels), "cpu").name, count)


@pytest.mark.parametrize("count", [1, pytest.param(MORE, marks=[pytest.mark.slow, pytest.mark.timeout(7200)])])
def test_a_damaged_adapter_is_a_sentence(sd1: Path, tmp_path: Path, count: int) -> None:
    network = load(str(sd1), "cpu").predict.unet
    lora.attach(network, 2)
    lora.save(network, tmp_path / "adapter")
    file = tmp_path / "adapter" / lora.FILE
    chance, data = random.Random(count), file.read_bytes()
    flips = cut_and_flipped(data, chance, 4 * count, 8 + int.from_bytes(data[:8], "little"))
    assert not attacked_file(file, flips, lambda: load(str(sd1), "cpu", lora=(str(file),)).name, chance)


@pytest.mark.parametrize("count", [1, pytest.param(MORE, marks=[pytest.mark.slow, pytest.mark.timeout(7200)])])
def test_a_damaged_embedding_is_a_sentence(sd1: Path, tmp_path: Path, count: int) -> None:
    file = tmp_path / "word.safetensors"
    save_file({"emb_params": torch.randn(2, 16)}, file)
    chance, data = random.Random(count), file.read_bytes()
    flips = cut_and_flipped(data, chance, 3 * count)
    assert not attacked_file(file, flips, lambda: load(str(sd1), "cpu", embedding=(str(file),)).name, chance)


@pytest.mark.parametrize(
    ("part", "key", "value"),
    [
        ("text_encoder", "attn_implementation", "someone/kernels"),
        ("text_encoder", "_attn_implementation", "flash_attention_2"),
        ("text_encoder", "quantization_config", {"quant_method": "bitsandbytes", "load_in_4bit": True}),
        ("unet", "quantization_config", {"quant_method": "torchao", "quant_type": "int8wo"}),
        ("text_encoder", "auto_map", {"AutoModel": "someone/code--modelling.Model"}),
        ("unet", "block_out_channels", [2**40, 16]),
        ("unet", "layers_per_block", 10**6),
        ("vae", "block_out_channels", [8, 8, 8, 10**12]),
        ("text_encoder", "num_hidden_layers", 10**7),
        ("text_encoder", "vocab_size", 10**15),
    ],
)
def test_a_configuration_reaches_no_loader_of_code_and_builds_nothing_that_no_model_has(
    sd1: Path, part: str, key: str, value: object
) -> None:
    file = sd1 / part / "config.json"
    before = file.read_text()
    file.write_text(json.dumps(json.loads(before) | {key: value}))
    try:
        with pytest.raises(ModelError, match=f"{key} = ") as caught:
            load(str(sd1), "cpu")
        assert str(sd1 / part) in str(caught.value)
    finally:
        file.write_text(before)
