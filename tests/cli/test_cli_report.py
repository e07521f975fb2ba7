"""`geodesic report`: the page of an earlier run."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from geodesic_cli.cli.app import app
from geodesic_cli.errors import GeodesicError, InputError, OutputError
from geodesic_cli.runs.folder import RunDirectory
from geodesic_cli.settings import ToySettings
from geodesic_cli.verbs.toy.run import run as run_toy
from helpers import into_folder

QUICK = {"density": "ring", "rays": 2, "gif": False}


def reported(*words: str) -> str:
    done = CliRunner().invoke(app, ["report", *words])
    if done.exception is not None and isinstance(done.exception, GeodesicError):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.output


@pytest.fixture
def run(tmp_path: Path) -> Path:
    into_folder(run_toy)(ToySettings(out=str(tmp_path / "run"), **QUICK))  # type: ignore[arg-type]
    return tmp_path / "run"


def test_a_run_writes_its_page_and_report_gives_the_same(run: Path) -> None:
    written = (run / "report.html").read_bytes()
    assert "report.html" in json.loads((run / "manifest.json").read_text())["files"]
    assert reported(str(run)) == f"{run}/report.html: open it in a browser, or send it.\n"
    assert (run / "report.html").read_bytes() == written
    other = run.parent / "elsewhere.html"
    reported(str(run), "--out", str(other))
    assert other.read_bytes() == written


def test_the_page_of_an_older_run_becomes_one_of_its_files(run: Path) -> None:
    manifest = json.loads((run / "manifest.json").read_text())
    (run / "report.html").unlink()
    manifest["files"].remove("report.html")
    (run / "manifest.json").write_text(json.dumps(manifest | {"later": 1}))
    reported(str(run))
    now = json.loads((run / "manifest.json").read_text())
    assert now == manifest | {"later": 1, "files": sorted([*manifest["files"], "report.html"])}
    with RunDirectory.open(run, ToySettings(**QUICK).__dict__, command="", overwrite=True) as directory:  # type: ignore[arg-type]
        assert directory.has("config.toml") and not (run / "report.html").exists()


def test_an_interrupted_run_has_a_page_too(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), RunDirectory.open(tmp_path / "o", ToySettings().__dict__, command="x"):
        raise KeyboardInterrupt
    reported(str(tmp_path / "o"))
    assert "Interrupted." in (tmp_path / "o/report.html").read_text("utf-8")


def test_what_is_no_run_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("x")
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd" / "manifest.json").write_text('{"files": 3}')
    for name in ("nowhere", "empty", "file", "odd"):
        with pytest.raises(InputError, match=f"The folder of a run is needed, and .*{name} holds no readable"):
            reported(str(tmp_path / name))
    assert not (tmp_path / "empty" / "report.html").exists()


def test_nothing_that_is_no_page_is_replaced(run: Path) -> None:
    thesis = run.parent / "thesis.html"
    thesis.write_text("<p>mine")
    with pytest.raises(OutputError, match="no page of a run"):
        reported(str(run), "--out", str(thesis))
    with pytest.raises(OutputError, match="no page of a run"):
        reported(str(run), "--out", str(run.parent))
    assert thesis.read_text() == "<p>mine"
    with pytest.raises(OutputError):
        reported(str(run), "--out", str(run.parent / "no" / "such" / "page.html"))
