"""Five rows from one start with equal steps: no tuning, tuning without a regulariser, and with each of the three.

    python examples/studies/isometry/table.py --model clevr-mini --seeds 0 1 2 --out table
    python examples/studies/isometry/table.py --model scenes-ddpm --jacobian projected --seeds 0 1 2 --out table
    python examples/studies/isometry/table.py --model emoji-mini --data emoji-pictures --jacobian projected

`emoji_folder.py` in examples/training writes the pictures of `emoji-mini`, with captions.

The shape of the tables of Hahm et al. (ICML 2024), with the row that they lack: `none`, the same steps without a
regulariser. Everything is measured on scenes that no training saw, or, with `--data`, on pictures of the folder that
the training saw, too, without prompts but for the samples; always with the same noise for each row. The regularisers
may have weights of their own. The denoising loss is given in relation to that before the training, on the same
examples and noise. Each row is written as soon as it is known, and known rows are not computed again.
"""

import argparse
import math
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from geodesic_cli.diffusion import LatentDiffusion, load
from geodesic_cli.evaluation import frechet
from geodesic_cli.evaluation.likeness import likeness
from geodesic_cli.frames.canvas import Canvas
from geodesic_cli.frames.journey import Journey, conditions, reconstruct
from geodesic_cli.media import sheet, write_png
from geodesic_cli.scenes import render, sample
from geodesic_cli.verbs.finetune.data import HELD_OUT as APART
from geodesic_cli.verbs.finetune.data import read_folder
from geodesic_cli.verbs.finetune.deck import generator
from geodesic_cli.verbs.isometry.run import isometry

sys.path.append(str(Path(__file__).parents[1]))  # where shared.py is
from shared import HELD_OUT, kept
from tuning import tuned

ROWS = ("pretrained", "none", "path-length", "iso-euclidean", "iso")
COLUMNS = (
    *("denoising", "FD", "PPL", "mRTL", "MCN", "VoR", "MCN pooled", "VoR pooled", "MCN published", "VoR published"),
    *("LS", "MSE", "PSNR", "SSIM", "L", "kept"),
)
LEGEND = """FD: Fréchet distance of samples from as many {what}, features: {features} (not FID).
PPL: StyleGAN form, eps {eps:g}, {pairs} pairs, distance: {distance}.
mRTL, MCN, VoR, L: mean over the noise levels {taus}; MCN and VoR of G = JᵀJ on the tangent space: {jacobian};
pooled: singular values of J of h averaged over its pixels; published: as in the authors' code. Kept: what is left of
the strongest derivative over 0.1 rad. LS: linear separability of {separated} in noise. MSE, PSNR, SSIM: DDIM inversion
to tau 1 and back, {inverted} images. Denoising: loss after the training as a share of that before it."""


@dataclass(frozen=True, eq=False)
class Shown:
    """What a model is judged by: images (n, 3, h, w), and their captions, none for a model without text."""

    images: Tensor
    captions: tuple[str, ...]


def shown_to(model: LatentDiffusion, options: argparse.Namespace) -> Shown:
    """Held-out scenes, or pictures of the folder, the same for every row."""
    speaks, side = bool(model.prompts.encoders), model.image_size
    if options.data is None:
        scenes = sample(options.samples, generator(options.judge_seed, APART))
        return Shown(render(scenes, side), tuple(scene.caption for scene in scenes) if speaks else ())
    folder = read_folder(options.data, side, 0)  # with the captions that a training has
    chance = torch.Generator().manual_seed(options.judge_seed)
    some = torch.randperm(len(folder.paths), generator=chance)[: options.samples].tolist()
    captions = tuple(folder.captions[k] for k in some) if speaks else ()
    return Shown(torch.stack([folder.read(k) for k in some]), captions)


