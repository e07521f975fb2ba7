"""What the studies share: the pairs that they look at, and records that a stopped study finds again.

A study is run from anywhere as `python examples/studies/<topic>/<script>.py`.
"""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch

from geodesic_cli.scenes import Scene, sample

HELD_OUT = 90_001
"""Seed of scenes that no training saw: the training scenes come from the seed 0."""
PAIRS = 70_001
"""Seed of the scenes of `make_pairs`; no training saw them either."""


def make_pairs(count: int) -> list[tuple[Scene, Scene]]:
    """Even numbers: one object that has moved, turned and kept its size. Odd numbers: two different objects."""
    drawn = sample(2 * count, torch.Generator().manual_seed(PAIRS))
    pairs = []
    for k, (a, b) in enumerate(zip(drawn[::2], drawn[1::2], strict=True)):
        there = b.solids[0]
        moved = replace(a.solids[0], x=there.x, y=there.y, rotation=there.rotation)
        pairs.append((a, Scene((moved,)) if k % 2 == 0 else b))
    return pairs


def kept(file: Path, make: Callable[[], dict]) -> dict:
    """The record in a file, made first where it is not on disk; a run that is stopped leaves whole records only."""
    if not file.exists():
        part = file.with_suffix(".part")
        part.write_text(json.dumps(make()) + "\n")
        part.replace(file)
    record: dict = json.loads(file.read_text())
    return record
