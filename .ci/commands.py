"""Runs the fenced blocks of the documents that stand below a line `<!-- run -->`: python .ci/commands.py [FILE ...]

Each document runs in a scratch copy of the examples, with the commands of this interpreter's environment first on the
path. Blocks of bash stop at the first command that fails. Standard library only.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BLOCK = re.compile(r"^<!-- run -->\n```(bash|python)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def main(names: list[str]) -> int:
    """How many blocks failed."""
    files = [Path(name) for name in names] or [ROOT / "README.md", *sorted((ROOT / "examples").rglob("*.md"))]
    here = Path(sys.executable).parent
    environment = {**os.environ, "PATH": f"{here}{os.pathsep}{os.environ['PATH']}"}
    failed = 0
    for file in files:
        blocks = BLOCK.findall(file.read_text("utf-8"))
        with tempfile.TemporaryDirectory() as folder:
            if blocks:
                shutil.copytree(ROOT / "examples", Path(folder) / "examples")
            for language, text in blocks:
                began = time.monotonic()
                line = ["bash", "-euo", "pipefail", "-c", text] if language == "bash" else [sys.executable, "-c", text]
                done = subprocess.run(line, cwd=folder, env=environment, capture_output=True, text=True, check=False)
                name = file.resolve().relative_to(ROOT)
                print(f"{name}: {time.monotonic() - began:.0f} s, {text.splitlines()[0][:80]}", flush=True)
                if done.returncode:
                    failed += 1
                    print(f"failed with {done.returncode}:\n{text}\n{done.stdout}\n{done.stderr}")
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]) > 0)
