"""Tables of pictures as training data, and what is said where the library or a column is not there."""

import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import write_pixel_model

from geodesic_cli.errors import InputError
from geodesic_cli.media import png_bytes, write_png
from geodesic_cli.runs.observer import Silent
from geodesic_cli.settings import FinetuneSettings
from geodesic_cli.verbs.finetune.data import read_folder
from geodesic_cli.verbs.finetune.run import run as verb_run
from geodesic_cli.verbs.finetune.tables import parquet_files, read_rows
from helpers import into_folder

run = into_folder(verb_run)
CAPTIONS = ["a", "b", "c", "d", "e"]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The same pictures as parquet files and as images with a metadata.jsonl."""
    pytest.importorskip("datasets")
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    images = torch.rand(5, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    table, plain = tmp_path_factory.mktemp("table"), tmp_path_factory.mktemp("plain")
    pictures = [{"bytes": png_bytes(image), "path": None} for image in images]
    parquet.write_table(arrow.table({"picture": pictures, "text": CAPTIONS}), table / "train.parquet")
    lines = []
    for k, image in enumerate(images):
        write_png(image, plain / f"{k}.png")
        lines.append(f'{{"file_name": "{k}.png", "text": "{CAPTIONS[k]}"}}')
    (plain / "metadata.jsonl").write_text("\n".join(lines))
    return table, plain


def settings(folder: Path, **options: Any) -> FinetuneSettings:
    return FinetuneSettings(data=str(folder), **{"image_column": "picture", **options})


def test_a_table_and_a_folder_of_the_same_pictures_are_the_same_data(folders: tuple[Path, Path]) -> None:
    table, plain = folders
    ours, theirs = read_rows(settings(table, random_flip=True), 8), read_folder(plain, 8, 0, flip=True)
    for step in range(3):
        (images, captions), (others, texts) = (one.batch(step, 4, range(4)) for one in (ours, theirs))
        assert captions == texts
        assert torch.allclose(images, others, atol=1e-6)
    assert ours.prompts(3) == theirs.prompts(3)
    assert ours.digest == read_rows(settings(table), 8).digest


def test_a_few_pictures_are_drawn_with_the_seed_of_a_table_and_of_a_folder(folders: tuple[Path, Path]) -> None:
    table, plain = folders
    few = read_rows(settings(table, max_train_samples=3), 8)
    whole = read_folder(plain, 8, 0)
    some = whole.only(whole.deck.some(3))
    assert len(few.rows) == len(some.paths) == 3
    assert few.deck.captions == some.captions
    assert whole.deck.some(99) == list(range(5))


def test_a_column_that_is_not_there_is_named(folders: tuple[Path, Path]) -> None:
    with pytest.raises(InputError, match=r"no column 'pictur'; it has picture, text\. Did you mean 'picture'"):
        read_rows(settings(folders[0], image_column="pictur"), 8)
    assert read_rows(settings(folders[0], caption_column="none"), 8).prompts(2) == ["", ""]


def test_a_training_on_a_table_runs(folders: tuple[Path, Path], tmp_path: Path) -> None:
    model = str(write_pixel_model(tmp_path / "tiny"))
    out = str(tmp_path / "run")
    quick = {"train_batch_size": 2, "num_train_epochs": 1, "validation_steps": 0, "device": "cpu"}
    done = run(settings(folders[0], model=model, out=out, **quick), Silent(), "")
    assert done.metrics["steps"] == 3


def test_only_a_folder_without_pictures_is_a_table(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").touch()
    assert parquet_files(str(tmp_path)) == [str(tmp_path / "a.parquet")]
    write_png(torch.rand(3, 8, 8), tmp_path / "a.png")
    assert parquet_files(str(tmp_path)) == []
    assert parquet_files("scenes") == []


def test_without_the_library_it_is_one_sentence_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    out = tmp_path / "run"
    with pytest.raises(InputError, match=r"needs the package datasets.*geodesic-cli\[data\]"):
        run(FinetuneSettings(dataset_name="somebody/pictures", out=str(out), model="nowhere"), Silent(), "")
    assert not out.exists()
