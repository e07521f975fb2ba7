"""Models of the published shapes with random weights go from disk to frames in bounded memory."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pipelines
import pytest
import torch

from geodesic_cli.diffusion.loading.shapes import PUBLISHED

RUN = """
import json, resource, sys, time
began = time.monotonic()
from geodesic_cli.__main__ import main
code = 0
try:
    main()
except SystemExit as stop:
    code = stop.code or 0
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
sys.stderr.write(json.dumps({"peak": peak, "seconds": time.monotonic() - began}) + "\\n")
sys.exit(code)
"""
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
SIZE = os.environ.get("GEODESIC_TEST_SIZE", "256")
"""Pixels of the images. The weights take nearly all of the memory at 256; 512 takes four times as long."""


@pytest.mark.slow
@pytest.mark.timeout(3000)
@pytest.mark.parametrize(
    ("name", "dtype", "most"),
    [
        ("sd15", "bf16", 6.0),
        ("sd15", "fp32", 12.0),
        ("sd21-base", "bf16", 6.0),
        ("sd21", "bf16", 6.0),
        ("sdxl", "bf16", 11.0),
    ],
)
def test_a_full_size_model_interpolates_in_bounded_memory(
    name: str, dtype: str, most: float, tmp_path: Path, files: tuple[str, str], record_property
) -> None:
    folder = pipelines.build(PUBLISHED[name], tmp_path / name, DTYPES[dtype])
    try:
        words = ["interpolate", *files, "--model", str(folder), "--dtype", dtype, "--size", SIZE, "--nodes", "5"]
        words += ["--frames", "3", "--steps", "2", "--max-steps", "1", "--low-memory", "--prompt", "a cat"]
        words += ["--out", str(tmp_path / "run"), "--device", "cpu", "--json"]
        began = time.monotonic()
        done = subprocess.run([sys.executable, "-c", RUN, *words], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        told = json.loads(done.stderr.strip().splitlines()[-1])
        made = sorted(path.name for path in (tmp_path / "run" / "frames").iterdir())
        assert made == ["00000.png", "00001.png", "00002.png"]
        evaluations = sum(json.loads(done.stdout)["evaluations"].values())
        sys.stderr.write(
            f"{name} {dtype} at {SIZE}: peak {told['peak']:.2f} GB, {told['seconds']:.0f} s, {evaluations} evaluations"
            f", {time.monotonic() - began:.0f} s in all\n"
        )
        assert told["peak"] < most
    finally:
        for weights in folder.rglob("*.safetensors"):
            weights.unlink()  # gigabytes
