"""How well a sequence is continued, on rendered motions whose true next frames are known.

python examples/studies/clips/continuation.py [--clips 30] [--out extrapolation] [--only "ray;linear"]

Of each clip of uniform motion (three in five move, one changes its size, one its colour) 8 frames are given and 4 are
made. No network judges them: `scenes.fit` finds the scene in each picture. Each method is on disk when it is done, so
a run may be stopped and repeated.
"""

import argparse
import math
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import torch
from torch import Generator, Tensor

from geodesic_cli import extrapolate
from geodesic_cli.diffusion import LatentDiffusion, load
from geodesic_cli.media import sheet, write_png
from geodesic_cli.scenes import COLOURS, Scene, fit_all, render, sample

sys.path.append(str(Path(__file__).parents[1]))  # where shared.py is
from shared import kept

GIVEN, MADE = 8, 4


@dataclass(frozen=True, eq=False)
class Motion:
    """A rendered clip: what changes in it, its scenes, and its pictures (12, 3, 64, 64)."""

    kind: str
    scenes: list[Scene]
    pictures: Tensor

    @property
    def given(self) -> Tensor:
        """The frames that a method sees."""
        return self.pictures[:GIVEN]

    @property
    def prompt(self) -> str:
        """What is in all of the pictures: a colour that changes is not."""
        solid = self.scenes[0].solids[0]
        return f"a {solid.material} {solid.shape}" if self.kind == "colour" else self.scenes[0].caption


Frames = Callable[[LatentDiffusion, Motion], tuple[Tensor, int]]
"""The given frames of a clip to new ones (4, 3, h, w), and how many were made; the last one fills the rest."""


def motions(count: int, seed: int) -> list[Motion]:
    """Uniform motions within the ranges that the model was trained on."""
    generator = Generator().manual_seed(seed)

    def uniform(low: float, high: float) -> float:
        return low + (high - low) * float(torch.rand((), generator=generator))

    def either() -> int:
        return 1 if uniform(0, 1) < 0.5 else -1

    made: list[Motion] = []
    whole = GIVEN + MADE
    while len(made) < count:
        kind = ("position", "position", "position", "size", "colour")[len(made) % 5]
        solid = sample(1, generator)[0].solids[0]
        dx, dy, rate = either() * uniform(0.05, 0.15), uniform(-0.08, 0.08), either() * uniform(0.015, 0.035)
        other = list(COLOURS)[int(torch.randint(len(COLOURS), (), generator=generator))]
        end = replace(solid, x=solid.x + dx * (whole - 1), y=solid.y + dy * (whole - 1))
        if kind == "position" and -1.4 < end.x < 1.4 and -1.05 < end.y < 1.35:
            scenes = [Scene((replace(solid, x=solid.x + dx * k, y=solid.y + dy * k),)) for k in range(whole)]
            made.append(Motion(kind, scenes, render(scenes)))
        elif kind == "size" and 0.5 < solid.size * math.exp(rate * (whole - 1)) < 0.85:
            scenes = [Scene((replace(solid, size=solid.size * math.exp(rate * k)),)) for k in range(whole)]
            made.append(Motion(kind, scenes, render(scenes)))
        elif kind == "colour" and other != solid.colour:
            u = torch.linspace(0, 1, whole)[:, None, None, None]  # the renderer is affine in a colour
            a, b = render([Scene((solid,)), Scene((replace(solid, colour=other),))])
            made.append(Motion(kind, [Scene((solid,))] * whole, (1 - u) * a + u * b))
    return made


def repeat(model: LatentDiffusion, clip: Motion) -> tuple[Tensor, int]:
    """The last frame again and again."""
    return clip.given[-1:].expand(MADE, -1, -1, -1), MADE


def linear(model: LatentDiffusion, clip: Motion) -> tuple[Tensor, int]:
    """The last step of the clean latents again and again."""
    z = model.encode(clip.given[-2:])
    ahead = torch.arange(1, MADE + 1)[:, None]
    return model.decode(z[1] + ahead * (z[1] - z[0]), model.latent_shape(64, 64)).cpu(), MADE


def ray(prompted: bool = False, **options: Any) -> Frames:
    """`geodesic extrapolate` with these settings."""

    def follow(model: LatentDiffusion, clip: Motion) -> tuple[Tensor, int]:
        told = options | ({"prompt": clip.prompt} if prompted else {})
        result = extrapolate(clip.given, model=model, frames=MADE, **told)
        new = result.frames[result.known[1] :]
        count = len(new)
        return torch.cat([new, result.frames[-1:].expand(MADE - count, -1, -1, -1)]), count

    return follow


