"""How far colours and shapes have drifted, against the truth: does `scenes.fit` find another one in the picture?

python examples/studies/clips/drift.py [--clips 12] [--seeds 11,5] [--out drift]

Motions as in `continuation.py`, and a third as many of things that move 0.2 units a frame, each continued by 4 frames
in three ways without a prompt. Of the made frames +2 and +4 are fitted; the true next frames are not, their scenes are
known. Each clip is on disk when it is done, and is not computed again.
"""

import argparse
import math
import sys
from collections import defaultdict
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from continuation import GIVEN, MADE, METHODS, Motion, motions
from torch import Generator, Tensor

from geodesic_cli.diffusion import LatentDiffusion, load
from geodesic_cli.evaluation.drift import colour_drift, shape_drift
from geodesic_cli.scenes import Scene, fit_all, render, sample
from geodesic_cli.settings.extrapolate import DRIFT

sys.path.append(str(Path(__file__).parents[1]))  # where shared.py is
from shared import kept

WAYS = ("ray", "straight", "linear at tau 0.4")
CONTEXT = 3
"""Known frames that `geodesic extrapolate` looks at."""
WHOLE = 0.25
"""A picture with a larger fit error is no scene; that of the true frames is 0.10."""


def fast_motions(count: int, seed: int) -> list[Motion]:
    """Things that cross the picture by 0.2 units a frame."""
    generator = Generator().manual_seed(seed)
    made = []
    for _ in range(count):
        solid = sample(1, generator)[0].solids[0]
        step = 0.2 if solid.x < 0 else -0.2
        begin = -math.copysign(1.35, step)
        scenes = [Scene((replace(solid, x=begin + step * k),)) for k in range(GIVEN + MADE)]
        made.append(Motion("fast", scenes, render(scenes)))
    return made


def judged(model: LatentDiffusion, clip: Motion) -> dict[str, list[list[float]]]:
    """The drift of colours and that of shapes of each frame that was looked at, by what is true of it."""
    solid = clip.scenes[0].solids[0]
    redrawn = model.decode(model.encode(clip.pictures), model.latent_shape(64, 64)).cpu()
    reference, known = redrawn[GIVEN - 1], redrawn[GIVEN - CONTEXT : GIVEN - 1]
    found: dict[str, list[list[float]]] = defaultdict(list)

    def drifts(frames: Tensor) -> list[list[float]]:
        both = [of(frames, reference, known) for of in (colour_drift, shape_drift)]
        rows: list[list[float]] = torch.stack(both, 1).tolist()
        return rows

    found["the true next frame"] += drifts(redrawn[GIVEN:])
    for way in WAYS:
        frames, _ = METHODS[way](model, clip)
        drift = drifts(frames)
        for k, one in zip((1, 3), fit_all(frames[[1, 3]]), strict=True):
            there = one.scene.solids[0]
            lost = [] if there.colour == solid.colour or clip.kind == "colour" else ["colour"]
            lost += [] if there.shape == solid.shape else ["shape"]
            lost += ["whole"] if one.error > WHOLE else []
            found["lost: " + ", ".join(lost) if lost else "whole, of the right colour and shape"].append(drift[k])
    return dict(found)


def main() -> None:
    """A row for each truth: how many frames, how many are marked, and the least, middle and largest drifts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=12)
    parser.add_argument("--seeds", default="11,5", help="Of the motions and of the fast ones.")
    parser.add_argument("--out", type=Path, default=Path("drift"))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    model = load("clevr-mini")
    all_found: dict[str, list[list[float]]] = defaultdict(list)
    seeds = [int(seed) for seed in options.seeds.split(",")]
    clips = motions(options.clips, seeds[0]) + fast_motions(options.clips // 3, seeds[1])
    for k, clip in enumerate(clips):
        one: dict[str, Any] = kept(options.out / f"{k:03d}.json", partial(judged, model, clip))
        for truth, drifts in one.items():
            all_found[truth] += drifts
    for truth, drifts in sorted(all_found.items()):
        each = torch.tensor(drifts, dtype=torch.float64)
        spans = each.quantile(torch.tensor([0.0, 0.5, 1.0], dtype=torch.float64), dim=0).T.tolist()
        marked = [int((part > DRIFT).sum()) for part in (*each.T, each.amax(1))]
        told = " | ".join(f"{low:.2f} {middle:.2f} {high:.2f}" for low, middle, high in spans)
        print(f"{truth} | {len(each)} | {told} | {marked[0]} | {marked[1]} | {marked[2]}")


if __name__ == "__main__":
    main()
