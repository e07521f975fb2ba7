"""The command line as a person uses it: in a process of its own, with its exit codes and its sentences."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor
from typer.testing import CliRunner, Result

from geodesic_cli import media
from geodesic_cli.__main__ import main
from geodesic_cli.cli.app import app
from geodesic_cli.errors import GeodesicError
from helpers import decibels

SMALL = ["--frames", "3", "--steps", "4", "--device", "cpu"]
QUICK = [*SMALL, "--method", "geodesic", "--nodes", "7"]
DRAWN = [*SMALL, "--method", "slerp", "--pacing", "path"]  # where the path does not matter
SAME = ["path.safetensors", "sheet.png", "video.mp4", "video.gif", "frames/00001.png"]
"""Not density.png: the tests in this process draw figures in a hurry."""


def geodesic(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "geodesic_cli", *arguments],
        cwd=cwd,
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def inside(*arguments: str, **environment: str) -> Result:
    """The same without the seconds that a new process spends on importing torch."""
    done = CliRunner().invoke(app, list(arguments), env=environment)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one sentence with which the command line refuses; exit code 1, no traceback, nothing on stdout."""
    before, sys.argv = sys.argv, ["geodesic", *arguments]
    try:
        with pytest.raises(SystemExit) as stop:
            main()
    finally:
        sys.argv = before
    assert stop.value.code == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    last = printed.err.strip().splitlines()[-1]
    assert last.startswith("Error: ")
    assert "Traceback" not in printed.err
    return last


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory, pair: Tensor) -> tuple[str, str]:
    """The pair as files, for runs that several tests look at."""
    folder = tmp_path_factory.mktemp("images")
    for image, name in zip(pair, "ab", strict=True):
        media.write_png(image, folder / f"{name}.png")
    return str(folder / "a.png"), str(folder / "b.png")


@dataclass(frozen=True)
class Seen:
    """What a person sees who runs the command in an empty folder, with a home and a folder for temporary files."""

    folder: Path
    done: subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def first(images: tuple[str, str], tmp_path_factory: pytest.TempPathFactory) -> Seen:
    folder = tmp_path_factory.mktemp("first")
    home, temporary = folder / "home", folder / "temporary"
    home.mkdir()
    temporary.mkdir()
    places = {"HOME": home, "TMPDIR": temporary, "XDG_CACHE_HOME": home / ".cache"}
    done = geodesic("interpolate", *images, *QUICK, cwd=folder, **{name: str(place) for name, place in places.items()})
    return Seen(folder, done)


def test_a_first_run_says_what_was_made_and_which_file_to_open(first: Seen) -> None:
    assert first.done.returncode == 0, first.done.stderr
    made, verdict, opened = first.done.stdout.strip().splitlines()  # numbers are behind --verbose
    assert made.startswith("3 frames from a to b along the local ")
    assert "geodesic" in verdict
    assert opened.startswith("Open runs/a-to-b/report.html")
    assert (first.folder / "runs" / "a-to-b" / "video.mp4").is_file()
    for stage in ("Encoding", "Solving", "Drawing the local path", "Writing"):
        assert stage in first.done.stderr
    assert "/s)" in first.done.stderr  # evaluations per second
    assert "\x1b" not in first.done.stderr + first.done.stdout  # plain lines where there is no terminal


def test_nothing_is_written_outside_the_output_folder(first: Seen) -> None:
    assert {path.name for path in first.folder.iterdir()} == {"runs", "home", "temporary"}
    caches = {path.name for path in (first.folder / "home").iterdir()}
    assert caches <= {".cache", ".config"}  # matplotlib's font list
    assert not [path for path in (first.folder / "temporary").rglob("*") if path.is_file()]


