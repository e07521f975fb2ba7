"""Studies whose small form takes seconds run, and go on where they were stopped."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.slow
def test_whether_an_isometry_helps_is_studied_in_its_small_form_and_found_again(tmp_path: Path) -> None:
    def study(*words: str) -> subprocess.CompletedProcess[str]:
        script = str(ROOT / "examples/studies/isometry/helps.py")
        line = [sys.executable, script, "--quick", "--device", "cpu", "--out", str(tmp_path / "o"), *words]
        return subprocess.run(line, capture_output=True, text=True, check=False)

    first = study()
    assert first.returncode == 0, first.stderr
    assert "| iso-0.2 |" in first.stdout and "nothing" in first.stdout
    made = {path: path.stat().st_mtime_ns for path in (tmp_path / "o").glob("*.json")}
    assert len(made) == 4  # base, control, one lambda, and the settings
    again = study()
    assert again.stdout == first.stdout
    assert {path: path.stat().st_mtime_ns for path in made} == made
    other = study("--tau", "0.5")
    assert other.returncode == 1 and "other settings" in other.stderr


@pytest.mark.slow
def test_the_table_of_the_isometry_paper_is_made_in_its_small_form_and_goes_on(tmp_path: Path) -> None:
    def study(*words: str) -> subprocess.CompletedProcess[str]:
        script = str(ROOT / "examples/studies/isodiff-table/rows.py")
        few = ["--samples", "3", "--steps", "2", "--taus", "1", "--points", "2", "--ppl-pairs", "3", "--labelled", "0"]
        line = [sys.executable, script, "clevr-mini", *few, "--device", "cpu", "--out", str(tmp_path / "o"), *words]
        return subprocess.run(line, capture_output=True, text=True, check=False)

    first = study()
    assert first.returncode == 0, first.stderr
    cells = first.stdout.splitlines()[2].split("|")[1:-1]
    assert cells[0].strip() == "clevr-mini" and cells[1].strip() == "-", "no other network stands under the name of FID"
    ppl, mrtl, mcn, vor = (float(cell.split()[0]) for cell in cells[5:9])
    assert ppl > 0 and mrtl >= 1 and mcn >= 1 and vor >= 0
    assert "distance: pyramid" in first.stdout and "Not measured: FID" in first.stdout
    picture = tmp_path / "o/samples/clevr-mini/00001.png"
    before, other = picture.read_bytes(), picture.with_name("00002.png").read_bytes()
    assert before != other
    for path in (picture, tmp_path / "o/clevr-mini.json"):  # as if it had been stopped
        path.unlink()
    again = study()
    assert again.stdout == first.stdout and picture.read_bytes() == before
    refused = study("--seed", "1")
    assert refused.returncode == 1 and "other settings" in refused.stderr and "Traceback" not in refused.stderr
