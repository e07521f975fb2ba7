"""`geodesic video-analyze` as a person uses it."""

import json
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from geodesic_cli import media
from geodesic_cli.__main__ import main
from geodesic_cli.cli.app import app
from geodesic_cli.scenes import Scene, Solid, motion, render

QUICK = ["--draws", "1", "--max-steps", "2", "--device", "cpu"]


@pytest.fixture
def clip(tmp_path: Path) -> str:
    frames = render(list(motion("translation", Scene((Solid("sphere", "red", x=-0.9),)), 7, 1.8)))
    (tmp_path / "clip").mkdir()
    for k, frame in enumerate(frames):
        media.write_png(frame, tmp_path / "clip" / f"{k}.png")
    return str(tmp_path / "clip")


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    before, sys.argv = sys.argv, ["geodesic", "video-analyze", *arguments]
    try:
        with pytest.raises(SystemExit) as stop:
            main()
    finally:
        sys.argv = before
    assert stop.value.code == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "Traceback" not in printed.err
    return printed.err.strip().splitlines()[-1]


def test_a_run_says_the_verdict_first_and_the_numbers_where_they_are_asked_for(clip: str, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["video-analyze", clip, "--out", str(tmp_path / "out"), *QUICK])
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert len(lines) == 3
    assert lines[0].startswith(("Not a geodesic", "Smooth, and nearer to a geodesic", "Close to a geodesic"))
    assert "7 frames were compared" in lines[1] and lines[2].startswith(f"Open {tmp_path}/out/report.html")
    assert {"analysis.png", "sheet.png", "clip.csv", "metrics.json"} <= {p.name for p in (tmp_path / "out").iterdir()}
    told = CliRunner().invoke(app, ["video-analyze", clip, "--out", str(tmp_path / "b"), "--verbose", *QUICK]).stdout
    for word in ("clip with noise", "clip smoothed", "great circle", "most geodesic at alpha", "7 of 7 frames move"):
        assert word in told
    assert lines[0] in told.splitlines()


def test_json_is_all_there_is_on_stdout(clip: str, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["video-analyze", clip, "--out", str(tmp_path / "out"), "--json", *QUICK])
    found = json.loads(done.stdout)
    assert found["frames"] == 7
    assert found["folder"] == str(tmp_path / "out")
    assert set(found["tests"]) >= {"below the perturbed", "below the smoothed"}


def test_what_is_no_clip_is_one_sentence(capsys: pytest.CaptureFixture[str], clip: str, tmp_path: Path) -> None:
    assert "does not exist" in refused(capsys, str(tmp_path / "absent.mp4"))
    (tmp_path / "empty").mkdir()
    assert "Error: " in refused(capsys, str(tmp_path / "empty"))
    (tmp_path / "text.mp4").write_text("no film")
    assert "Error: " in refused(capsys, str(tmp_path / "text.mp4"))
    assert "at least 3 frames" in refused(capsys, f"{clip}/0.png", "--out", str(tmp_path / "one"), *QUICK)
    assert "--overlap" in refused(capsys, clip, "--overlap", "99")
    assert "Did you mean 'ridge'" in refused(capsys, clip, "--embedding", "rigde")


@pytest.mark.slow
def test_a_config_file_of_a_run_repeats_it(clip: str, tmp_path: Path) -> None:
    runner = CliRunner()
    first = runner.invoke(app, ["video-analyze", clip, "--out", str(tmp_path / "a"), "--json", *QUICK])
    config, out = str(tmp_path / "a" / "config.toml"), str(tmp_path / "b")
    again = runner.invoke(app, ["video-analyze", clip, "--config", config, "--out", out, "--json"])
    one, other = json.loads(first.stdout), json.loads(again.stdout)
    assert one["gradient_norm"] == other["gradient_norm"]