def test_another_process_makes_the_same_bytes_and_says_more_when_asked(
    first: Seen, images: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    again = inside("interpolate", *images, *QUICK, "--verbose", "--out", "o")
    assert "nats, high is good" in again.stdout and "network evaluations" in again.stdout
    for name in SAME:
        assert (tmp_path / "o" / name).read_bytes() == (first.folder / "runs" / "a-to-b" / name).read_bytes(), name


def test_json_is_all_there_is_on_stdout(
    files: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = inside("interpolate", *files, *DRAWN, "--json", "--out", "o")
    assert json.loads(done.stdout)["frames"] == 3
    assert json.loads(done.stdout)["folder"] == "o"


def test_info_reads_back_how_a_frame_was_made(
    files: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert inside("interpolate", *files, *DRAWN, "--out", "o", "--tau", "0.5").exit_code == 0
    done = inside("info", "o/frames/00001.png", "--json")
    about = json.loads(done.stdout)
    assert about["settings"]["tau"] == 0.5
    assert 0 < about["u"] < 1


@pytest.mark.slow
def test_a_config_file_repeats_a_run_and_options_and_variables_win(
    files: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert inside("interpolate", *files, *DRAWN, "--out", "first", "--tau", "0.5").exit_code == 0
    done = inside("interpolate", "--config", "first/config.toml", "--out", "second", "--json")
    assert done.exit_code == 0, done.stderr
    for name in ("frames/00001.png", "video.mp4"):
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes()
    third = inside(
        "interpolate", "--config", "first/config.toml", "--out", "third", "--frames", "4", "--json",
        GEODESIC_INTERPOLATE_FRAMES="5", GEODESIC_INTERPOLATE_TAU="0.4",
    )  # fmt: skip
    assert (json.loads(third.stdout)["frames"], json.loads(third.stdout)["tau"]) == (4, 0.4)


def test_a_config_file_with_a_misspelt_key_names_the_nearest(
    files: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "c.toml"
    config.write_text("frmaes = 3\n")
    assert "Did you mean 'frames'?" in refused(capsys, "interpolate", *files, "--config", str(config))
    config.write_text("frames = \n")
    assert "is not TOML" in refused(capsys, "interpolate", *files, "--config", str(config))
    assert "cannot be read" in refused(capsys, "interpolate", *files, "--config", str(tmp_path / "no.toml"))


def test_strict_exits_with_three_when_the_path_did_not_converge(
    files: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    hard = ["--bend", "4", "--max-steps", "1", "--tol", "1e-6"]
    done = inside("interpolate", *files, *QUICK, *hard, "--out", "o", "--strict")
    assert done.exit_code == 3
    assert "Allow more steps" in done.stderr
    assert "--max-steps" in done.stderr
    assert "short path, residual" in done.stderr
    assert "Allow more steps" not in done.stdout
    assert "along the local short path." in done.stdout
    assert (tmp_path / "o" / "sheet.png").is_file()
    assert inside("interpolate", *files, *QUICK, *hard, "--out", "p").exit_code == 0


def test_missing_file(files: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = refused(capsys, "interpolate", files[0], str(tmp_path / "no.png"), "--out", str(tmp_path / "o"))
    assert "no.png does not exist" in said
    assert not (tmp_path / "o").exists()


def test_text_file_named_png(files: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "text.png").write_text("dear diary")
    assert "text.png" in refused(capsys, "interpolate", files[0], str(tmp_path / "text.png"))


def test_one_pixel(files: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.new("RGB", (1, 1)).save(tmp_path / "dot.png")
    assert "1x1" in refused(capsys, "interpolate", files[0], str(tmp_path / "dot.png"))


@pytest.mark.parametrize("kind", ["rgba", "sixteen", "cmyk", "rotated"])
def test_odd_but_honest_images_are_read_as_people_see_them(files: tuple[str, str], tmp_path: Path, kind: str) -> None:
    plain = media.read_image(files[0])
    path = tmp_path / ("odd.jpg" if kind in ("cmyk", "rotated") else "odd.png")
    picture = Image.open(files[0]).convert("RGB")
    if kind == "rgba":
        picture.putalpha(255)
        picture.save(path)
    elif kind == "sixteen":
        gray = (plain.mean(0) * 65535).round().to(torch.int32).numpy().astype("uint16")
        Image.fromarray(gray).save(path)
        plain = plain.mean(0).expand(3, -1, -1)
    elif kind == "cmyk":
        picture.convert("CMYK").save(path, quality=100)
    else:
        exif = Image.Exif()
        exif[0x0112] = 6  # shown after a quarter turn to the right
        picture.rotate(90, expand=True).save(path, exif=exif, quality=100)
    assert decibels(media.read_image(path), plain) > 25
    runner = CliRunner()
    done = runner.invoke(app, ["interpolate", str(path), files[1], *DRAWN, "--out", str(tmp_path / kind)])
    assert done.exit_code == 0, done.output
    assert (tmp_path / kind / "frames" / "00002.png").is_file()


def test_two_sizes(files: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.new("RGB", (96, 48)).save(tmp_path / "wide.png")
    said = refused(capsys, "interpolate", files[0], str(tmp_path / "wide.png"), "--size", "same")
    assert "64x64" in said
    assert "96x48" in said
    assert "--size" in said


def test_output_folder_in_use(files: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "o").mkdir()
    (tmp_path / "o" / "thesis.tex").write_text("all my work")
    said = refused(capsys, "interpolate", *files, *QUICK, "--out", str(tmp_path / "o"))
    assert "is not empty" in said
    assert (tmp_path / "o" / "thesis.tex").read_text() == "all my work"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--frames", "1"], "--frames needs at least 2; got 1."),
        (["--alpha", "-1"], "--alpha takes numbers from 0"),
        (["--size", "huge"], "huge"),
        (["--model", "sd51"], "clevr-mini"),
        (["--device", "abacus"], "abacus"),
        (["--method", "slrep"], "Did you mean 'slerp'?"),
        (["--global", "--method", "slerp"], "--global means --method global"),
        (["--resume", "--overwrite"], "--resume or --overwrite"),
        (["--seed", "99999999999999999999"], "--seed takes numbers"),
    ],
)
def test_bad_options_are_one_sentence(
    files: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    assert words in refused(capsys, "interpolate", *files, "--out", str(tmp_path / "o"), *arguments)


def test_a_wrong_number_of_images_is_refused(files: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    assert f"two images; {files[0]} holds 1" in refused(capsys, "interpolate", files[0])


def test_an_unknown_option_is_a_usage_error_with_the_nearest_one(
    files: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = inside("interpolate", *files, "--frame", "3")
    assert done.exit_code == 2
    assert "--frames" in done.stderr


def test_a_bug_of_ours_keeps_its_traceback(files: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("geodesic_cli.verbs.interpolate.run.run", broken)
    monkeypatch.setattr(sys, "argv", ["geodesic", "interpolate", *files])
    with pytest.raises(ZeroDivisionError):
        main()


def test_an_interrupted_run_says_how_to_go_on(files: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("geodesic_cli.verbs.interpolate.run.run", interrupted)
    done = CliRunner().invoke(app, ["interpolate", *files, "--out", "somewhere"])
    assert done.exit_code == 130
    assert "--resume" in done.stderr


def test_help_shows_examples_and_every_command() -> None:
    done = CliRunner().invoke(app, ["-h"])
    assert done.exit_code == 0
    assert "geodesic interpolate a.png b.png\n" in done.output
    assert "info" in done.output
    detail = CliRunner().invoke(app, ["interpolate", "--help"])
    assert "geodesic interpolate a.png b.png\n" in detail.output


def test_errors_say_needed_got_and_do_in_one_line() -> None:
    error = GeodesicError("A thing is needed, got none.", "Pass one.")
    assert str(error) == "A thing is needed, got none. Pass one."


def test_the_script_is_installed_under_its_name() -> None:
    found = shutil.which("geodesic", path=str(Path(sys.executable).parent))
    if found is None:
        pytest.skip("the package is not installed here, it runs from its sources")
    assert subprocess.run([found, "--version"], capture_output=True, text=True, check=True).stdout.startswith(
        "geodesic"
    )


def test_global_is_a_short_word_for_its_method(files: list[str], monkeypatch) -> None:
    plans = [
        json.loads(inside("interpolate", *files, *SMALL, *words, "--dry-run", "--json").stdout)["stages"]
        for words in (["--global"], ["--method", "global"], [])
    ]
    names = [[stage["name"] for stage in plan] for plan in plans]
    assert names[0] == names[1] == names[2]  # the default of clevr-mini
    assert "Searching" in names[0]


def test_a_dry_run_tells_what_each_stage_costs_and_writes_nothing(files: list[str], monkeypatch) -> None:
    monkeypatch.chdir(Path(files[0]).parent)
    done = inside("interpolate", *files, *QUICK, "--dry-run")
    assert done.exit_code == 0
    assert "Solving" in done.stdout
    assert "in all" in done.stdout
    assert "Memory: weights" in done.stdout
    told = json.loads(inside("interpolate", *files, *QUICK, "--dry-run", "--json").stdout)
    assert told["evaluations"] == sum(stage["evaluations"] or 0 for stage in told["stages"])
    assert not Path("runs").exists()
