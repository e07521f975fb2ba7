"""`geodesic distance` and `geodesic mean` as a person uses them."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from geodesic_cli.cli.app import app

QUICK = ("--device", "cpu", "--bend", "1", "--tol", "0.2")


def printed(*arguments: str) -> str:
    done = CliRunner().invoke(app, list(arguments))
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.stdout


def test_distance_prints_a_table_and_leaves_a_folder(
    files: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text = printed("distance", *files, *QUICK)
    for words in (
        "distance",
        "+-",
        "in latents",
        "runs/distances-of-a/report.html",
        "distances.png (the matrix)",
        "nearest 2",
    ):
        assert words in text
    written = {path.name for path in (tmp_path / "runs/distances-of-a").iterdir()}
    assert {"distances.csv", "distances.png", "plane.png", "metrics.json", "config.toml"} <= written


def test_mean_prints_a_table_and_leaves_a_folder(
    files: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text = printed("mean", *files, *QUICK, "--frames", "2", "--moves", "1", "--max-steps", "1")
    for words in ("weight", "+-", "in latents", "runs/mean-of-a/report.html"):
        assert words in text
    assert {"mean.png", "sheet.png", "distances.csv"} <= {path.name for path in (tmp_path / "runs/mean-of-a").iterdir()}


@pytest.mark.parametrize("verb", ["distance", "mean"])
def test_a_dry_run_is_a_table_or_json(
    verb: str, files: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert "ms an evaluation" in printed(verb, *files, "--dry-run", "--device", "cpu")
    assert json.loads(printed(verb, *files, "--dry-run", "--device", "cpu", "--json"))["evaluations"] > 0
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("verb", ["distance", pytest.param("mean", marks=pytest.mark.slow)])
def test_strict_ends_with_3_where_a_path_did_not_converge(verb: str, files: tuple[str, str], tmp_path: Path) -> None:
    out = str(tmp_path / "run")
    options = ("--max-steps", "1", "--tol", "0.001", "--bend", "8", "--device", "cpu", "--strict", "--out", out)
    done = CliRunner().invoke(
        app, [verb, *files, *options, *(("--moves", "1", "--frames", "2") if verb == "mean" else ())]
    )
    assert done.exit_code == 3, done.output
    assert "Warning: " in done.stderr
