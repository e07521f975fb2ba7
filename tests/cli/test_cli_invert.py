"""`geodesic invert` and `geodesic latent` as a person uses them: tables, JSON, and one sentence for a mistake."""

import json
import sys
from pathlib import Path

import pytest
from tiny import write_pixel_model
from typer.testing import CliRunner

from geodesic_cli.__main__ import main
from geodesic_cli.cli.app import app
from geodesic_cli.cli.common import _go_on
from geodesic_cli.cli.invert import _numbers


def printed(*arguments: str, **environment: str) -> str:
    done = CliRunner().invoke(app, list(arguments), env=environment)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.stdout


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    before, sys.argv = sys.argv, ["geodesic", *arguments]
    try:
        with pytest.raises(SystemExit) as stop:
            main()
    finally:
        sys.argv = before
    assert stop.value.code == 1
    streams = capsys.readouterr()
    assert streams.out == ""
    assert "Traceback" not in streams.err
    last = streams.err.strip().splitlines()[-1]
    assert last.startswith("Error: ")
    return last


def test_invert_prints_a_table_and_leaves_a_folder(
    files: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text = printed("invert", *files, "--steps", "4", "--device", "cpu", "--verbose")
    for words in (
        "dB, high is good",
        "autoencoder - inverted and back",
        "correlation of neighbours",
        "runs/invert-a/report.html",
    ):
        assert words in text
    assert (tmp_path / "runs/invert-a/sheet.png").is_file()


def test_a_model_of_pixels_has_no_rows_of_an_autoencoder_that_it_has_not() -> None:
    def likeness(mse: float, psnr: float) -> dict[str, dict[str, float]]:
        return {"mse": {"mean": mse}, "psnr": {"mean": psnr}, "ssim": {"mean": 1.0}, "pyramid": {"mean": 0.0}}

    metrics = {
        "images": ["a.png"], "tau": 0.5, "steps": 4, "scheme": "adams", "evaluations": 9, "seconds": 1.0,
        "autoencoder": likeness(5e-18, 173.0), "transport": likeness(1e-3, 30.0),
        "reconstruction": likeness(1e-3, 30.0),
        "noise": {name: {"mean": 0.0, "chance": 0} for name in ("norm", "kurtosis", "neighbours")}
        | {"chance": {"norm": 0.1, "kurtosis": 0.1, "neighbours": 0.1}},
    }  # fmt: skip
    lines = _numbers(metrics)
    assert not any("autoencoder" in line or "173" in line for line in lines)
    assert any("image - inverted and back" in line and "30.00" in line for line in lines)
    latent = metrics | {"autoencoder": likeness(1e-3, 30.0), "transport": likeness(1e-14, 140.0)}
    assert any("the same" in line for line in _numbers(latent))


def test_json_is_all_there_is_on_stdout(
    files: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = json.loads(
        printed("invert", files[0], "--steps", "2", "--device", "cpu", "--json", GEODESIC_INVERT_SCHEME="ddim")
    )
    assert (found["steps"], found["scheme"], found["folder"]) == (2, "ddim", "runs/invert-a")
    options = ("--pairs", "1", "--frames", "2", "--steps", "2", "--no-fit", "--device", "cpu", "--json")
    assert json.loads(printed("latent", "slerp", *options))["frames"] == 2


@pytest.mark.slow
def test_slerp_and_direction_print_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    options = ("--pairs", "1", "--frames", "2", "--steps", "3", "--device", "cpu", "--compare")
    text = printed("latent", "slerp", *options)
    assert "great circle" in text and "straight line" in text and "1 is even" in text
    options = ("--pairs", "6", "--held-out", "1", "--strengths", "1", "--steps", "3", "--device", "cpu")
    text = printed("latent", "direction", "red", "blue", *options, "--verbose")
    assert "turned" in text
    assert "random" in text
    assert "runs/red-to-blue/report.html" in text


def test_a_config_of_a_run_repeats_it(files: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    printed("invert", files[0], "--steps", "2", "--device", "cpu", "--out", "one")
    text = printed("invert", files[0], "--config", "one/config.toml", "--out", "two", "--json")
    assert json.loads(text)["steps"] == 2


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("invert", "none.png"), "none.png does not exist"),
        (("invert", "none.png", "--tau", "2"), "--tau takes numbers"),
        (("invert", "none.png", "--scheme", "ddm"), "Did you mean 'ddim'"),
        (("invert", "none.png", "--resume"), "--resume needs the folder"),
        (("latent", "slerp", "one.png"), "joins two images"),
        (("latent", "slerp", "--tau", "0.5"), "at tau 1"),
        (("latent", "direction", "red", "cube"), "of one kind"),
        (("latent", "direction", "rad", "blue"), "Did you mean 'red'"),
        (("latent", "direction", "red", "blue", "--strengths", "a,b"), "takes numbers"),
        (("latent", "direction", "a", "b", "--labels", "no.csv"), "no.csv cannot be read"),
    ],
)
def test_a_mistake_is_one_sentence(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    sentence: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert sentence in refused(capsys, *arguments)
    assert not (tmp_path / "runs").exists()


def test_an_interruption_says_how_to_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["geodesic", "invert", "a.png"])
    assert "geodesic invert a.png --out runs/x --resume" in _go_on("runs/x")


def test_lines_and_sums_print_their_numbers_for_both_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    model = str(write_pixel_model(tmp_path / "tiny", 16))
    few = ("--model", model, "--against", model, "--steps", "2", "--device", "cpu", "--verbose")
    lines = printed("latent", "line", "--frames", "3", "--directions", "1", *few)
    for words in ("tiny (1):", "tiny (2):", "direction 1", "random, for comparison", "singular values", "-2"):
        assert words in lines
    total = printed("latent", "combine", *few)
    for words in ("distance of the result", "weights 1, 1, -1", "times as long as noise"):
        assert words in total


def test_how_to_go_on_names_the_whole_verb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "manifest.json").write_text("{}")
    monkeypatch.setattr(sys, "argv", ["geodesic", "latent", "combine", "a.png", "b.png", "--weights", "1,1"])
    assert _go_on(str(tmp_path)).endswith(f"geodesic latent combine --resume {tmp_path}")
