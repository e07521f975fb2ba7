"""`--resume FOLDER` needs nothing else, errors are JSON where JSON is asked for, and misspelt variables are named."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from geodesic_cli import media
from geodesic_cli.__main__ import main
from geodesic_cli.cli.app import app
from helpers import typed

QUICK = ["--frames", "3", "--steps", "4", "--device", "cpu", "--method", "slerp", "--pacing", "path", "--tau", "0.5"]


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder `o` of a run that was begun with relative paths, in a folder of its own."""
    from geodesic_cli.media import write_png
    from geodesic_cli.scenes import Scene, Solid, render

    place = tmp_path_factory.mktemp("begun")
    for name, colour in (("a", "blue"), ("b", "red")):
        write_png(render([Scene((Solid("cube", colour),))])[0], place / f"{name}.png")
    done = typed("interpolate", "a.png", "b.png", *QUICK, "--out", "o", cwd=place)
    assert done.returncode == 0, done.stderr
    return place / "o"


def stopped(run: Path) -> None:
    """As if the run had been killed while it wrote its last files."""
    manifest = json.loads((run / "manifest.json").read_text())
    (run / "manifest.json").write_text(json.dumps(manifest | {"status": "running"}))
    (run / "metrics.json").unlink(missing_ok=True)
    (run / "video.mp4").unlink(missing_ok=True)


