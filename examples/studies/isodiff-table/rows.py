"""The table of the isometry paper, a row for each model: FID of samples, PPL, mRTL, MCN, VoR and LS.

    python examples/studies/isodiff-table/rows.py clevr-mini runs/none runs/iso --samples 320 --out rows
    python examples/studies/isodiff-table/rows.py path/to/model runs/iso --real celeba --samples 10000 --steps 50 \\
        --ppl-pairs 50000 --ppl-eps 1e-4 --lpips --published --out rows

A model is a short name, a folder or a tuned model of `geodesic finetune`. The first one is what the others came from:
all are compared with the same images, by the same captions and from the same noise. Without `--real` the images are
rendered scenes that no training saw. `--real` is a folder in the layout of `geodesic finetune --data`.

Samples, images and rows are on disk as soon as they are made, and a run that was stopped goes on. A column that needs
weights that are not here is left empty, and the line below the table says which file it needs.
"""

import argparse
import json
import math
import sys
from functools import partial
from pathlib import Path
from typing import Any

import torch

from geodesic_cli import evaluate, isometry, media
from geodesic_cli.diffusion import LatentDiffusion, load
from geodesic_cli.errors import GeodesicError, InputError
from geodesic_cli.evaluation.ruler.protocols import PROTOCOLS
from geodesic_cli.frames.journey import conditions
from geodesic_cli.scenes import render, sample
from geodesic_cli.verbs.finetune.data import read_folder

sys.path.append(str(Path(__file__).parents[1]))  # where shared.py is
from shared import HELD_OUT, kept

AT_ONCE = 32
DISTANCES = {
    "fid_pooled": "FID",
    "kid": "KID x 1000",
    "frechet_efficientnet_lite0": "Fréchet, EfficientNet-Lite0",
    "kernel_efficientnet_lite0": "kernel x 1000, EfficientNet-Lite0",
}
OF_ISOMETRY = ("PPL", "mRTL", "MCN", "VoR", "spread", "its variance", "MCN published", "VoR published", "LS")
"""The spread takes the place of the first MCN and VoR where only some directions were looked at: it is no MCN."""


def rendered(folder: Path, count: int, side: int) -> Path:
    """A folder of rendered scenes with their captions."""
    folder.mkdir(parents=True, exist_ok=True)
    scenes = sample(count, torch.Generator().manual_seed(HELD_OUT))
    names = [f"{k:05d}.png" for k in range(count)]
    for name, scene in zip(names, scenes, strict=True):
        if not (folder / name).is_file():
            media.write_png(render([scene], side)[0], folder / name)
    lines = [json.dumps({"file_name": name, "text": s.caption}) for name, s in zip(names, scenes, strict=True)]
    with media.replacing(folder / "metadata.jsonl") as part:
        part.write_text("\n".join(lines) + "\n", "utf-8")
    return folder


def drawn(model: LatentDiffusion, folder: Path, captions: tuple[str, ...], options: argparse.Namespace) -> Path:
    """A folder of samples; the noise and the caption of each depend on its number alone."""
    folder.mkdir(parents=True, exist_ok=True)
    shape = model.latent_shape(model.image_size, model.image_size)
    missing = [k for k in range(options.samples) if not (folder / f"{k:05d}.png").is_file()]
    for first in range(0, len(missing), AT_ONCE):
        numbers = missing[first : first + AT_ONCE]
        chance = [torch.Generator().manual_seed(options.seed * options.samples + k) for k in numbers]
        noise = torch.stack([torch.randn(math.prod(shape), generator=each) for each in chance])
        told = tuple(captions[k % len(captions)] for k in numbers) if captions else ()
        condition = conditions(model, told, len(numbers))
        pictures = model.decode(model.generate(noise, shape, condition, options.steps), shape).cpu()
        for k, picture in zip(numbers, pictures, strict=True):
            media.write_png(picture, folder / f"{k:05d}.png")
    return folder


