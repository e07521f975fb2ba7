"""Damaged files of every kind that the program reads, names and texts of a stranger: one sentence, and no file is lost.

The short form tries a few of each; `pytest -m slow tests/cli/test_damaged.py` tries hundreds.
"""

import json
import os
import random
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from attacks import Outcome, cut_and_flipped, other_texts, outcome
from geodesic_cli import media
from geodesic_cli.cli.app import app
from geodesic_cli.runs.cache import kept
from geodesic_cli.settings import ToySettings
from geodesic_cli.verbs.toy.points import read_points
from geodesic_cli.verbs.toy.run import run as run_toy
from helpers import into_folder

MORE = int(os.environ.get("GEODESIC_TEST_ATTACKS", "40"))
"""Changes of each kind to each file in the long form."""
counts = pytest.mark.parametrize("count", [1, pytest.param(MORE, marks=[pytest.mark.slow, pytest.mark.timeout(7200)])])


def command(*words: str) -> str:
    """A command line in this process, whose errors are ours or a fault."""
    sys.argv = ["geodesic", *words]
    try:
        app(list(words), standalone_mode=False)
    except SystemExit as stop:
        return f"exit {stop.code}"
    return "done"


def faults(file: Path, changes: list[bytes], act: Callable[[], object]) -> list[str]:
    """What was neither a refusal nor an answer, of all changes of a file."""
    before, found = file.read_bytes(), list[Outcome]()
    for data in changes:
        file.write_bytes(data)
        found.append(outcome(act))
    file.write_bytes(before)
    wrong = [one for one in found if one.fault]
    print(f"{file.name}: {len(found)} tried, {len(wrong)} failed")
    for one in wrong:
        print(f"{one.kind}: {one.told[-800:]}")
    return [f"{file.name}: {one.kind}: {one.told[-800:]}" for one in wrong]