def test_a_run_goes_on_from_its_folder_alone_from_anywhere(begun: Path, tmp_path: Path) -> None:
    film = (begun / "video.mp4").read_bytes()
    stopped(begun)
    for words in (["--resume", str(begun)], [f"--resume={begun}"]):
        stopped(begun)
        done = typed("interpolate", *words, "--json", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["tau"] == 0.5
        assert (begun / "video.mp4").read_bytes() == film
    assert list(tmp_path.iterdir()) == []


def test_the_manifest_tells_how_many_latents_went_at_once_and_a_run_that_goes_on_takes_as_many(begun: Path) -> None:
    manifest = json.loads((begun / "manifest.json").read_text())
    (key, size), *more = manifest["latents_at_once"].items()
    assert key.startswith("cpu, ") and size in (2**k for k in range(7)) and not more
    frame = begun / "frames" / "00001.png"
    before = frame.read_bytes()
    for each in (*begun.glob("checkpoint/*"), frame):
        each.unlink()
    (begun / "manifest.json").write_text(json.dumps(manifest | {"latents_at_once": {key: 2}}))
    stopped(begun)
    done = typed("interpolate", "--resume", "o", cwd=begun.parent)
    assert done.returncode == 0 and frame.read_bytes() == before, done.stderr
    assert json.loads((begun / "manifest.json").read_text())["latents_at_once"] == {key: 2}


@pytest.mark.parametrize("how", ["folder", "words"])
def test_a_complete_run_says_so_at_once(begun: Path, how: str) -> None:
    if not (begun / "metrics.json").is_file():
        typed("interpolate", "--resume", "o", cwd=begun.parent)
    words = ["--resume", "o"] if how == "folder" else ["a.png", "b.png", *QUICK, "--out", "o", "--resume"]
    before = {path: path.stat().st_mtime_ns for path in begun.rglob("*")}
    done = typed("interpolate", *words, cwd=begun.parent)
    assert done.returncode == 0 and done.stdout.startswith("o was already complete: "), done.stderr
    assert json.loads(typed("interpolate", *words, "--json", cwd=begun.parent).stdout)["folder"] == "o"
    assert {path: path.stat().st_mtime_ns for path in begun.rglob("*")} == before
    changed = typed("interpolate", *words, "--frames", "5", cwd=begun.parent)
    assert changed.returncode == 1 and "frames 3 -> 5" in changed.stderr


def test_folders_that_hold_no_such_run_are_refused(begun: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd" / "manifest.json").write_text("[" * 100_000)
    for folder in ("nowhere", "empty", "odd"):
        done = typed("interpolate", "--resume", folder, cwd=tmp_path)
        assert done.returncode == 1 and f"There is no run in {folder}" in done.stderr
    other = typed("invert", "--resume", str(begun), cwd=tmp_path)
    assert other.returncode == 1
    assert f"geodesic interpolate --resume {begun}" in other.stderr and "Traceback" not in other.stderr
    bare = typed("interpolate", "--resume", cwd=tmp_path)
    assert bare.returncode in (1, 2) and "Traceback" not in bare.stderr


def test_info_is_a_table_of_what_is_not_the_default(begun: Path) -> None:
    frame = str(begun / "frames" / "00001.png")
    lines = CliRunner().invoke(app, ["info", frame]).stdout.splitlines()
    assert "made by geodesic interpolate" in lines[0] and "u 0.5" in lines[0]
    rows = {line.split()[0]: line.split()[1:] for line in lines[2:-1]}
    assert rows["method"] == ["slerp", "global"] and rows["frames"] == ["3", "17"] and rows["device"] == ["cpu", "auto"]
    assert "images" in rows and "guidance" not in rows and "seed" not in rows
    about = json.loads(CliRunner().invoke(app, ["info", frame, "--json"]).stdout)
    assert about["settings"]["guidance"] == 1


@pytest.mark.parametrize(
    ("words", "code", "error", "do"),
    [
        (["interpolate", "a.png", "--tau", "7"], 1, "--tau takes numbers", "0.4"),
        (["interpolate", "no.png", "none.png"], 1, "no.png does not exist", "Check"),
        (["interpolate", "a.png", "--tua", "7"], 2, "No such option", "--help"),
        (["interpolate", "a.png", "--frames", "x"], 2, "--frames", "--help"),
        (["toy", "--points", "none.csv"], 1, "none.csv", "Check"),
    ],
)
def test_an_error_is_json_too_where_json_is_asked_for(
    words: list[str],
    code: int,
    error: str,
    do: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "argv", ["geodesic", *words, "--json"])
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == code
    printed = capsys.readouterr()
    told = json.loads(printed.out)
    assert set(told) == {"error", "do"} and error in told["error"] and do in told["do"]
    assert "Error" in printed.err


def test_misspelt_variables_are_named_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GEODESIC_INTERPOLATE_TUA", "0.5")
    monkeypatch.setenv("GEODESIC_LATENT_SLERP_PAIRZ", "3")
    monkeypatch.setenv("GEODESIC_INTERPOLATE_PROMPT", "a cube")
    monkeypatch.setenv("GEODESIC_TOY_BEND", "3")
    said = CliRunner().invoke(app, ["cache"]).stderr.splitlines()
    assert len(said) == 3
    assert "GEODESIC_INTERPOLATE_PROMPT is not read" in said[0]
    assert "GEODESIC_INTERPOLATE_TUA" in said[1] and "Did you mean GEODESIC_INTERPOLATE_TAU?" in said[1]
    assert "Did you mean GEODESIC_LATENT_SLERP_PAIRS?" in said[2]


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (
            "interpolate --method ",
            {"geodesic", "slerp", "lerp", "global", "blend", "corrected", "published", "attention"},
        ),
        ("interpolate --method g", {"geodesic", "global"}),
        ("invert a.png --scheme a", {"adams"}),
        ("latent direction red blue --estimate ", {"mean", "svm"}),
    ],
)
def test_a_shell_completes_values(words: str, offered: set[str]) -> None:
    code = "import sys; sys.argv = ['geodesic']; from geodesic_cli.__main__ import main; main()"
    count = len(words.split()) + words.endswith(" ")
    environment = {"_GEODESIC_COMPLETE": "complete_bash", "COMP_WORDS": f"geodesic {words}", "COMP_CWORD": str(count)}
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )
    assert set(done.stdout.split()) == offered, done.stderr


def test_the_first_line_comes_before_torch(begun: Path) -> None:
    code = (
        "import sys, builtins\n"
        "real = builtins.__import__\n"
        "def stop(name, *rest):\n"
        "    if name.partition('.')[0] == 'torch': raise SystemExit(7)\n"
        "    return real(name, *rest)\n"
        "builtins.__import__ = stop\n"
        "sys.argv = ['geodesic', 'interpolate', 'a.png', 'b.png']\n"
        "from geodesic_cli.__main__ import main\nmain()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=begun.parent, capture_output=True, text=True, check=False)
    assert done.returncode == 7
    method, loading = done.stderr.splitlines()
    assert method.startswith("Method: global geodesic") and loading == "Loading PyTorch and the model ..."


def test_info_keeps_prompts_with_commas_apart_and_numbers_short(tmp_path: Path) -> None:
    file, settings = tmp_path / "a.png", {"prompt": ["an apple, 3d", "a pear, 3d"], "images": ["a", "b"]}
    media.write_png(torch.zeros(3, 8, 8), file, {"settings": settings, "u": 0.4746899192808575})
    told = CliRunner().invoke(app, ["info", str(file)]).stdout
    assert "an apple, 3d; a pear, 3d" in told and "a, b" in told
    assert "u 0.47469\n" in told
