"""A program that is asked to stop says how to go on, and ends with the number of the signal."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_ends_a_run_in_one_sentence(tmp_path: Path, number: signal.Signals, code: int) -> None:
    out = tmp_path / "run"
    line = [sys.executable, "-m", "geodesic_cli", "toy", "moons", "--rays", "200", "--out", str(out)]
    # Under nohup SIGHUP is ignored, and the program would rightly go on ignoring it.
    line = ["env", f"--default-signal={number.name.removeprefix('SIG')}", *line]
    with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        for _ in range(600):
            if (out / "log.txt").is_file():
                break
            time.sleep(0.1)
        process.send_signal(number)
        told = process.communicate(timeout=60)[1]
    assert process.returncode == code, told
    assert "Traceback" not in told
    assert told.rstrip().splitlines()[-1].startswith("Interrupted.")
    assert '"status": "Interrupted."' in (out / "manifest.json").read_text()


def test_a_signal_before_a_verb_has_begun_is_one_word(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys, types\n"
        "sys.argv = ['geodesic', 'toy']\n"
        "late = types.ModuleType('geodesic_cli.cli.app')\n"
        "late.app = lambda: os.kill(os.getpid(), signal.SIGTERM)\n"
        "sys.modules['geodesic_cli.cli.app'] = late\n"
        "from geodesic_cli.__main__ import main\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 143
    assert done.stderr == "Interrupted.\n"
