"""`geodesic bench model` as a person uses it."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from geodesic_cli.cli.app import app
from geodesic_cli.errors import InputError, OutputError

QUICK = ["bench", "model", "--batches", "1,2", "--seconds", "0.01", "--device", "cpu"]


def inside(*arguments: str, **environment: str) -> Result:
    done = CliRunner().invoke(app, list(arguments), env=environment)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done


def test_it_prints_a_plain_table() -> None:
    lines = inside(*QUICK).stdout.splitlines()
    assert lines[0].split()[:6] == ["device", "dtype", "batch", "chunk", "network", "ms"]
    assert lines[0].endswith("overhead  evaluations/s  peak MB")
    assert [line.split()[2] for line in lines[1:3]] == ["1", "2"]
    assert "interleaved" in lines[3]


def test_json_is_all_there_is_on_stdout_and_out_is_not_overwritten_unasked(tmp_path: Path) -> None:
    out = tmp_path / "bench"
    made = json.loads(inside(*QUICK, "--json", "--out", str(out)).stdout)
    assert made["model"] == "clevr-mini" and [row["batch"] for row in made["rows"]] == [1, 2]
    assert json.loads((out / "bench.json").read_text())["rows"] == made["rows"]
    with pytest.raises(OutputError, match="not empty"):
        inside(*QUICK, "--out", str(out))
    assert "table.md" in inside(*QUICK, "--out", str(out), "--overwrite").stdout


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--batches", "1,x"], "whole numbers"),
        (["--batches", ""], "at least one number"),
        (["--seconds", "0"], "--seconds"),
        (["--device", "gpu"], "gpu"),
        (["--dtype", "fp8"], "fp8"),
        (["--size", "60"], "multiples of 8"),
    ],
)
def test_bad_input_gets_one_sentence(arguments: list[str], word: str) -> None:
    with pytest.raises(InputError, match=word):
        inside("bench", "model", *arguments)


def test_a_variable_sets_what_no_option_does() -> None:
    done = inside("bench", "model", "--seconds", "0.01", "--json", GEODESIC_BENCH_MODEL_BATCHES="3")
    assert [row["batch"] for row in json.loads(done.stdout)["rows"]] == [3]
