"""Does an isometric bottleneck help? The tuned model against the base and the control, on the same pairs of images.

    python examples/studies/isometry/helps.py --model clevr-mini --pairs 30 --lambdas 0.02 0.2 2 --seeds 0 1 2
    python examples/training/emoji_folder.py --out emoji-pictures
    python examples/studies/isometry/helps.py --model emoji-mini --data emoji-pictures --pairs 30
    python examples/studies/isometry/helps.py --quick

The models are the base, the control (`none`: the same steps without the loss) for each seed, and `iso` for each lambda
and seed. In each of them every pair of images is

- joined in noise along the great circle (tau 1), and by a density geodesic (`--tau`): how valid the inner frames are,
  the largest step between frames in clean latents as a share of the way, the solver's evaluations and residual;
- carried to noise and back in `--round-trip` steps: the mean squared error of the clean latents.

Frames are judged by the error of the scene that explains them best, or, for a model of other pictures (`--data`, a
folder), by their distance from the nearest picture of that folder beside that of the two ends. Each model and each pair
is on disk when it is done, and a study that was stopped goes on. The table has means over pairs, and differences from
the control pair by pair with their standard errors: what lies within two of them is nothing.
"""

import argparse
import math
import statistics
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from geodesic_cli import media
from geodesic_cli.diffusion import LatentDiffusion, load
from geodesic_cli.frames.canvas import Canvas
from geodesic_cli.frames.journey import Journey, conditions, reconstruct
from geodesic_cli.frames.keyframes import embed
from geodesic_cli.frames.paths import Problem, clean_latents, positions
from geodesic_cli.scenes import fit_all, render
from geodesic_cli.verbs.finetune.data import read_folder
from geodesic_cli.verbs.finetune.run import finetune
from geodesic_cli.verbs.latent.slerp import join

sys.path.append(str(Path(__file__).parents[1]))  # where shared.py is
from shared import HELD_OUT, kept, make_pairs

SIDE = 16
"""Pictures are compared with those of a folder at this many pixels a side."""
COLUMNS = {
    "circle validity": "great circle: validity of frames (low is good)",
    "circle jump": "great circle: largest step (low is good)",
    "geodesic validity": "geodesic: validity of frames (low is good)",
    "geodesic jump": "geodesic: largest step (low is good)",
    "evaluations": "geodesic: score evaluations (low is good)",
    "residual": "geodesic: residual (low is good)",
    "round trip": "round trip: error of latents (low is good)",
}

Judge = Callable[[Tensor], list[float]]
"""How far each picture (n, 3, h, w) is from anything valid."""


def models(options: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """The rows of the table: what each model is tuned with; the base with nothing."""
    rows: dict[str, dict[str, Any]] = {"base": {}}
    for seed in options.seeds:
        rows[f"control-{seed}"] = {"regulariser": "none", "seed": seed}
        for strength in options.lambdas:
            rows[f"iso-{strength:g}-{seed}"] = {"regulariser": "iso", "iso_lambda": strength, "seed": seed}
    return rows


def model_of(name: str, more: dict[str, Any], options: argparse.Namespace) -> LatentDiffusion:
    """The model of a row, tuned first where it is not on disk."""
    if not more:
        return load(options.model, options.device, "fp32")
    folder = options.out / "models" / name
    if not (folder / "model_index.json").is_file():
        tuned = finetune(
            options.model,
            data=options.data or "scenes",
            max_train_steps=options.steps,
            train_batch_size=options.batch,
            learning_rate=options.rate,
            device=options.device,
            **more,
        )
        tuned.save(folder, overwrite=True)
    return load(str(folder), options.device, "fp32")


def pairs_of(options: argparse.Namespace, side: int) -> list[tuple[Tensor, tuple[str, ...]]]:
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
    model: LatentDiffusion, pair: tuple[Tensor, tuple[str, ...]], judge: Judge, options: argparse.Namespace
) -> dict[str, float]:
    """One pair of images in one model."""
    images, captions = pair
    prompts = captions if model.prompts.encoders else ()
    canvas = Canvas.of(model, None)
    condition = conditions(model, prompts, 2)
    u = positions(options.frames)

    def judged(z: Tensor, ends: Tensor) -> tuple[float, float]:
        frames = model.decode(z, canvas_shape).cpu()
        jump = float((z[1:] - z[:-1]).norm(dim=1).max() / (ends[1] - ends[0]).norm())
        return statistics.mean(judge(frames[1:-1])), jump

    around = Journey(model, canvas, 1.0, options.round_trip)
    canvas_shape = around.shape
    there = reconstruct(around, images, condition)
    x = join(there.x[0], there.x[1], u.float(), "slerp")
    z = around.down(x, condition[0].lerp(condition[1], u.double()))
    circle = judged(z.cpu(), there.z)
    ends = embed(model, images, prompts, options.tau, options.round_trip)
    problem = Problem.between(model, ends, bend=options.bend, alpha=None, nodes=17, guidance=1.0, seed=0)
    path = problem.geodesic("surrogate", tol=0.03, max_steps=40)
    solved = path.solution
    bent = judged(clean_latents(model, ends, path, u, options.round_trip, 1.0).cpu(), ends.z.cpu())
    return {
        "circle validity": circle[0],
        "circle jump": circle[1],
        "geodesic validity": bent[0],
        "geodesic jump": bent[1],
        "evaluations": float(solved.score_calls) if solved else 0.0,
        "residual": problem.measure(path).relative_residual,
        "round trip": float(there.latent_error.mean()),
    }


