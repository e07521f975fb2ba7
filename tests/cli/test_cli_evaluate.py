"""`geodesic evaluate` and `geodesic interpolate --pairs` as they are typed."""

import json
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from geodesic_cli import media
from geodesic_cli.cli.app import app
from geodesic_cli.errors import InputError


@pytest.fixture
def frames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of four gray frames, from which the program is run, with no weights anywhere."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    folder = tmp_path / "walk"
    folder.mkdir()
    for k in range(4):
        media.write_png(torch.full((3, 16, 16), k / 3), folder / f"{k}.png")
    return folder


def test_a_folder_of_frames_is_measured_and_the_layout_said(frames: Path) -> None:
    found = CliRunner().invoke(app, ["evaluate", "walk", "--protocol", "offline"])
    assert found.exit_code == 0
    assert "Read as: layout frames." in found.output and "path_pyramid" in found.output
    assert found.output.count("report.html") == 1 and "Beside it: table.md" in found.output
    assert (Path("runs") / "evaluate-walk" / "table.tex").is_file()


def test_what_is_not_measured_is_no_failure_unless_asked(frames: Path) -> None:
    words = ["evaluate", "walk", "--protocol", "saito", "--verbose"]
    found = CliRunner().invoke(app, words)
    assert found.exit_code == 0 and "Not measured: needs pt_inception-2015-12-05-6726825d.pth" in found.output
    assert CliRunner().invoke(app, [*words, "--strict"]).exit_code == 3


def test_the_weights_are_listed_with_all_that_is_known(frames: Path) -> None:
    text = CliRunner().invoke(app, ["evaluate", "--weights"]).output
    for words in ("alexnet-owt-7be5be79.pth, 244408911 bytes, BSD-3-Clause", "sought in", "missing: "):
        assert words in text
    rows = json.loads(CliRunner().invoke(app, ["evaluate", "--weights", "--json"]).output)["weights"]
    assert {row["found"] for row in rows if row["file"] != "efficientnet-lite0-57934424.pth"} == {None}


def test_weights_of_another_digest_are_told(frames: Path) -> None:
    (frames / "pt_inception-2015-12-05-6726825d.pth").write_bytes(b"other")
    text = CliRunner().invoke(app, ["evaluate", "--weights", "--metric-weights", str(frames)]).output
    assert "not the file that is expected" in text


def test_pairs_that_fail_end_the_program_with_1_and_are_counted(frames: Path) -> None:
    Path("pairs.csv").write_text("a,b\nwalk/0.png,none.png\n")
    found = CliRunner().invoke(app, ["interpolate", "--pairs", "pairs.csv", "--method", "slerp"])
    assert found.exit_code == 1
    assert "0 of 1 pairs are drawn (the table pairs.csv)." in found.output and "1 could not be drawn" in found.output
    with pytest.raises(InputError, match="Either images or --pairs"):
        CliRunner().invoke(app, ["interpolate", "a", "b", "--pairs", "x"], catch_exceptions=False)
