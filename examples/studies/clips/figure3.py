"""Fig. 3 on clevr-mini: is smooth motion a geodesic, and are a jump and a turn back told from it?

python examples/studies/clips/figure3.py [--clips 32] [--out figure3] [--settings ridge flow ...]

Every clip is rendered three times: moving smoothly, with a jump (the same ends and number of frames, the middle left
out), and there and back. Each clip is on disk when it is done, and is not computed again; --table prints the tables of
what is there.
"""

import argparse
import json
import math
import sys
from collections import Counter
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import torch
from torch import Tensor

from geodesic_cli.diffusion import LatentDiffusion, load
from geodesic_cli.scenes import SHAPES, Scene, motion, render, sample
from geodesic_cli.verbs.video_analyze.run import video_analyze

sys.path.append(str(Path(__file__).parents[1]))  # where shared.py is
from shared import kept

KINDS = ("roll", "turn", "grow", "colour")
SETTINGS: dict[str, dict[str, Any]] = {
    "ridge": {},
    "ridge, denoised by 1": {"denoise": 1.0},
    "ridge, alpha 0.01": {"alpha": 0.01},
    "ridge, alpha 0.1": {"alpha": 0.1},
    "ridge, tau 0.4": {"tau": 0.4},
    "smooth bumps": {"waves": 3, "noise": 2.0},
    "flow": {"embedding": "flow"},
    "flow, tau 0.4": {"embedding": "flow", "tau": 0.4},
    "flow, tau 0.4, denoised by 2": {"embedding": "flow", "tau": 0.4, "denoise": 2.0},
}


def pictures(kind: str, start: Scene, positions: list[float]) -> Tensor:
    """The clip with the motion carried to the given fractions of its whole."""
    fine = 241
    if kind == "colour":
        other = replace(start.solids[0], colour="yellow" if start.solids[0].colour != "yellow" else "purple")
        a, b = render([start, Scene((other,))], subsamples=6)
        return torch.stack([torch.lerp(a, b, u) for u in positions])
    name, amount = {
        "roll": ("translation", 1.6 if start.solids[0].x < 0 else -1.6),
        "turn": ("rotation", 0.8),
        "grow": ("growth", 0.5),
    }[kind]
    scenes = list(motion(name, start, fine, amount))
    return render([scenes[round(u * (fine - 1))] for u in positions], subsamples=6)