def features(model: LatentDiffusion, images: Tensor) -> Tensor:
    """(n, d) features that need no trained judge: latents of the autoencoder, or pixels averaged to 8 x 8."""
    if model.prompts.encoders:
        return model.encode(images)
    return avg_pool2d(images, images.shape[-1] // 8).flatten(1)


def draw(model: LatentDiffusion, shown: Shown, seed: int, steps: int) -> Tensor:
    """One sample for each image's caption, without guidance."""
    shape, count = model.latent_shape(model.image_size, model.image_size), len(shown.images)
    noise = torch.randn(count, math.prod(shape), generator=generator(seed, APART, "noise"))
    condition = conditions(model, shown.captions, count)
    return model.decode(model.generate(noise, shape, condition, steps), shape).cpu()


def judge(model: LatentDiffusion, options: argparse.Namespace, picture: Path) -> dict[str, Any]:
    """All columns but the denoising loss."""
    shown = shown_to(model, options)
    drawn = draw(model, shown, options.judge_seed, options.draw_steps)
    write_png(sheet(list(drawn[:32].split(16))), picture)
    some = shown.images[: options.inverted]
    journey = Journey(model, Canvas.of(model, None), tau=1.0, steps=options.invert_steps, scheme="ddim")
    back = reconstruct(journey, some, conditions(model, shown.captions[: len(some)], len(some)))
    found = isometry(
        model,
        data="scenes" if options.data is None else points_of(shown, options),
        taus=options.taus,
        points=options.points,
        directions=options.directions,
        jacobian=options.jacobian,
        pairs=options.pairs,
        ppl_pairs=options.ppl_pairs,
        ppl_eps=options.ppl_eps,
        labels=options.labels,
        labelled=0 if options.data is not None and options.labels is None else options.labelled,
        published=options.published,
        seed=options.judge_seed,
        device=options.device,
    ).metrics["models"][0]
    levels = found["levels"]
    metric = "riemannian" if "riemannian" in levels[0] else "spread"

    def mean(*keys: str) -> float:
        values = []
        for level in levels:
            value = level
            for key in keys:
                value = value[key]
            values.append(float(value))
        return sum(values) / len(values)

    return {
        "FD": frechet(features(model, shown.images), features(model, drawn)).value,
        "PPL": found["ppl"]["value"],
        "mRTL": mean("mrtl"),
        "MCN": mean(metric, "mcn"),
        "VoR": mean(metric, "vor"),
        **{
            f"{label} {kind}": mean(kind, name)
            for kind in ("pooled", *(["published"] if options.published else []))
            for label, name in (("MCN", "mcn"), ("VoR", "vor"))
        },
        **({"LS": found["ls"]["value"]} if "ls" in found else {}),
        **{
            key.upper(): sum(values) / len(values)
            for key, values in likeness(some, back.back).items()
            if key in ("mse", "psnr", "ssim")
        },
        "L": mean("loss"),
        "kept": mean("held"),
        "details": {key: value for key, value in found.items() if key != "name"},
    }


def points_of(shown: Shown, options: argparse.Namespace) -> str:
    """A folder with the images at which the encoder is looked at."""
    folder = options.out / "points"
    folder.mkdir(exist_ok=True)
    for k, image in enumerate(shown.images[: options.points]):
        write_png(image, folder / f"{k:03d}.png")
    return str(folder)


def row(name: str, seed: int, options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Tune the model as the row says, and judge it."""
    about: dict[str, Any] = {"row": name, "seed": seed}
    if name == "pretrained":
        model = load(options.model, options.device, "fp32")
        about["denoising"] = 1.0
    else:
        weight = dict(zip(ROWS[2:], options.weights, strict=True)).get(name, 0.0)
        model, told = tuned(options, name, weight, seed)
        relative = told["after"]["denoising"] / told["before"]["denoising"]
        about |= {"denoising": relative, "lambda": weight, "seconds": told["seconds"]}
    return about | judge(model, options, folder / f"{Path(options.model).name}-{name}-{seed}.png")


def table(rows: list[dict[str, Any]], options: argparse.Namespace) -> str:
    """Means and standard deviations over the seeds, in Markdown."""
    columns = [column for column in COLUMNS if column in rows[0]]
    whole = "riemannian" in rows[0]["details"]["levels"][0]
    # What some directions show has not the name of the whole.
    names = {} if whole else {"MCN": f"spread in {options.directions} directions", "VoR": "its variance"}
    heads = [names.get(column, column) for column in columns]
    lines = ["| row | lambda | " + " | ".join(heads) + " |", "|---" * (len(columns) + 2) + "|"]
    for name in ROWS:
        own = [one for one in rows if one["row"] == name]
        if not own:
            continue
        cells = []
        for column in columns:
            values = torch.tensor([one[column] for one in own], dtype=torch.float64)
            spread = f" ± {float(values.std()):.2g}" if len(values) > 1 else ""
            cells.append(f"{float(values.mean()):.4g}{spread}")
        lines.append(f"| {name} | {own[0].get('lambda', 0):g} | " + " | ".join(cells) + " |")
    first = rows[0]["details"]
    legend = LEGEND.format(
        what="held-out scenes" if options.data is None else "pictures of the folder",
        separated="held-out scenes" if options.labels is None else "labelled images",
        features="pixels averaged to 8 x 8" if "ddpm" in options.model else "latents of the autoencoder",
        distance=first["ppl"]["distance"],
        eps=options.ppl_eps,
        pairs=options.ppl_pairs,
        taus=options.taus,
        jacobian="from whole Jacobians" if whole else f"only the spread in {options.directions} directions",
        inverted=options.inverted,
    )
    about = f"{options.model}: {options.steps} steps of {options.batch}, learning rate {options.rate:g}, "
    return "\n".join(
        [*lines, "", about + f"seeds {' '.join(map(str, options.seeds))}, {options.samples} samples.", legend]
    )


def main() -> None:
    """Compute the rows that are not there yet, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="clevr-mini")
    parser.add_argument("--data", help="a folder of pictures, for a model of other pictures than scenes")
    parser.add_argument("--labels", help="images with labels for LS, where they are no scenes: a CSV or a folder")
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rate", type=float, default=1e-4)
    parser.add_argument("--weights", nargs=3, type=float, default=[0.2, 0.2, 0.2], help=f"of {', '.join(ROWS[2:])}")
    parser.add_argument("--samples", type=int, default=320)
    parser.add_argument("--draw-steps", type=int, default=15)
    parser.add_argument("--invert-steps", type=int, default=30)
    parser.add_argument("--inverted", type=int, default=32)
    parser.add_argument("--taus", default="0.6,1")
    parser.add_argument("--points", type=int, default=8)
    parser.add_argument("--directions", type=int, default=48)
    parser.add_argument("--jacobian", default="auto")
    parser.add_argument("--published", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--pairs", type=int, default=8)
    parser.add_argument("--ppl-pairs", type=int, default=200)
    parser.add_argument("--ppl-eps", type=float, default=1e-2)
    parser.add_argument("--labelled", type=int, default=200)
    parser.add_argument("--judge-seed", type=int, default=HELD_OUT)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--out", type=Path, default=Path("table"))
    parser.add_argument(
        "--models", type=Path, help="where tuned models are kept. Default: models in the folder of --out"
    )
    options = parser.parse_args()
    options.models = options.models or options.out / "models"
    options.out.mkdir(parents=True, exist_ok=True)
    name = Path(options.model).name
    rows = []
    for seed in options.seeds:
        for which in options.rows:
            if which == "pretrained" and seed != options.seeds[0]:
                continue
            file = options.out / f"{name}-{which}-{seed}.json"
            rows.append(kept(file, partial(row, which, seed, options, options.out)))
            print({key: rows[-1][key] for key in ("row", "seed", *COLUMNS) if key in rows[-1]}, flush=True)
    text = table(rows, options)
    (options.out / f"{name}.md").write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
