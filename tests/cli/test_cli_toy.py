"""`geodesic toy` on the command line."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from geodesic_cli.__main__ import main
from geodesic_cli.cli.app import app

QUICK = ["--no-gif", "--rays", "1"]


def inside(*arguments: str, **environment: str) -> Result:
    done = CliRunner().invoke(app, ["toy", *arguments], env=environment)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done


def refused(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *arguments: str) -> str:
    monkeypatch.setattr(sys, "argv", ["geodesic", "toy", *arguments])
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


def test_a_first_run_says_what_was_made_and_leaves_pictures() -> None:
    done = inside()
    assert done.exit_code == 0, done.stderr
    assert "times as long as the straight line" in done.stdout and "Open runs/toy-ring/report.html" in done.stdout
    assert "nats" not in done.stdout
    assert "Solving" in done.stderr and "Solving" not in done.stdout
    for name in ("toy.png", "evolution.png", "evolution.gif"):
        assert Path("runs/toy-ring", name).stat().st_size > 10_000
    second = inside(*QUICK, "--verbose")
    assert second.exit_code == 0 and "nats, high is good" in second.stdout
    assert Path("runs/toy-ring-2").is_dir()


def test_json_is_all_there_is_on_stdout_and_places_may_be_negative() -> None:
    done = inside("banana", *QUICK, "--a", "-1.5,-0.2", "--b=1.5,-0.3", "--json", "--out", "o")
    found = json.loads(done.stdout)
    assert (found["a"], found["b"], found["folder"]) == ([-1.5, -0.2], [1.5, -0.3], "o")
    assert found["length_ratio"] < 1
    assert sorted(path.name for path in Path().iterdir()) == ["o"]


def test_a_config_file_repeats_a_run_and_variables_and_options_win() -> None:
    assert inside("moons", *QUICK, "--bend", "2", "--out", "first").exit_code == 0
    done = inside("--config", "first/config.toml", "--out", "second", "--json")
    assert json.loads(done.stdout)["density"] == "moons"
    for name in ("path.safetensors", "toy.png"):
        assert Path("first", name).read_bytes() == Path("second", name).read_bytes()
    third = inside(
        "--config", "first/config.toml", "--out", "third", "--json", "--bend", "3",
        GEODESIC_TOY_BEND="1", GEODESIC_TOY_DENSITY="ring", GEODESIC_TOY_A="-1.8,0.7",
    )  # fmt: skip
    found = json.loads(third.stdout)
    assert (found["density"], found["a"]) == ("ring", [-1.8, 0.7])
    assert found["bend"] == pytest.approx(3)


def test_a_config_file_of_another_verb_is_an_error_of_the_file(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("c.toml").write_text('prompt = ["a cat"]\n')
    assert "no setting 'prompt'" in refused(capsys, monkeypatch, "--config", "c.toml")
    Path("c.toml").write_text("rays = 1.5\n")
    assert "The setting rays is a whole number; got 1.5." in refused(capsys, monkeypatch, "--config", "c.toml")


def test_a_folder_in_use_is_refused_and_overwrite_replaces_the_run(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert inside(*QUICK, "--out", "o").exit_code == 0
    Path("o/notes.txt").write_text("mine")
    assert "is not empty" in refused(capsys, monkeypatch, *QUICK, "--out", "o")
    assert inside("moons", *QUICK, "--out", "o", "--overwrite").exit_code == 0
    assert Path("o/notes.txt").read_text() == "mine"


def test_strict_exits_with_three_when_the_path_did_not_converge() -> None:
    hard = ["--bend", "8", "--max-steps", "1", "--tol", "1e-9"]
    done = inside("moons", *QUICK, *hard, "--strict", "--out", "o")
    assert done.exit_code == 3
    assert "--max-steps" in done.stderr
    assert Path("o/toy.png").is_file()
    assert inside("moons", *QUICK, *hard, "--out", "p").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["rnig"], "Did you mean 'ring'?"),
        (["--points", "no.csv"], "no.csv does not exist. Check the path."),
        (["--points", "one.csv"], "has 1 column."),
        (["--points", "nan.csv"], "the first is number 12."),
        (["--points", "few.csv"], "at least 10 points"),
        (["--a", "1,2", "--b", "1,2"], "A and B are both 1,2."),
        (["--a", "here"], "--a takes two numbers X,Y; got 'here'."),
        (["--bend", "-1"], "--bend takes numbers from 0"),
    ],
)
def test_bad_input_is_one_sentence_and_leaves_nothing(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("one.csv").write_text("1\n" * 12)
    Path("nan.csv").write_text("1,2\n" * 11 + "nan,nan\n")
    Path("few.csv").write_text("1,2\n" * 3)
    assert words in refused(capsys, monkeypatch, *arguments)
    assert not Path("runs").exists()


def test_an_interrupted_run_exits_with_130(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("geodesic_cli.verbs.toy.run.run", interrupted)
    assert inside().exit_code == 130


def test_it_needs_neither_weights_nor_the_libraries_of_diffusion() -> None:
    code = (
        "import sys, geodesic_cli\n"
        "geodesic_cli.toy('banana', rays=0)\n"
        "assert not {'diffusers', 'transformers', 'sklearn', 'geodesic_cli.diffusion'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
