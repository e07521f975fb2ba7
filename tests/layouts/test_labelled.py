"""Images with labels: tables of any names of columns, and folders whose names are the labels."""

from pathlib import Path

import pytest
import torch

from geodesic_cli.errors import InputError
from geodesic_cli.layouts import labelled_images
from geodesic_cli.media import write_png


@pytest.mark.parametrize("column", ["image", "name", "file_name"])
def test_a_table_may_have_several_attributes_and_rows_without_one_are_left_out(tmp_path: Path, column: str) -> None:
    table = tmp_path / "faces.csv"
    table.write_text(f"{column},smiling,hat\na.png,yes,no\nb.png,no,\nc.png,no,no\n")
    found = labelled_images(str(table))
    assert found.files == (str(tmp_path / "a.png"), str(tmp_path / "c.png"))
    assert found.labels == {"smiling": ("yes", "no"), "hat": ("no", "no")}


def test_folders_are_labels(tmp_path: Path) -> None:
    for name in ("cats/a.png", "cats/more/b.png", "dogs/c.png", "loose.png", ".hidden/d.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        write_png(torch.rand(3, 8, 8), tmp_path / name)
    (tmp_path / "empty").mkdir()
    found = labelled_images(str(tmp_path))
    assert [Path(file).name for file in found.files] == ["a.png", "b.png", "c.png"]
    assert found.labels == {"label": ("cats", "cats", "dogs")}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("image\na.png\n", "lacks label"),
        ("what,label\na.png,x\n", "lacks image"),
        ("image,label\na.png,\n", "no row with an image and a label"),
    ],
)
def test_a_table_that_says_nothing_is_named(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(InputError, match=words):
        labelled_images(str(tmp_path / "t.csv"))


def test_a_folder_without_folders_and_no_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has no folders with images"):
        labelled_images(str(tmp_path))
    with pytest.raises(InputError, match="cannot be read"):
        labelled_images(str(tmp_path / "none.csv"))
