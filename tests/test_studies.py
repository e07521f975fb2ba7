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
