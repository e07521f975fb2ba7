"""Files of other programs: permissions and bytes of what they write, and JSON of theirs that is none."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from geodesic_cli import media
from geodesic_cli.filing import MOST_JSON, fresh, parsed_json, permit, read_object, sort_header
from geodesic_cli.runs.tensors import write_tensors


@pytest.fixture(params=[0o022, 0o027, 0o077])
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def test_tensors_have_the_permissions_of_any_file(umask: int, tmp_path: Path) -> None:
    write_tensors(tmp_path / "a.safetensors", {"x": torch.zeros(3)}, {"a": "1"})
    media.write_png(torch.zeros(3, 8, 8), tmp_path / "a.png")
    (tmp_path / "plain").write_text("")
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o666 & ~umask}


def test_what_lies_in_the_place_of_a_new_file_is_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "theirs").write_text("theirs")
    (tmp_path / "trap").symlink_to(tmp_path / "theirs")
    mode = fresh(tmp_path / "trap")
    (tmp_path / "trap").write_text("ours")
    permit(tmp_path / "trap", mode)
    assert (tmp_path / "theirs").read_text() == "theirs" and not (tmp_path / "trap").is_symlink()


def test_the_text_in_a_header_is_in_one_order(tmp_path: Path) -> None:
    about = {f"key {k}": str(k) for k in range(20)}
    for k in range(8):
        save_file({"x": torch.arange(3.0)}, tmp_path / f"{k}", about)
        sort_header(tmp_path / f"{k}")
    assert len({(tmp_path / f"{k}").read_bytes() for k in range(8)}) == 1
    with safe_open(tmp_path / "0", "pt") as file:
        assert file.metadata() == about and file.get_tensor("x").tolist() == [0, 1, 2]


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, "", "{", "9" * 5000, "\x00"])
def test_a_text_that_is_no_json_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"Expecting|Exceeds|too deep"):
        parsed_json(text)


def test_an_object_is_read_with_a_mark_and_nothing_else_is(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    file.write_bytes(b"\xef\xbb\xbf" + b'{"a": 1}')
    assert read_object(file) == {"a": 1}
    for data in (b"[]", b"null", b"\xff\xfe", b"[" * 100_000, b" " * (MOST_JSON + 1)):
        file.write_bytes(data)
        with pytest.raises(ValueError, match=r"a\.json: "):
            read_object(file)


def test_a_text_without_an_end_is_a_sentence() -> None:
    endless = Path("/dev/zero")
    if not endless.exists():
        pytest.skip("this system has no such file")
    with pytest.raises(OSError, match="more than 128 MB"):
        media.read_text(endless)