def row(name: str, real: Path, own: bool, options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """All that is known of one model."""
    model = load(name, device=options.device)
    found = read_folder(real, model.image_size, 0)
    captions = tuple(found.captions) if model.prompts.encoders and any(found.captions) else ()
    samples = drawn(model, folder / "samples" / Path(name).name, captions, options)
    weights = {"metric_weights": options.metric_weights, "device": options.device}
    scores = evaluate(samples=str(samples), real=str(real), protocol="isodiff", seed=options.seed, **weights).scores
    told: dict[str, Any] = {
        "numbers": {key: values[samples.name].value for key, values in scores.sets.items()},
        "lacking": dict(scores.lacking),
    }
    looked = isometry(
        model,
        data="scenes" if own else str(real),
        taus=options.taus,
        points=options.points,
        ppl_pairs=options.ppl_pairs,
        ppl_eps=options.ppl_eps,
        labels=options.labels,
        labelled=options.labelled,
        steps=options.steps,
        lpips=options.lpips,
        published=options.published,
        seed=options.seed,
        **weights,
    ).metrics["models"][0]
    levels = looked["levels"]
    whole = "riemannian" in levels[0]
    kinds = {"riemannian": ("MCN", "VoR")} if whole else {"spread": ("spread", "its variance")}
    kinds |= {"published": ("MCN published", "VoR published")} if options.published else {}
    told["numbers"]["mRTL"] = looked["mrtl"]
    for kind, heads in kinds.items():
        for head, key in zip(heads, ("mcn", "vor"), strict=True):
            told["numbers"][head] = sum(level[kind][key] for level in levels) / len(levels)
    told["directions"] = None if whole else levels[0]["spread"]["directions"]
    told["numbers"] |= {"LS": looked["ls"]["value"]} if "ls" in looked else {}
    if "ppl" in looked:
        told["numbers"]["PPL"] = looked["ppl"]["value"]
        told |= {"PPL error": looked["ppl"]["error"], "distance": looked["ppl"]["distance"]}
    return told


def table(rows: dict[str, dict[str, Any]], options: argparse.Namespace) -> str:
    """The rows as Markdown, and below them how they were made and what they lack."""
    known = [key for key in OF_ISOMETRY if any(key in told["numbers"] for told in rows.values())]
    lines = [
        f"| model | {' | '.join((*DISTANCES.values(), *known))} |",
        "|---" * (1 + len(DISTANCES) + len(known)) + "|",
    ]
    for name, told in rows.items():
        cells = {key: f"{told['numbers'][key]:.4g}" if key in told["numbers"] else "-" for key in (*DISTANCES, *known)}
        if "PPL" in told["numbers"]:
            cells["PPL"] += f" ± {told['PPL error']:.2g}"
        lines.append(f"| {Path(name).name} | {' | '.join(cells.values())} |")
    first = next(iter(rows.values()))
    lines += [
        "",
        f"Protocol isodiff ({PROTOCOLS['isodiff'].digest}): {options.samples} samples in {options.steps} steps.",
    ]
    if "distance" in first:
        lines += [f"PPL: {options.ppl_pairs} pairs, eps {options.ppl_eps:g}, distance: {first['distance']}."]
    lines += [f"mRTL, MCN, VoR: mean over tau {options.taus}, {options.points} points each."]
    if first["directions"] is not None:
        lines += [
            f"Spread: of {first['directions']} random directions, which is no condition number; it grows with them."
        ]
    lines += [f"Not measured: {DISTANCES[key]} {why}." for key, why in first["lacking"].items()]
    return "\n".join(lines)


def main() -> None:
    """Make the rows that are not there yet, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+")
    parser.add_argument("--real", type=Path, help="a folder of images; default: rendered scenes")
    parser.add_argument("--samples", type=int, default=320, help="of each model; the paper has 10000")
    parser.add_argument("--steps", type=int, default=20, help="from noise to a sample")
    parser.add_argument("--taus", default="0.6,1")
    parser.add_argument("--points", type=int, default=8)
    parser.add_argument("--ppl-pairs", type=int, default=64)
    parser.add_argument("--ppl-eps", type=float, default=0.1, help="the paper has 1e-4; see the study of isometry")
    parser.add_argument("--labels", help="other images for LS, as geodesic isometry takes them")
    parser.add_argument("--labelled", type=int, default=150)
    parser.add_argument("--published", action="store_true", help="MCN and VoR as in the authors' code, too")
    parser.add_argument("--lpips", action="store_true")
    parser.add_argument("--metric-weights")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("runs/isodiff-table"))
    options = parser.parse_args()
    names = [Path(name).name for name in options.models]
    if options.samples < 2 or len(set(names)) < len(names):
        raise InputError("Two samples or more are needed, and models whose last parts differ.", "Pass them so.")
    options.out.mkdir(parents=True, exist_ok=True)
    made_with = {key: str(value) for key, value in vars(options).items() if key not in ("models", "out", "device")}
    if kept(options.out / "settings.json", lambda: made_with) != made_with:
        raise InputError(f"{options.out} was begun with other settings.", "Pass another --out.")
    own = options.real is None
    side = load(options.models[0], device=options.device).image_size
    real = rendered(options.out / "real", options.samples, side) if own else options.real
    rows = {}
    for name in options.models:
        file = options.out / f"{Path(name).name}.json"
        rows[name] = kept(file, partial(row, name, real, own, options, options.out))
    text = table(rows, options)
    with media.replacing(options.out / "table.md") as part:
        part.write_text(text + "\n", "utf-8")
    print(text)


if __name__ == "__main__":
    try:
        main()
    except GeodesicError as error:
        sys.exit(f"Error: {error}")
