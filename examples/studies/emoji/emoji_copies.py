"""Is `emoji-mini` a copy machine? How far the middle of geodesics is from every picture that it learned from.

    python examples/studies/emoji/emoji_pairs.py --work .work --out emoji-same --same 100
    geodesic interpolate --pairs emoji-same/pairs.csv --model emoji-mini --frames 5 --formats none --out runs/emoji-same
    python examples/studies/emoji/emoji_copies.py --work .work --runs runs/emoji-same

The middle frame of each pair is compared with all pictures of the set, where they fit best (`emoji_read`). It counts as
a copy where its fit error is at most that of the pictures themselves after the autoencoder: nine in ten of them have
less.
"""

import argparse
import sys
from pathlib import Path

import torch
from emoji_read import Reader, error

from geodesic_cli.diffusion import load as load_model
from geodesic_cli.media import read_image

sys.path.append(str(Path(__file__).parents[2] / "training"))  # where the pictures are read
from emoji_data import chosen, load, move
from emoji_names import NAMES

SEED, SHARE = 80_003, 0.9


def main() -> None:
    """Read the frames and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path(".work"), help="where the data stage left the pictures")
    parser.add_argument("--runs", type=Path, required=True, help="of geodesic interpolate --pairs")
    parser.add_argument("--model", default="emoji-mini")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    images, every = load(asked.work)
    index = chosen(every, NAMES)
    images, pictures = images[index], [every[k] for k in index]
    model = load_model(asked.model, device="cpu")
    held = move(images, torch.Generator().manual_seed(SEED)) / 2 + 0.5
    back = model.decode(model.encode(held), model.latent_shape(*held.shape[2:])).cpu()
    copied = float(error(back, held).quantile(SHARE))
    print(
        f"{len(held)} pictures after the autoencoder: fit error {error(back, held).mean():.4f}, 90% below {copied:.4f}"
    )

    rows = [sorted(folder.glob("*.png")) for folder in sorted(asked.runs.rglob("frames"))]
    middles = torch.stack([read_image(row[len(row) // 2]) for row in rows if row])
    fits = Reader.of(images).read(middles)
    errors = torch.tensor([fit.error for fit in fits])
    away = (errors > copied).float().mean()
    print(f"{len(fits)} middle frames: {100 * away:.0f}% are farther than that from every picture of the set")
    print(
        "fit error: " + ", ".join(f"{100 * q:.0f}% below {errors.quantile(q):.3f}" for q in (0.1, 0.25, 0.5, 0.75, 0.9))
    )
    for k in errors.argsort()[:5].tolist():
        print(f"nearest: {rows[k][0].parents[1].name}: {errors[k]:.4f}, {pictures[fits[k].picture].names[0]}")


if __name__ == "__main__":
    main()
