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
