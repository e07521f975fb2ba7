"""How good `emoji-mini` is, against the pictures that it was trained on: the figures of its card.

    python examples/training/emoji_figures.py --model .work/emoji-mini --work .work

needs the work folder of `emoji_mini.py`, where its data stage left the pictures. What is measured:

- reconstruction: of copies in positions that no step trained on, encoded and decoded;
- round trip: the same, carried to tau 0.6 by the probability flow and back, with the picture's own prompt;
- samples: of pictures drawn by prompts, how many have one of their own name among the three nearest of the set, in
  whatever style. A sample is as near to a picture as to the nearest of its moved copies, in latents;
- with `--others FOLDER`: the round trip of pictures of a set that the model has never seen, without a prompt;
- sheet.png: 64 samples without their names, for a person to name, and names.txt, what was asked for.
"""

import argparse
from pathlib import Path

import torch
from emoji_data import Picture, chosen, load, move, on_white, upright
from emoji_names import NAMES
from emoji_sheets import grid
from emoji_vae import HELD_OUT
from torch import Tensor

from geodesic_cli.diffusion import Embedding, LatentDiffusion
from geodesic_cli.diffusion import load as load_model

TAU, STEPS, GUIDANCE, COPIES, NEAREST = 0.6, 30, 3.0, 32, 3


def psnr(a: Tensor, b: Tensor) -> Tensor:
    """Of pairs of pictures in [0, 1], in dB."""
    return -10 * (a - b).square().mean((1, 2, 3)).log10()


def moved(images: Tensor, seed: int) -> Tensor:
    """One moved copy of each picture, in [0, 1]."""
    return move(images, torch.Generator().manual_seed(seed)) / 2 + 0.5


def copies(model: LatentDiffusion, images: Tensor, count: int) -> Tensor:
    """Latents of moved copies, (pictures, copies, d)."""
    rounds = [torch.cat([model.encode(part) for part in moved(images, seed).split(64)]) for seed in range(count)]
    return torch.stack(rounds, 1)


def nearest(z: Tensor, known: Tensor) -> Tensor:
    """Distances of samples (n, d) to pictures (m, copies, d), each to the nearest copy, (n, m)."""
    return torch.stack([torch.cdist(z, known[:, k]) for k in range(known.shape[1])]).amin(0)


def named_among(order: list[list[int]], wanted: list[Picture], pictures: list[Picture]) -> int:
    """How many samples have their own name among those of the NEAREST pictures; ``order`` has the nearest first."""
    rows = zip(order, wanted, strict=True)
    return sum(want.names[0] in {pictures[k].names[0] for k in row[:NEAREST]} for row, want in rows)


def main() -> None:
    """Measure, print, and write the sheet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="the exported folder")
    parser.add_argument("--work", type=Path, default=Path(".work"), help="where the data stage left the pictures")
    parser.add_argument("--out", type=Path, default=Path(".work/figures"))
    parser.add_argument("--samples", type=int, default=200)
    parser.add_argument("--pictures", type=int, default=100, help="of reconstruction and round trip")
    parser.add_argument("--others", type=Path, help="a folder of pictures, on white or without a ground")
    asked = parser.parse_args()
    torch.set_num_threads(1)

    model = load_model(str(asked.model), device="cpu")
    images, every = load(asked.work)
    index = chosen(every, NAMES)
    images, pictures = images[index], [every[k] for k in index]
    generator = torch.Generator().manual_seed(HELD_OUT)

    pick = torch.randperm(len(pictures), generator=generator)[: asked.pictures]
    held = moved(images[pick], HELD_OUT)
    shape, z = model.latent_shape(*held.shape[2:]), model.encode(held)
    said = Embedding.cat([model.prompts.embed(pictures[k].prompt) for k in pick.tolist()])
    plain = psnr(model.decode(z, shape), held)
    there = model.lift(z, shape, said, TAU, STEPS)
    back = psnr(model.decode(model.drop(there, shape, said, TAU, STEPS), shape), held)
    print(f"reconstruction {plain.mean():.2f} dB (least {plain.min():.1f}); to tau {TAU} and back {back.mean():.2f} dB")

    if asked.others is not None:
        files = sorted(asked.others.glob("*.png"))
        files = [files[k] for k in torch.randperm(len(files), generator=generator)[: asked.pictures].tolist()]
        unseen = upright(torch.stack([on_white(file) for file in files])) / 2 + 0.5
        z, silent = model.encode(unseen), Embedding.cat([model.prompts.embed("")] * len(files))
        there = model.lift(z, shape, silent, TAU, STEPS)
        back = psnr(model.decode(model.drop(there, shape, silent, TAU, STEPS), shape), unseen)
        good = int((back >= 27).sum())
        print(f"{len(files)} of {asked.others}: to tau {TAU} and back {back.mean():.1f} dB, {good} with 27 or more")

    wanted = [pictures[k] for k in torch.randint(len(pictures), (asked.samples,), generator=generator).tolist()]
    drawn = torch.cat([
        model.sample([each.prompt for each in wanted[k : k + 50]], generator, STEPS, GUIDANCE)
        for k in range(0, len(wanted), 50)
    ])  # fmt: skip
    away = nearest(model.encode(drawn), copies(model, images, COPIES))
    hits = named_among(away.argsort(1).tolist(), wanted, pictures)
    print(f"{hits} of {len(wanted)} samples have a picture of the prompted name among the {NEAREST} nearest")

    asked.out.mkdir(parents=True, exist_ok=True)
    grid(drawn[:64], [str(k + 1) for k in range(min(64, len(drawn)))], 8).save(asked.out / "sheet.png")
    (asked.out / "names.txt").write_text("".join(f"{k + 1} {p.prompt}\n" for k, p in enumerate(wanted[:64])))


if __name__ == "__main__":
    main()
