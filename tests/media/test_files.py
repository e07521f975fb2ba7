"""Texts of any system are read alike."""

from pathlib import Path

import pytest

from geodesic_cli import media


@pytest.mark.parametrize("coding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_text_is_the_same_whatever_wrote_it(tmp_path: Path, coding: str, end: str) -> None:
    (tmp_path / "a.txt").write_bytes(f"image,label{end}a.png,ä{end}".encode(coding))
    assert media.read_text(tmp_path / "a.txt") == "image,label\na.png,ä\n"


def test_short_texts_and_other_codings(tmp_path: Path) -> None:
    for data, text in ((b"", ""), (b"a", "a"), (b"ab", "ab"), (b"\xef\xbb\xbf", "")):
        (tmp_path / "a.txt").write_bytes(data)
        assert media.read_text(tmp_path / "a.txt") == text
    (tmp_path / "a.txt").write_bytes("Täßchen".encode("cp1252"))
    with pytest.raises(UnicodeDecodeError):
        media.read_text(tmp_path / "a.txt")


@pytest.mark.parametrize("between", [",", ";", "\t", ", ", " ; "])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_table_of_any_system_is_read(tmp_path: Path, between: str, end: str, encoding: str) -> None:
    lines = [
        between.join(("image", "label")),
        between.join(("a.png", "old")),
        "",
        between.join(("b ä.png", '"x, y;z"')),
    ]
    (tmp_path / "t.csv").write_bytes(end.join(lines).encode(encoding))
    columns, rows = media.read_table(tmp_path / "t.csv")
    assert columns == ["image", "label"]
    assert rows == [{"image": "a.png", "label": "old"}, {"image": "b ä.png", "label": "x, y;z"}]


def test_a_table_without_rows_keeps_its_columns_and_a_short_row_is_filled(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("\nimage,label,\n")
    assert media.read_table(tmp_path / "t.csv") == (["image", "label"], [])
    (tmp_path / "t.csv").write_text("image,label\na.png")
    assert media.read_table(tmp_path / "t.csv")[1] == [{"image": "a.png", "label": ""}]
    (tmp_path / "t.csv").write_text("")
    assert media.read_table(tmp_path / "t.csv") == ([], [])
