"""`--pairs scenes:N`: pairs of rendered scenes with captions, by turns one solid that moved and two different."""

import math
from dataclasses import replace
from pathlib import Path

import torch

from geodesic_cli import media
from geodesic_cli.layouts import ImagePair, PairsFound
from geodesic_cli.many.batch import INPUTS
from geodesic_cli.scenes import Scene, render, sample

SCENES_SEED = 70_001
"""Added to the seed of scenes, so that no training has seen them: the training scenes come from the seed 0."""


def scene_pairs(count: int, seed: int, root: Path) -> PairsFound:
    """The pairs, whose pictures `draw_scenes` draws.

    Args:
        count: of pairs; of more pairs the first ones are the same.
        seed: of the scenes.
        root: of all runs; the pictures lie in a folder of it.
    """
    pairs = []
    for k, ends in enumerate(_scenes(count, seed)):
        files = [root / INPUTS / f"scene-{k:04d}_{end}.png" for end in (0, 1)]
        pairs.append(ImagePair(f"scene-{k:04d}", files[0], files[1], (ends[0].caption, ends[1].caption)))
    return PairsFound(f"rendered scenes of the seed {seed}", tuple(pairs), "the scenes")


def draw_scenes(found: PairsFound, seed: int) -> None:
    """Draw the pictures of all pairs of `scene_pairs` that are not there yet.

    Raises:
        OutputError: they cannot be written.
    """
    for pair, ends in zip(found.pairs, _scenes(len(found.pairs), seed), strict=True):
        if pair.a.is_file() and pair.b.is_file():
            continue
        try:
            pair.a.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise media.cannot_write(pair.a.parent, error) from error
        for file, picture in zip((pair.a, pair.b), render(ends), strict=True):
            media.write_png(picture, file)


def _scenes(count: int, seed: int) -> list[list[Scene]]:
    drawn, made = sample(2 * count, torch.Generator().manual_seed(SCENES_SEED + seed)), []
    for k, (a, b) in enumerate(zip(drawn[::2], drawn[1::2], strict=True)):
        there = b.solids[0]
        if k % 2 == 0:
            turn = math.remainder(there.rotation - a.solids[0].rotation, math.pi / 2)
            rotation = a.solids[0].rotation + turn
            b = Scene((replace(a.solids[0], x=there.x, y=there.y, rotation=rotation),))
        made.append([a, b])
    return made
