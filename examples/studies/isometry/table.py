"""Five rows from one start with equal steps: no tuning, tuning without a regulariser, and with each of the three.

    python examples/studies/isometry/table.py --model clevr-mini --seeds 0 1 --out table
    python examples/studies/isometry/table.py --model scenes-ddpm --jacobian projected --steps 60 --out table

The shape of the tables of Hahm et al. (ICML 2024), with the row that they lack: `none`, the same steps without a
regulariser. Everything is measured on scenes that no training saw, with the same noise for each row; the regularisers
may have weights of their own. Each row is written as soon as it is known, and known rows are not computed again.
"""

import argparse
import math
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from geodesic_cli.diffusion import LatentDiffusion
from geodesic_cli.evaluation import frechet
from geodesic_cli.evaluation.likeness import likeness
from geodesic_cli.frames.canvas import Canvas
from geodesic_cli.frames.journey import Journey, conditions, reconstruct
from geodesic_cli.media import sheet, write_png
from geodesic_cli.runs.observer import Silent
from geodesic_cli.runs.opening import open_model
from geodesic_cli.scenes import render, sample
from geodesic_cli.settings import FinetuneSettings
from geodesic_cli.verbs.finetune.data import HELD_OUT as APART
from geodesic_cli.verbs.finetune.deck import generator
from geodesic_cli.verbs.finetune.run import finetune
from geodesic_cli.verbs.isometry.run import isometry

sys.path.append(str(Path(__file__).parents[1]))  # where shared.py is
from shared import HELD_OUT, kept

ROWS = ("pretrained", "none", "path-length", "iso-euclidean", "iso")
COLUMNS = (
    *("denoising", "FD", "PPL", "mRTL", "MCN", "VoR", "MCN pooled", "VoR pooled", "MCN published", "VoR published"),
    *("LS", "MSE", "PSNR", "SSIM", "L"),
)
LEGEND = """FD: Fréchet distance of samples from as many held-out scenes, features: {features} (not FID).
PPL: StyleGAN form, eps {eps:g}, {pairs} pairs, distance: {distance}.
mRTL, MCN, VoR, L: mean over the noise levels {taus}; MCN and VoR of G = JᵀJ on the tangent space: {jacobian};
pooled: singular values of J of h averaged over its pixels; published: as in the authors' code.
LS: linear separability of held-out scenes in noise. MSE, PSNR, SSIM: DDIM inversion to tau 1 and back,
{inverted} scenes. Denoising: loss on held-out scenes."""


def captions(model: LatentDiffusion, scenes: Sequence[Any]) -> tuple[str, ...]:
    """Prompts of scenes; a model without text takes none."""
    return tuple(scene.caption for scene in scenes) if model.prompts.encoders else ()