def scene(index: int, kind: str) -> Scene:
    """A scene that the motion keeps in view, different for every clip."""
    generator = torch.Generator().manual_seed(1000 + index)
    solid = sample(1, generator)[0].solids[0]
    shape = "cube" if kind == "turn" else SHAPES[index // len(KINDS) % 3]
    size = 0.5 if kind == "grow" else solid.size
    x = math.copysign(0.6 + 0.3 * abs(solid.x) / 1.45, solid.x) if kind == "roll" else 0.5 * solid.x
    return Scene((replace(solid, shape=shape, size=size, x=x, y=0.5 * solid.y),))


def clips(index: int, frames: int = 17) -> tuple[str, dict[str, Tensor], int]:
    """The kind of motion, the three clips, and the frame before the jump."""
    kind = KINDS[index % len(KINDS)]
    start = scene(index, kind)
    even = [k / (frames - 1) for k in range(frames)]
    before = 4 + index % 9  # frames before the jump, so that it is not always in the middle
    first = [0.3 * k / (before - 1) for k in range(before)]
    second = [1 - 0.3 * k / (frames - before - 1) for k in range(frames - before)][::-1]
    back = [1 - abs(2 * u - 1) for u in even]
    made = {"smooth": even, "jump": first + second, "back": back}
    return kind, {name: pictures(kind, start, where) for name, where in made.items()}, before - 1


def folder(name: str, out: Path) -> Path:
    """Where the records of a setting are."""
    return out / name.replace(", ", "-").replace(" ", "_")


def record(model: LatentDiffusion, name: str, index: int) -> dict[str, Any]:
    """The smooth clip, the jump and the way there and back of one number, analysed under a setting."""
    kind, films, jump = clips(index)
    line: dict[str, Any] = {"index": index, "kind": kind, "jump after": jump}
    for which, film in films.items():
        # Of the other two only the clip's own path is looked at: their rivals are not worth the time.
        quick: dict[str, Any] = {} if which == "smooth" else {"max_steps": 1, "draws": 1}
        found = video_analyze(film, model=model, device="cpu", **SETTINGS[name], **quick)
        line[which] = {key: value for key, value in found.metrics.items() if key != "windows"}
    return line


def measure(count: int, names: list[str], out: Path) -> None:
    """Analyse all clips under the settings of these names; what is on disk already is not done again."""
    model = load("clevr-mini", device="cpu")
    for name in names:
        folder(name, out).mkdir(parents=True, exist_ok=True)
        for index in range(count):
            line = kept(folder(name, out) / f"{index:03d}.json", partial(record, model, name, index))
            print(name, index, line["kind"], line["smooth"]["grade"], flush=True)


def table(names: list[str], out: Path) -> None:
    """Print what the records hold."""
    for name in names:
        lines = [json.loads(file.read_text()) for file in sorted(folder(name, out).glob("*.json"))]
        if not lines:
            continue
        smooth = [line["smooth"] for line in lines]
        print(f"\n{name}: {len(lines)} clips, alpha {fmean(one['alpha'] for one in smooth):.4f} on average")
        for kind in KINDS:
            mine = [one["ratios"] for one, line in zip(smooth, lines, strict=True) if line["kind"] == kind]
            words = (
                ", ".join(f"{other} {fmean(one[other] for one in mine):.2f}" for other in mine[0]) if mine else "none"
            )
            print(f"  {kind:6s} clip's gradient over that of: {words}")
        for path_name in ("clip", "optimised", "perturbed", "smoothed", "straight"):
            values = [one["gradient_norm"][path_name] for one in smooth if path_name in one["gradient_norm"]]
            print(f"  gradient norm {path_name:10s} {fmean(values):.3f} +- {stdev(values):.3f}")
        ratio = {other: [one["ratios"][other] for one in smooth] for other in smooth[0]["ratios"]}
        share = {
            "(i) at most half of the perturbed": [value <= 0.5 for value in ratio["perturbed"]],
            "(ii) at most 3 times the optimised": [value <= 3 for value in ratio["optimised"]],
            "(iii) below the perturbed": [value < 1 for value in ratio["perturbed"]],
            "(iii) below the smoothed": [value < 1 for value in ratio["smoothed"]],
            "      below the straight": [value < 1 for value in ratio["straight"]],
            "cosine above 0": [one["alignment"]["mean"] > 0 for one in smooth],
            "p of the cosine < 0.05": [one["alignment"]["p_shuffled"] < 0.05 for one in smooth],
            "jump departs more than smooth": [_departs(line, "jump") for line in lines],
            "turn back departs more than smooth": [_departs(line, "back") for line in lines],
            "jump has the larger gradient": [_steeper(line, "jump") for line in lines],
            "turn back has the larger gradient": [_steeper(line, "back") for line in lines],
            "jump found within one frame": [
                abs(line["jump"]["worst_segment"]["first"] - line["jump after"]) <= 1 for line in lines
            ],
            "jump called a jump": [line["jump"]["worst_segment"]["kind"] == "jump" for line in lines],
            "turn back called one, at its frame": [
                line["back"]["worst_segment"]["kind"] == "turn back"
                and abs(line["back"]["worst_segment"]["frame"] - 8) <= 1
                for line in lines
            ],
            "smooth called neither": [line["smooth"]["worst_segment"]["kind"] == "bend" for line in lines],
        }
        for words, values in share.items():
            print(f"  {words:36s} {sum(values)} of {len(values)}")
        print(f"  grades: {Counter(one['grade'] for one in smooth)}")


def _departs(line: dict[str, Any], which: str) -> bool:
    return line[which]["departure"] > line["smooth"]["departure"]


def _steeper(line: dict[str, Any], which: str) -> bool:
    return line[which]["gradient_norm"]["clip"] > line["smooth"]["gradient_norm"]["clip"]


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--clips", type=int, default=32)
    parser.add_argument("--out", type=Path, default=Path("figure3"))
    parser.add_argument("--settings", nargs="*", default=list(SETTINGS))
    parser.add_argument("--table", action="store_true")
    arguments = parser.parse_args()
    if not arguments.table:
        measure(arguments.clips, arguments.settings, arguments.out)
    table(arguments.settings, arguments.out)