@pytest.fixture(scope="module")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A picture, a film and a table of each kind."""
    folder = tmp_path_factory.mktemp("gallery")
    ramp = torch.linspace(0, 1, 48).expand(3, 32, 48)
    media.write_png(ramp, folder / "a.png", {"settings": {"tau": 0.5}})
    with Image.open(folder / "a.png") as picture:
        for suffix in ("jpg", "webp", "tif", "gif", "bmp", "avif"):
            picture.convert("RGB").save(folder / f"a.{suffix}")
    frames = torch.stack([ramp * k / 5 for k in range(6)])
    media.write_mp4(frames, folder / "b.mp4", 12)
    media.write_gif(frames, folder / "b.gif", 12)
    media.write_film(frames, folder / "b.webm", 12)
    media.write_film(frames, folder / "b.apng", 12)
    points = np.random.default_rng(0).normal(size=(40, 2))
    np.save(folder / "p.npy", points)
    np.savetxt(folder / "p.csv", points, delimiter=",")
    return folder


@counts
@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "tif", "gif", "bmp", "avif"])
def test_a_damaged_picture(gallery: Path, suffix: str, count: int) -> None:
    file = gallery / f"a.{suffix}"
    changes = list(cut_and_flipped(file.read_bytes(), random.Random(suffix), count))
    assert not faults(file, changes, lambda: media.read_image(file).shape)


@counts
@pytest.mark.parametrize("suffix", ["mp4", "gif", "webm", "apng"])
def test_a_damaged_film(gallery: Path, suffix: str, count: int) -> None:
    file = gallery / f"b.{suffix}"
    changes = list(cut_and_flipped(file.read_bytes(), random.Random(suffix), count))
    assert not faults(file, changes, lambda: len(media.read_sequence(file).frames))


@counts
@pytest.mark.parametrize("suffix", ["npy", "csv"])
def test_a_damaged_table_of_points(gallery: Path, suffix: str, count: int) -> None:
    file = gallery / f"p.{suffix}"
    data, chance = file.read_bytes(), random.Random(suffix)
    changes = [*cut_and_flipped(data, chance, count, 128 if suffix == "npy" else None), *other_texts(data)]
    if suffix == "npy":
        shapes = ["(9999999999, 2)", "(-1, 2)", "(" * 100, "(2**99,)", "()"]
        changes += [data.replace(b"(40, 2), }" + b" " * (len(s) - 7), f"{s}, }}".encode()) for s in shapes]
    assert not faults(file, changes, lambda: read_points(file).shape)


@counts
def test_a_damaged_configuration(tmp_path: Path, count: int) -> None:
    file = tmp_path / "c.toml"
    file.write_text('density = "ring"\nrays = 0\ngif = false\nbend = 1.0\n')
    data = file.read_bytes()
    changes = [*cut_and_flipped(data, random.Random(0), count), *other_texts(data)]
    changes += [b"a = " + b"[" * 50_000, b"a = " + b"{b = " * 5_000, b"rays = 1e400", b"rays = " + b"9" * 5_000]
    changes += [b"bend = nan", b'density = "\\u202e"', b"[density]", b"rays = 1979-05-27"]
    # What the settings let pass ends at the folder, which is none: nothing is computed.
    assert not faults(file, changes, lambda: command("toy", "--config", str(file), "--out", str(file)))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("finished") / "run"
    into_folder(run_toy)(ToySettings(density="ring", rays=0, gif=False, out=str(out)))
    return out


@counts
@pytest.mark.parametrize("name", ["manifest.json", "metrics.json", "path.safetensors"])
def test_a_damaged_run(finished: Path, tmp_path: Path, name: str, count: int) -> None:
    shutil.copytree(finished, tmp_path / "run")
    file = tmp_path / "run" / name
    data = file.read_bytes()
    changes = [*cut_and_flipped(data, random.Random(name), count), *other_texts(data)]
    if name == "manifest.json":
        told = json.loads(data)
        values = (None, 7, [], {}, "\x1b[2J", ["../x"])
        for number, key in enumerate(told):  # the short form tries some values of each key, and each value of some
            some = [values[(number + k) % len(values)] for k in range(min(count, len(values)))]
            changes += [json.dumps(told | {key: value}).encode() for value in some]
    run = str(tmp_path / "run")
    chance = random.Random(name + "again")
    for words in (("report", run), ("interpolate", "--resume", run)):
        some = changes if count > 1 else chance.sample(changes, len(changes) // 2)  # the short form tries half of each
        assert not faults(file, some, lambda words=words: command(*words))
    assert {path.name for path in tmp_path.iterdir()} == {"run"}


@counts
def test_a_damaged_cache_is_made_anew(tmp_path: Path, count: int) -> None:
    truth = torch.arange(12.0).reshape(3, 4)
    assert torch.equal(kept(tmp_path, "it", lambda: truth), truth)
    (file,) = tmp_path.iterdir()

    def read() -> str:
        found = kept(tmp_path, "it", lambda: truth)
        assert torch.equal(found, truth)
        return "whole"

    changes = list(cut_and_flipped(file.read_bytes(), random.Random(0), 4 * count))
    assert not faults(file, changes, read)


@pytest.mark.parametrize("name", ["evil\x1b[2J.png", "turned\u202egnp.png", "line\nError: forged.png", b"caf\xe9.png"])
def test_a_hostile_name_is_shown_and_does_nothing(tmp_path: Path, name: str | bytes) -> None:
    file = Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + os.fsencode(name)))
    try:
        file.write_text("no picture")
    except OSError:
        pytest.skip("this file system takes no such name")
    found = outcome(lambda: command("interpolate", str(file), str(file), "--out", str(tmp_path / "o")))
    assert found.kind == "refused", found
    assert not set("\x1b\u202e\n") & set(found.told) and found.told.isprintable()


def test_few_file_descriptors_are_a_sentence(gallery: Path) -> None:
    import resource

    def starved() -> object:
        held = []
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, most))
        try:
            while True:
                held.append(os.open(os.devnull, os.O_RDONLY))
        except OSError:
            return media.read_image(gallery / "a.png").shape

    found = outcome(starved)
    assert found.kind == "refused" and "a.png" in found.told, found
