"""Does an isometric bottleneck help? The tuned model against the base and the control, on the same pairs of images.

    python examples/studies/isometry/helps.py --model clevr-mini --pairs 30 --lambdas 0.02 0.2 2 --seeds 0 1 2
    python examples/training/emoji_folder.py --out emoji-pictures
    python examples/studies/isometry/helps.py --model emoji-mini --data emoji-pictures --pairs 30
    python examples/studies/isometry/helps.py --quick

The models are the base, the control (`none`: the same steps without the loss) for each seed, and `iso` for each lambda
and seed. `table.py` with the same --models does not train them again. In each of them every pair of images is

- joined in noise along the great circle (tau 1), and by a density geodesic (`--tau`): how valid the middle frame is,
  the largest step between frames in clean latents as a share of the way, the solver's evaluations and residual;
- carried to noise and back in `--round-trip` steps: the mean squared error of the clean latents.

The middle frame is judged by the error of the scene that explains it best, or, for a model of other pictures (`--data`,
a folder), by its distance from the nearest picture of that folder. Each model and every ten pairs are on disk when they
are done, and a study that was stopped goes on. The table has means over pairs, and differences from the control pair by
pair with their standard errors: what lies within two of them is nothing.
"""

import argparse
import math
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from geodesic_cli import media
from geodesic_cli.diffusion import Embedding, LatentDiffusion, load
from geodesic_cli.frames.canvas import Canvas
from geodesic_cli.frames.journey import Journey, reconstruct
from geodesic_cli.frames.keyframes import conditions_for, embed_all
from geodesic_cli.frames.paths import Problem, clean_latents, positions
from geodesic_cli.scenes import fit_all, render
from geodesic_cli.verbs.finetune.data import read_folder
from geodesic_cli.verbs.latent.slerp import join

sys.path.append(str(Path(__file__).parents[1]))  # where shared.py is
from shared import HELD_OUT, kept, make_pairs
from tuning import tuned

SIDE = 16
"""Pictures are compared with those of a folder at this many pixels a side."""
COLUMNS = {
    "circle validity": "great circle: validity of the middle frame (low is good)",
    "circle jump": "great circle: largest step (low is good)",
    "geodesic validity": "geodesic: validity of the middle frame (low is good)",
    "geodesic jump": "geodesic: largest step (low is good)",
    "evaluations": "geodesic: score evaluations (low is good)",
    "residual": "geodesic: residual (low is good)",
    "round trip": "round trip: error of latents (low is good)",
}

LATER = ("out", "device", "models", "seeds", "lambdas")
"""Options that may be others when a study goes on: more seeds and lambdas add to it."""
TOGETHER = 10
"""Pairs that go through the network together, and are written together."""

Pair = tuple[Tensor, tuple[str, ...]]
"""Images (2, 3, side, side) and their captions."""
Judge = Callable[[Tensor], list[float]]
"""How far each picture (n, 3, h, w) is from anything valid."""


def models(options: argparse.Namespace) -> dict[str, tuple[str, float, int]]:
    """Regulariser, lambda and seed of each model; nothing for the base, which is looked at last."""
    rows: dict[str, tuple[str, float, int]] = {}
    for seed in options.seeds:
        rows[f"control-{seed}"] = ("none", 0.0, seed)
        for strength in options.lambdas:
            rows[f"iso-{strength:g}-{seed}"] = ("iso", strength, seed)
    return rows | {"base": ("", 0.0, 0)}


def pairs_of(options: argparse.Namespace, side: int) -> list[Pair]:
    """Pairs of images (2, 3, side, side) with their captions, the same for every model."""
    if options.data is None:
        pairs = make_pairs(options.pairs)
        return [(render(list(pair), side), tuple(scene.caption for scene in pair)) for pair in pairs]
    folder = read_folder(options.data, side, 0)  # with the captions that a training has
    order = torch.randperm(len(folder.paths), generator=torch.Generator().manual_seed(HELD_OUT)).tolist()
    if len(order) < 2 * options.pairs:
        raise SystemExit(f"{options.pairs} pairs take {2 * options.pairs} pictures; {options.data} has {len(order)}.")
    taken = zip(order[: 2 * options.pairs : 2], order[1 : 2 * options.pairs : 2], strict=True)

    def seen(k: int) -> Tensor:
        return media.read_image(folder.paths[k], size=(side, side))

    return [(torch.stack([seen(a), seen(b)]), (folder.captions[a], folder.captions[b])) for a, b in taken]


