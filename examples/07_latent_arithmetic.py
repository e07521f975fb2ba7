"""The Python behind `geodesic invert` and `geodesic latent`: noise of an image, a direction in it, and what it does.

python examples/07_latent_arithmetic.py [sheet.png]
"""

import sys
from pathlib import Path

import torch

from geodesic_cli import invert, latent_direction
from geodesic_cli.diffusion import load
from geodesic_cli.media import sheet, write_png

IMAGES = Path(__file__).parent / "images"
STRENGTHS = (0.0, 0.25, 0.5, 0.75, 1.0)


def main() -> None:
    """Turn red things blue by arithmetic in their noise, and things of other colours with the same direction."""
    model = load("clevr-mini")

    # An image to noise and back; the transport is judged apart from the autoencoder.
    there = invert(IMAGES / "blue-cube.png", model=model)
    print(f"{there.status} Its noise has {there.metrics['noise']['norm']['mean']:.2f} of the norm of noise.")

    # A direction from 48 pairs of rendered scenes that differ in their colour only, tried on eight other scenes.
    found = latent_direction("red", "blue", model=model, pairs=48, held_out=8, strengths="0.5,1")
    print(found.status)

    # The same direction by hand. It also moves what was never red, and past blue there is cyan.
    shape = model.latent_shape(64, 64)
    steps, condition = 24, model.prompts.embed("").expand(len(STRENGTHS))
    rows = []
    for name in ("blue-cube.png", "yellow-cylinder.png"):
        noise = invert(IMAGES / name, model=model).noise
        moved = noise + torch.tensor(STRENGTHS)[:, None] * found.direction
        moved = moved * (noise.norm() / moved.norm(dim=1, keepdim=True))  # noise keeps its norm
        rows.append(model.decode(model.drop(moved, shape, condition, 1.0, steps), shape).cpu())
    target = sys.argv[1] if len(sys.argv) > 1 else "arithmetic.png"
    write_png(sheet(rows, ["blue cube", "yellow\ncylinder"]), target)


if __name__ == "__main__":
    main()
