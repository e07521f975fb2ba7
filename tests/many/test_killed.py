"""A whole evaluation, drawn and measured, killed five times by the system and gone on with: the same tables."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

WORDS = ("evaluate", "--pairs", "scenes:2", "--methods", "blend,slerp,attention,geodesic", "--frames", "4")
TABLES = ("table.md", "table.tex", "sequences.csv", "sheet.png", "strips/00000.png", "strips/00001.png")
KILLS = 5


def begun(out: Path, *more: str) -> subprocess.Popen[bytes]:
    words = [sys.executable, "-m", "geodesic_cli", *WORDS, "--out", str(out), *more]
    return subprocess.Popen(words, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env={**os.environ, "CI": "1"})


def written(out: Path) -> int:
    """Files of the run, those that are being written left out: what grows while it goes on."""
    return sum(path.is_file() and not path.name.startswith(".") for path in out.rglob("*"))


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_an_evaluation_that_is_killed_five_times_ends_in_the_same_tables(tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert begun(whole).wait() == 0
    seen = []
    for kill in range(KILLS):
        process, before = begun(parts, *(["--resume"] if kill else [])), written(parts)
        while process.poll() is None and written(parts) < before + 9:
            time.sleep(0.05)
        assert process.poll() is None, "the run came to its end before it was killed often enough"
        process.send_signal(signal.SIGKILL)
        process.wait()
        seen.append(written(parts))
        assert not (parts / "table.md").exists()
    assert seen == sorted(set(seen)), "each session got further than the one before"
    assert begun(parts, "--resume").wait() == 0
    for name in TABLES:
        assert (parts / name).read_bytes() == (whole / name).read_bytes(), name
