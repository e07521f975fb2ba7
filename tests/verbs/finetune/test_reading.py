"""Pictures are read beside a training and encoded once, and the training makes the same bytes as without that."""

import threading
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from tiny import pixel_model, write_latent_model
from torch import Tensor

from geodesic_cli import media
from geodesic_cli.diffusion.loading.unconditional import load_unconditional
from geodesic_cli.diffusion.tuning.trainee import Trainee, prepare
from geodesic_cli.errors import InputError
from geodesic_cli.settings import FinetuneSettings
from geodesic_cli.verbs.finetune.data import Scenes, read_folder
from geodesic_cli.verbs.finetune.deck import Deck
from geodesic_cli.verbs.finetune.processes import Processes
from geodesic_cli.verbs.finetune.reading import KIND, Reader
from geodesic_cli.verbs.finetune.tables import ImageTable
from geodesic_cli.verbs.finetune.training import Training

PLACES = (0, 1, 2)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five pictures."""
    place = tmp_path_factory.mktemp("pictures")
    for k in range(5):
        media.write_png(torch.rand(3, 16, 16, generator=torch.Generator().manual_seed(k)), place / f"{k}.png")
    return place


@pytest.fixture(scope="module")
def latent(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_latent_model(tmp_path_factory.mktemp("latent"), "AutoencoderKL"))


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "geodesic" / KIND


def trainee_of(model: str) -> Trainee:
    return prepare(load_unconditional(model, "cpu"))


def trained(model: str, folder: Path, keep: str, steps: int = 4) -> tuple[Training, Tensor]:
    settings = FinetuneSettings(
        data=str(folder), latents_cache=keep, random_flip=True, regulariser="iso", train_batch_size=2,
        gradient_accumulation_steps=2, max_train_steps=steps, learning_rate=1e-3,
    )  # fmt: skip
    data = read_folder(folder, 16, 0, flip=True)
    run = Training.begin(trainee_of(model), data, settings, Processes())
    for _ in range(steps):
        run.step()
    run.reader.close()
    return run, torch.cat([weight.detach().flatten() for weight in run.trainee.weights.values()])


def test_a_training_makes_the_same_bytes_wherever_latents_are_kept(latent: str, folder: Path, cache: Path) -> None:
    plain, weights = trained(latent, folder, "no")
    assert plain.reader.encoded == 16  # four steps of four
    for keep in ("memory", "disk"):
        run, found = trained(latent, folder, keep)
        assert torch.equal(found, weights), keep
        assert run.history == plain.history
        assert run.reader.encoded <= 10  # five pictures and their mirror images
    again, found = trained(latent, folder, "disk")
    assert torch.equal(found, weights)
    assert again.reader.encoded == 0
    assert len(list(cache.rglob("*.safetensors"))) <= 10


def test_a_picture_that_has_changed_or_another_autoencoder_is_encoded_anew(
    latent: str, folder: Path, cache: Path, tmp_path: Path
) -> None:
    own = tmp_path / "own"
    own.mkdir()
    for k in range(3):
        (own / f"{k}.png").write_bytes((folder / f"{k}.png").read_bytes())

    def encoded(trainee: Trainee) -> int:
        reader = Reader(trainee, read_folder(own, 16, 0), "disk")
        reader.batch(0, 3, PLACES, None)
        return reader.encoded

    trainee = trainee_of(latent)
    assert [encoded(trainee), encoded(trainee)] == [3, 0]
    media.write_png(torch.zeros(3, 16, 16), own / "1.png")
    assert encoded(trainee) == 1
    with torch.no_grad():
        next(trainee.model.codec.vae.parameters()).add_(1e-3)
    assert encoded(trainee) == 3


def test_a_damaged_file_of_the_cache_is_made_anew(latent: str, folder: Path, cache: Path) -> None:
    trainee, data = trainee_of(latent), read_folder(folder, 16, 0)
    first = Reader(trainee, data, "disk")
    z, _ = first.batch(0, 3, PLACES, None)
    for file in cache.rglob("*.safetensors"):
        file.write_bytes(b"no")
    again, _ = first.batch(0, 3, PLACES, None)
    assert torch.equal(z, again)


def test_memory_is_filled_up_to_its_share_and_no_further(latent: str, folder: Path) -> None:
    reader = Reader(trainee_of(latent), read_folder(folder, 16, 0), "memory")
    reader._left = 800  # one latent of 3 x 8 x 8 numbers
    first, _ = reader.batch(0, 3, PLACES, None)
    assert reader.encoded == 3
    second, _ = reader.batch(0, 3, PLACES, None)
    assert torch.equal(first, second)
    assert reader.encoded == 5


class Told:
    """Data that remember who asked for them."""

    def __init__(self, fails_at: int = -1) -> None:
        self.asked: list[tuple[int, str]] = []
        self.fails_at = fails_at

    def batch(self, step: int, total: int, places: Sequence[int]) -> tuple[Tensor, list[str]]:
        self.asked.append((step, threading.current_thread().name))
        if step == self.fails_at:
            raise InputError("The picture is gone.", "Put it back.")
        return Scenes(8, 0).batch(step, total, places)

    def prompts(self, count: int) -> list[str]:
        return [""] * count


def test_the_next_batch_is_read_by_a_thread_and_is_the_same(tmp_path: Path) -> None:
    told, trainee = Told(), prepare(pixel_model(tmp_path))
    reader = Reader(trainee, told, "memory")
    found = [reader.batch(step, 3, PLACES, (step + 1, 3, PLACES) if step < 2 else None) for step in range(3)]
    reader.close()
    assert [step for step, _ in told.asked] == [0, 1, 2]
    assert [name.startswith("reading") for _, name in told.asked] == [False, True, True]
    for step, (z, captions) in enumerate(found):
        images, said = Scenes(8, 0).batch(step, 3, PLACES)
        assert torch.equal(z, trainee.latents(images)) and captions == said


def test_what_cannot_be_read_is_told_at_its_own_step(tmp_path: Path) -> None:
    reader = Reader(prepare(pixel_model(tmp_path)), Told(fails_at=1), "no")
    reader.batch(0, 3, PLACES, (1, 3, PLACES))
    with pytest.raises(InputError, match="The picture is gone"):
        reader.batch(1, 3, PLACES, (2, 3, PLACES))


def test_rows_of_a_table_are_read_and_kept_like_files(latent: str, folder: Path) -> None:
    """A table is whatever gives a row by its number: the library that reads parquet is not needed here."""
    from PIL import Image

    rows = [{"image": Image.open(folder / f"{k}.png")} for k in range(5)]
    table = ImageTable(rows, "image", Deck(("",) * 5, seed=0, flip=True), 16)
    trainee = trainee_of(latent)
    ours, theirs = Reader(trainee, table, "memory"), Reader(trainee, read_folder(folder, 16, 0, flip=True), "no")
    for step in range(4):
        z, _ = ours.batch(step, 3, PLACES, None)
        assert torch.equal(z, theirs.batch(step, 3, PLACES, None)[0])
    assert ours.encoded <= 10 < theirs.encoded == 12