def told(values: Sequence[float], digits: int = 3) -> str:
    """A mean and its standard error."""
    spread = statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else 0.0
    return f"{statistics.mean(values):.{digits}g} ± {spread:.1g}"


def table(results: dict[str, list[dict[str, float]]], options: argparse.Namespace) -> str:
    """Means over pairs, and what each lambda changes against the control of the same seed, pair by pair."""
    kinds = ["base", "control", *(f"iso-{strength:g}" for strength in options.lambdas)]
    rows = {kind: [name for name in results if name == kind or name.rsplit("-", 1)[0] == kind] for kind in kinds}

    def each(kind: str, column: str) -> list[float]:
        """One number a pair: the mean over seeds."""
        runs = [results[name] for name in rows[kind]]
        return [statistics.mean(run[k][column] for run in runs) for k in range(len(runs[0]))]

    lines = ["| | " + " | ".join(kinds) + " |", "|---" * (len(kinds) + 1) + "|"]
    for column, words in COLUMNS.items():
        lines.append(f"| {words} | " + " | ".join(told(each(kind, column)) for kind in kinds) + " |")
    lines += ["", "Difference from the control, pair by pair (negative is better):", ""]
    lines += ["| | " + " | ".join(kinds[2:]) + " |", "|---" * (len(kinds) - 1) + "|"]
    for column, words in COLUMNS.items():
        cells = []
        for kind in kinds[2:]:
            apart = [a - b for a, b in zip(each(kind, column), each("control", column), strict=True)]
            error = statistics.stdev(apart) / math.sqrt(len(apart)) if len(apart) > 1 else math.inf
            cells.append(told(apart, 2) + ("" if abs(statistics.mean(apart)) > 2 * error else ", nothing"))
        lines.append(f"| {words} | " + " | ".join(cells) + " |")
    of = f"{options.pairs} pairs, {len(options.seeds)} seeds, {options.steps} steps of {options.batch}"
    judge = "the error of the best scene" if options.data is None else "the distance from the nearest picture"
    return "\n".join([*lines, "", f"{options.model}: {of}, rate {options.rate:g}. Validity: {judge}.", ""])


def main() -> None:
    """Tune and study what is not done yet, then write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="clevr-mini")
    parser.add_argument("--data", help="a folder of pictures, for a model of other pictures than scenes")
    parser.add_argument("--pairs", type=int, default=30)
    parser.add_argument("--lambdas", type=float, nargs="+", default=[0.02, 0.2, 2.0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rate", type=float, default=5e-5)
    parser.add_argument("--frames", type=int, default=9)
    parser.add_argument("--tau", type=float, default=0.4)
    parser.add_argument("--bend", type=float, default=2.0)
    parser.add_argument("--round-trip", type=int, default=20, help="network evaluations each way")
    parser.add_argument("--gallery", type=int, default=500, help="pictures of the folder that frames are compared with")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--quick", action="store_true", help="one pair, one lambda, one seed, two steps: seconds")
    parser.add_argument("--out", type=Path, default=Path("helps"))
    options = parser.parse_args()
    if options.quick:
        options.pairs, options.lambdas, options.seeds, options.steps, options.batch = 1, [0.2], [0], 2, 2
        options.frames, options.round_trip = 3, 4
    options.out.mkdir(parents=True, exist_ok=True)
    asked = {key: str(value) for key, value in vars(options).items() if key not in ("out", "device")}
    if kept(options.out / "settings.json", lambda: asked) != asked:
        raise SystemExit(f"{options.out} holds a study with other settings. Pass another --out, or the same settings.")
    results: dict[str, list[dict[str, float]]] = {}
    for name, more in models(options).items():
        model = model_of(name, more, options)
        pairs, judge = pairs_of(options, model.image_size), judge_of(options, model.image_size)
        results[name] = [
            kept(options.out / f"{name}-{k:03d}.json", partial(study, model, pair, judge, options))
            for k, pair in enumerate(pairs)
        ]
        means = {column: statistics.mean(one[column] for one in results[name]) for column in COLUMNS}
        print(name, {column: f"{value:.3g}" for column, value in means.items()}, flush=True)
    text = table(results, options)
    (options.out / "table.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
