"""Runs the fenced blocks of the documents that stand below a line `<!-- run -->`: python .ci/commands.py [FILE ...]

Each document runs in a scratch copy of the examples, with the commands of this interpreter's environment first on the
path. Blocks of bash stop at the first command that fails. Of the other blocks, those lines that interpolate with a
published model, whose weights are not here, run with --dry-run on two pictures and a list of captions. Standard
library only.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PICTURES = ("cat.jpg", "dog.jpg")
"""What those lines call their pictures; a picture is known by what is in it, not by its name."""
CAPTIONS = ("captions.txt", "a photo of a cat\na photo of a dog\n")
"""What they call their list of captions, and what is in it."""
ROOT = Path(__file__).resolve().parents[1]
OTHER = re.compile(r"(?<!<!-- run -->\n)^```bash\n(.*?)^```$", re.DOTALL | re.MULTILINE)
WEIGHTS = re.compile(r"^geodesic interpolate (?=.*--model (?:sd15|sd21|sd21-base|sdxl)\b)(?!.*\.safetensors)[^#]*")
"""A line that needs the weights of a published model, and no other file that is not here."""
BLOCK = re.compile(r"^<!-- run -->\n```(bash|python)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def main(names: list[str]) -> int:
    """How many blocks failed."""
    files = [Path(name) for name in names] or [ROOT / "README.md", *sorted((ROOT / "examples").rglob("*.md"))]
    here = Path(sys.executable).parent
    environment = {**os.environ, "PATH": f"{here}{os.pathsep}{os.environ['PATH']}"}
    failed = 0
    for file in files:
        text = file.read_text("utf-8")
        blocks = BLOCK.findall(text)
        lines = "".join(OTHER.findall(text)).replace("\\\n", " ").splitlines()
        planned = {match.group().strip() for line in lines if (match := WEIGHTS.match(line))}
        blocks += [("bash", f"{line.replace(' --dry-run', '')} --dry-run") for line in sorted(planned)]
        with tempfile.TemporaryDirectory() as folder:
            if blocks:
                shutil.copytree(ROOT / "examples", Path(folder) / "examples")
                for name in PICTURES:
                    shutil.copy(ROOT / "examples" / "images" / "blue-cube.png", Path(folder) / name)
                (Path(folder) / CAPTIONS[0]).write_text(CAPTIONS[1], "utf-8")
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