def judge_of(options: argparse.Namespace, side: int) -> Judge:
    """By the scene that explains a picture, or by the nearest picture of the folder."""
    if options.data is None:
        return lambda pictures: [fit.error for fit in fit_all(pictures)]
    files = media.image_files(Path(options.data), deep=True)[0][: options.gallery]
    shown = torch.stack([media.read_image(file, size=(side, side)) for file in files])
    known = adaptive_avg_pool2d(shown, SIDE).flatten(1)

    def nearest(pictures: Tensor) -> list[float]:
        found: list[float] = torch.cdist(adaptive_avg_pool2d(pictures, SIDE).flatten(1), known).amin(1).tolist()
        return found

    return nearest


def study(
    model: LatentDiffusion, pairs: Sequence[Pair], judge: Judge, options: argparse.Namespace
) -> dict[str, list[dict[str, float]]]:
    """Some pairs of images in one model, carried together."""
    prompts = tuple(caption for _, captions in pairs for caption in captions) if model.prompts.encoders else ()
    images = torch.cat([both for both, _ in pairs])
    each = conditions_for(model, prompts, len(images))
    around = Journey(model, Canvas.of(model, None), 1.0, options.round_trip)
    there = reconstruct(around, images, Embedding.cat(each))
    u = positions(options.frames)
    inner = u[1:-1]
    noise = [join(a, b, inner.float(), "slerp") for a, b in there.x.reshape(len(pairs), 2, -1)]
    told = [each[2 * k].lerp(each[2 * k + 1], inner) for k in range(len(pairs))]
    drawn = replace(around, steps=options.path_steps).down(torch.cat(noise), Embedding.cat(told)).cpu()
    ends = embed_all(model, images, each, options.tau, options.path_steps, 1.0)
    found: list[dict[str, float]] = []
    middles = []
    for k, between in enumerate(drawn.chunk(len(pairs))):
        leg = ends.leg(2 * k)
        problem = Problem.between(model, leg, bend=options.bend, alpha=None, nodes=17, guidance=1.0, seed=0)
        path = problem.geodesic("surrogate", tol=0.03, max_steps=40)
        bent = clean_latents(model, leg, path, u, options.path_steps, 1.0).cpu()
        row = {}
        for name, z in {"circle": torch.cat([leg.z[:1].cpu(), between, leg.z[1:].cpu()]), "geodesic": bent}.items():
            middles.append(z[len(z) // 2])
            row[f"{name} jump"] = float((z[1:] - z[:-1]).norm(dim=1).max() / (z[-1] - z[0]).norm())
        row["evaluations"] = float(path.solution.score_calls) if path.solution else 0.0
        row["residual"] = problem.measure(path).relative_residual
        row["round trip"] = float(there.latent_error[2 * k : 2 * k + 2].mean())
        found.append(row)
    valid = judge(around.decode(torch.stack(middles)))
    for row, circle, geodesic in zip(found, valid[::2], valid[1::2], strict=True):
        row |= {"circle validity": circle, "geodesic validity": geodesic}
    return {"pairs": found}


def told(values: Sequence[float], digits: int = 3) -> str:
    """A mean and its standard error."""
    spread = statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else 0.0
    return f"{statistics.mean(values):.{digits}g} ± {spread:.1g}"


def table(results: dict[str, list[dict[str, float]]], options: argparse.Namespace) -> str:
    """Means over pairs and seeds, and what each lambda changes against the control of the same seed, pair by pair."""
    kinds = ["base", "control", *(f"iso-{strength:g}" for strength in options.lambdas)]
    seeds = {kind: [seed for seed in options.seeds if f"{kind}-{seed}" in results] for kind in kinds}

    def runs(kind: str, some: Sequence[int], column: str) -> list[list[float]]:
        """For each seed one number a pair."""
        names = ["base"] if kind == "base" else [f"{kind}-{seed}" for seed in some]
        return [[one[column] for one in results[name]] for name in names]

    kinds = [kind for kind in kinds if seeds[kind] or kind in results]
    tuned_kinds = [kind for kind in kinds if kind not in ("base", "control")]
    lines = ["| | " + " | ".join(kinds) + " |", "|---" * (len(kinds) + 1) + "|"]
    for column, words in COLUMNS.items():
        cells = [told(list(map(statistics.mean, zip(*runs(kind, seeds[kind], column), strict=True)))) for kind in kinds]
        lines.append(f"| {words} | " + " | ".join(cells) + " |")
    lines += ["", "Difference from the control, pair by pair (negative is better):", ""]
    lines += ["| | " + " | ".join(tuned_kinds) + " |", "|---" * (len(tuned_kinds) + 1) + "|"]
    for column, words in COLUMNS.items():
        cells = []
        for kind in tuned_kinds:
            pairs = zip(runs(kind, seeds[kind], column), runs("control", seeds[kind], column), strict=True)
            cells.append(changed([[a - b for a, b in zip(*two, strict=True)] for two in pairs]))
        lines.append(f"| {words} | " + " | ".join(cells) + " |")
    counts = ", ".join(f"{kind} {len(seeds[kind])}" for kind in kinds if kind != "base")
    of = f"{options.pairs} pairs, seeds: {counts}; {options.steps} steps of {options.batch}"
    judge = "the error of the best scene" if options.data is None else "the distance from the nearest picture"
    return "\n".join([*lines, "", f"{options.model}: {of}, rate {options.rate:g}. Validity: {judge}.", ""])


def changed(apart: Sequence[Sequence[float]]) -> str:
    """Differences of each seed and pair: their mean with its error over pairs, and how many seeds agree on the sign."""
    mean = list(map(statistics.mean, zip(*apart, strict=True)))
    error = statistics.stdev(mean) / math.sqrt(len(mean)) if len(mean) > 1 else math.inf
    if abs(statistics.mean(mean)) <= 2 * error:
        return told(mean, 2) + ", nothing"
    agree = sum(statistics.mean(seed) * statistics.mean(mean) > 0 for seed in apart)
    return told(mean, 2) + f", {agree} of {len(apart)} seeds"


def main() -> None:
    """Tune and study what is not done yet, then write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="clevr-mini")
    parser.add_argument("--data", help="a folder of pictures, for a model of other pictures than scenes")
    parser.add_argument("--pairs", type=int, default=30)
    parser.add_argument("--lambdas", type=float, nargs="+", default=[0.02, 0.2, 2.0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rate", type=float, default=1e-4)
    parser.add_argument("--frames", type=int, default=9)
    parser.add_argument("--tau", type=float, default=0.4)
    parser.add_argument("--bend", type=float, default=2.0)
    parser.add_argument("--path-steps", type=int, default=10, help="network evaluations of a frame that is drawn")
    parser.add_argument("--round-trip", type=int, default=20, help="network evaluations each way")
    parser.add_argument("--gallery", type=int, default=500, help="pictures of the folder that frames are compared with")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--quick", action="store_true", help="one pair, one lambda, one seed, two steps: seconds")
    parser.add_argument("--out", type=Path, default=Path("helps"))
    parser.add_argument(
        "--models", type=Path, help="where tuned models are kept. Default: models in the folder of --out"
    )
    options = parser.parse_args()
    options.models = options.models or options.out / "models"
    if options.quick:
        options.pairs, options.lambdas, options.seeds, options.steps, options.batch = 1, [0.2], [0], 2, 2
        options.frames, options.round_trip, options.path_steps = 3, 4, 3
    options.out.mkdir(parents=True, exist_ok=True)
    asked = {key: str(value) for key, value in vars(options).items() if key not in LATER}
    if kept(options.out / "settings.json", lambda: asked) != asked:
        raise SystemExit(f"{options.out} holds a study with other settings. Pass another --out, or the same settings.")
    results: dict[str, list[dict[str, float]]] = {}
    for name, recipe in models(options).items():
        model = load(options.model, options.device, "fp32") if name == "base" else tuned(options, *recipe)[0]
        pairs, judge = pairs_of(options, model.image_size), judge_of(options, model.image_size)
        results[name] = []
        for first in range(0, len(pairs), TOGETHER):
            make = partial(study, model, pairs[first : first + TOGETHER], judge, options)
            results[name] += kept(options.out / f"{name}-{first:03d}.json", make)["pairs"]
        means = {column: statistics.mean(one[column] for one in results[name]) for column in COLUMNS}
        print(name, {column: f"{value:.3g}" for column, value in means.items()}, flush=True)
        (options.out / "table.md").write_text(table(results, options))  # of what there is
    print((options.out / "table.md").read_text())


if __name__ == "__main__":
    main()