METHODS: dict[str, Frames] = {
    "repeat": repeat,
    "linear": linear,
    "linear at tau 0.4": ray(embedding="flow", tau=0.4, guide=0.0, context=2, order=1, max_drop=1e9),
    "geodesic": ray(guide=-5.0, max_drop=1e9),
    "straight": ray(guide=0.0, max_drop=1e9),
    "ray": ray(max_drop=1e9),
    "ray, prompt": ray(prompted=True, max_drop=1e9),
}


def judge(clips: list[Motion], frames: Tensor) -> dict[str, object]:
    """Frames (n, 4, 3, h, w) against the true scenes: for each of the 4 the mean and its standard error."""
    still = torch.equal(frames, frames[:, :1].expand_as(frames))
    fits = [one for one in fit_all(frames[:, 0]) for _ in range(MADE)] if still else fit_all(frames.flatten(0, 1))
    rows: dict[str, list[list[float]]] = {
        "fit_error": [],
        "position": [],
        "shape_kept": [],
        "colour_kept": [],
        "psnr": [],
    }
    for i, clip in enumerate(clips):
        here = fits[i * MADE : (i + 1) * MADE]
        true = [scene.solids[0] for scene in clip.scenes[GIVEN:]]
        found = [one.scene.solids[0] for one in here]
        rows["fit_error"].append([one.error for one in here])
        if clip.kind == "position":
            rows["position"].append([math.dist((a.x, a.y), (b.x, b.y)) for a, b in zip(found, true, strict=True)])
        rows["shape_kept"].append([float(a.shape == b.shape) for a, b in zip(found, true, strict=True)])
        if clip.kind != "colour":
            rows["colour_kept"].append([float(a.colour == b.colour) for a, b in zip(found, true, strict=True)])
        error = (frames[i] - clip.pictures[GIVEN:]).square().flatten(1).mean(1)
        rows["psnr"].append((-10 * error.clamp(min=1e-9).log10()).tolist())
    result: dict[str, object] = {key: [_mean(column) for column in zip(*row, strict=True)] for key, row in rows.items()}
    return result | {"errors": rows["fit_error"]}


def valid(errors: list[list[float]], reference: list[list[float]]) -> tuple[float, float]:
    """How many frames pass before one whose fit error is over twice that of the true frame's reconstruction."""
    counts = [
        next((float(k) for k, (error, least) in enumerate(zip(*pair, strict=True)) if error > 2 * least), float(MADE))
        for pair in zip(errors, reference, strict=True)
    ]
    return _mean(counts)


def _mean(values: list[float] | tuple[float, ...]) -> tuple[float, float]:
    return fmean(values), stdev(values) / math.sqrt(len(values)) if len(values) > 1 else math.nan


def main() -> None:
    """Every method on every clip, one table, and a sheet of the first clips."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=30)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--out", type=Path, default=Path("extrapolation"))
    parser.add_argument("--only", default=";".join(METHODS))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    model = load("clevr-mini")
    clips = motions(options.clips, options.seed)
    true = torch.stack([clip.pictures[GIVEN:] for clip in clips])
    shape = model.latent_shape(64, 64)
    back = model.decode(model.encode(true.flatten(0, 1)), shape).cpu().reshape(true.shape)
    reference = kept(options.out / "reconstruction.json", partial(judge, clips, back))["errors"]
    rows = {"truth": true, "reconstruction": back}
    for name in options.only.split(";"):
        made = [METHODS[name](model, clip) for clip in clips]
        rows[name] = torch.stack([frames for frames, _ in made])
        file = options.out / f"{name.replace(', ', '-').replace(' ', '_')}.json"
        one = kept(file, partial(judge, clips, rows[name]))
        cells = [
            " ".join(f"{mean:.3f}±{error:.3f}" for mean, error in one[key]) for key in ("position", "fit_error", "psnr")
        ]
        same = [" ".join(f"{mean:.2f}" for mean, _ in one[key]) for key in ("shape_kept", "colour_kept")]
        good = valid(one["errors"], reference)
        new = fmean(count for _, count in made)
        print(f"{name} | {' | '.join(cells + same)} | valid {good[0]:.2f}±{good[1]:.2f} of {new:.2f}", flush=True)
    for k in range(min(5, len(clips))):
        known = clips[k].pictures[GIVEN - 4 : GIVEN]
        strips = [torch.cat([known, frames[k]]) for frames in rows.values()]
        write_png(sheet(strips, list(rows)), options.out / f"{k}-{clips[k].kind}.png")


if __name__ == "__main__":
    main()