def features(model: LatentDiffusion, images: Tensor) -> Tensor:
    """(n, d) features that need no trained judge: latents of the autoencoder, or pixels averaged to 8 x 8."""
    if model.prompts.encoders:
        return model.encode(images)
    return avg_pool2d(images, images.shape[-1] // 8).flatten(1)


def draw(model: LatentDiffusion, scenes: Sequence[Any], seed: int, steps: int) -> Tensor:
    """One sample for each scene's caption, without guidance."""
    shape = model.latent_shape(model.image_size, model.image_size)
    noise = torch.randn(len(scenes), math.prod(shape), generator=generator(seed, APART, "noise"))
    condition = conditions(model, captions(model, scenes), len(scenes))
    return model.decode(model.generate(noise, shape, condition, steps), shape).cpu()


def judge(model: LatentDiffusion, options: argparse.Namespace, picture: Path) -> dict[str, Any]:
    """All columns but the denoising loss."""
    scenes = sample(options.samples, generator(options.judge_seed, APART))
    images = render(scenes, model.image_size)
    drawn = draw(model, scenes, options.judge_seed, options.draw_steps)
    write_png(sheet(list(drawn[:32].split(16))), picture)
    some = images[: options.inverted]
    journey = Journey(model, Canvas.of(model, None), tau=1.0, steps=options.invert_steps, scheme="ddim")
    back = reconstruct(journey, some, conditions(model, captions(model, scenes[: len(some)]), len(some)))
    found = isometry(
        model,
        data="scenes",
        taus=options.taus,
        points=options.points,
        directions=options.directions,
        jacobian=options.jacobian,
        pairs=options.pairs,
        ppl_pairs=options.ppl_pairs,
        ppl_eps=options.ppl_eps,
        labelled=options.labelled,
        published=True,
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
        "FD": frechet(features(model, images), features(model, drawn)).value,
        "PPL": found["ppl"]["value"],
        "mRTL": mean("mrtl"),
        "MCN": mean(metric, "mcn"),
        "VoR": mean(metric, "vor"),
        **{
            f"{label} {kind}": mean(kind, name)
            for kind in ("pooled", "published")
            for label, name in (("MCN", "mcn"), ("VoR", "vor"))
        },
        "LS": found["ls"]["value"],
        **{
            key.upper(): sum(values) / len(values)
            for key, values in likeness(some, back.back).items()
            if key in ("mse", "psnr", "ssim")
        },
        "L": mean("loss"),
        "details": {key: value for key, value in found.items() if key != "name"},
    }


def row(name: str, seed: int, options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Tune the model as the row says, and judge it."""
    settings = FinetuneSettings(model=options.model, device=options.device, dtype="fp32")
    model = open_model(settings, Silent())
    about: dict[str, Any] = {"row": name, "seed": seed}
    weight = dict(zip(ROWS[2:], options.weights, strict=True)).get(name, 0.0)
    tuned = finetune(
        model,
        regulariser="none" if name == "pretrained" else name,
        iso_lambda=weight,
        max_train_steps=1 if name == "pretrained" else options.steps,
        train_batch_size=options.batch,
        learning_rate=options.rate,
        seed=seed,
        device=options.device,
    )
    if name == "pretrained":
        about["denoising"] = tuned.metrics["before"]["denoising"]
    else:
        model = tuned.model
        about |= {
            "denoising": tuned.metrics["after"]["denoising"],
            "lambda": weight,
            "seconds": tuned.metrics["seconds"],
        }
    return about | judge(model, options, folder / f"{Path(options.model).name}-{name}-{seed}.png")


def table(rows: list[dict[str, Any]], options: argparse.Namespace) -> str:
    """Means and standard deviations over the seeds, in Markdown."""
    lines = ["| row | lambda | " + " | ".join(COLUMNS) + " |", "|---" * (len(COLUMNS) + 2) + "|"]
    for name in ROWS:
        own = [one for one in rows if one["row"] == name]
        if not own:
            continue
        cells = []
        for column in COLUMNS:
            values = torch.tensor([one[column] for one in own], dtype=torch.float64)
            spread = f" ± {float(values.std()):.2g}" if len(values) > 1 else ""
            cells.append(f"{float(values.mean()):.4g}{spread}")
        lines.append(f"| {name} | {own[0].get('lambda', 0):g} | " + " | ".join(cells) + " |")
    first, whole = rows[0]["details"], "from whole Jacobians"
    legend = LEGEND.format(
        features="latents of the autoencoder" if "clevr" in options.model else "pixels averaged to 8 x 8",
        distance=first["ppl"]["distance"],
        eps=options.ppl_eps,
        pairs=options.ppl_pairs,
        taus=options.taus,
        jacobian=whole if "riemannian" in first["levels"][0] else f"only the spread in {options.directions} directions",
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
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rate", type=float, default=5e-5)
    parser.add_argument("--weights", nargs=3, type=float, default=[0.2, 0.2, 0.2], help=f"of {', '.join(ROWS[2:])}")
    parser.add_argument("--samples", type=int, default=320)
    parser.add_argument("--draw-steps", type=int, default=15)
    parser.add_argument("--invert-steps", type=int, default=30)
    parser.add_argument("--inverted", type=int, default=32)
    parser.add_argument("--taus", default="0.6,1")
    parser.add_argument("--points", type=int, default=8)
    parser.add_argument("--directions", type=int, default=48)
    parser.add_argument("--jacobian", default="auto")
    parser.add_argument("--pairs", type=int, default=8)
    parser.add_argument("--ppl-pairs", type=int, default=200)
    parser.add_argument("--ppl-eps", type=float, default=1e-2)
    parser.add_argument("--labelled", type=int, default=200)
    parser.add_argument("--judge-seed", type=int, default=HELD_OUT)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--out", type=Path, default=Path("table"))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    name = Path(options.model).name
    rows = []
    for seed in options.seeds:
        for which in options.rows:
            if which == "pretrained" and seed != options.seeds[0]:
                continue
            file = options.out / f"{name}-{which}-{seed}.json"
            rows.append(kept(file, partial(row, which, seed, options, options.out)))
            print({key: rows[-1][key] for key in ("row", "seed", *COLUMNS)}, flush=True)
    text = table(rows, options)
    (options.out / f"{name}.md").write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
