"""`geodesic extrapolate` on the command line."""

import json
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from geodesic_cli import media
from geodesic_cli.__main__ import main
from geodesic_cli.cli.app import app
from geodesic_cli.scenes import Scene, Solid, motion, render


def inside(*arguments: str, **environment: str) -> Result:
    done = CliRunner().invoke(app, ["extrapolate", *arguments], env=environment)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done


def refused(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *arguments: str) -> str:
    monkeypatch.setattr(sys, "argv", ["geodesic", "extrapolate", *arguments])
    with pytest.raises(SystemExit) as stop:
        main()
    printed = capsys.readouterr()
    assert (stop.value.code, printed.out) == (1, "")
    said = printed.err.removeprefix("Loading PyTorch and the model ...\n")  # the first sign of life
    assert said.startswith("Error: ") and said.count("\n") == 1
    return said


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("clip").mkdir()
    start = Scene((Solid("sphere", "red", x=-0.5, size=0.7),))
    for k, frame in enumerate(render(list(motion("translation", start, 5, 0.4)))):
        media.write_png(frame, f"clip/{k}.png")


def test_a_first_run_prints_a_table_and_leaves_pictures() -> None:
    done = inside("clip", "--frames", "2")
    assert done.exit_code == 0, done.stderr
    assert done.stdout.startswith("2 new frames, 7 in all.") and "Open runs/after-clip/report.html" in done.stdout
    assert "All 2 frames" in done.stdout + done.stderr and "log p" not in done.stdout
    assert "Following" in done.stderr and "No --prompt" in done.stderr
    again = inside("clip/3.png", "clip/4.png", "--frames", "1", "--json")
    assert again.exit_code == 0, again.stderr
    told = json.loads(again.stdout)
    assert told["rays"]["after"]["made"] == 1 and told["folder"] == "runs/after-4"
    assert "all 2 frames" in again.stderr


def test_a_ray_that_ends_early_is_told_and_counts_under_strict() -> None:
    arguments = ("clip", "--frames", "6", "--guide", "0", "--max-drop", "0.001", "--out")
    soft = inside(*arguments, "soft")
    assert soft.exit_code == 0 and "Warning: " in soft.stderr and "--max-drop" in soft.stderr
    assert inside(*arguments, "hard", "--strict").exit_code == 3


def test_a_config_is_read_back() -> None:
    assert inside("clip", "--frames", "1", "--out", "first").exit_code == 0
    done = inside("clip", "--config", "first/config.toml", "--out", "second")
    assert done.exit_code == 0, done.stderr
    assert Path("second/frames/00005.png").read_bytes()[-2000:] == Path("first/frames/00005.png").read_bytes()[-2000:]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nowhere.mp4",), "does not exist"),
        (("clip/0.png",), "At least 2 frames are needed"),
        (("clip", "--start", "4"), "from frame 4"),
        (("clip", "--start", "noon"), "12 or 1.5s"),
        (("clip", "--context", "1"), "--context needs at least 2"),
        (("clip", "--stepper", "euler"), "leapfrog, rk4"),
        (("clip", "--embedding", "rigde"), "Did you mean 'ridge'?"),
        (("clip", "--resume"), "--resume FOLDER"),
        (("clip", "--size", "63x64x2"), "WIDTHxHEIGHT"),
    ],
)
def test_what_cannot_be_continued_gives_one_sentence(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], message: str
) -> None:
    assert message in refused(capsys, monkeypatch, *arguments)
    assert not Path("runs").exists()
