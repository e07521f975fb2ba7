"""The strip of the README: a straight line between two clean latents above, the global path below.

python examples/studies/paths/strip.py [examples/images/strip.png]
"""

import sys
from pathlib import Path

import torch

from geodesic_cli import interpolate
from geodesic_cli.diffusion import load
from geodesic_cli.frames.paths import positions
from geodesic_cli.media import read_image, sheet, write_png

IMAGES = Path(__file__).parents[2] / "images"
FRAMES = 9


def main() -> None:
    """Draw both rows with the defaults of `geodesic interpolate`."""
    a, b = IMAGES / "blue-cube.png", IMAGES / "yellow-cylinder.png"
    model = load("clevr-mini")
    z = model.encode(torch.stack([read_image(a), read_image(b)]))
    line = torch.lerp(z[0], z[1], positions(FRAMES).to(z)[:, None])
    straight = model.decode(line, model.latent_shape(model.image_size, model.image_size)).cpu()
    prompts = ("a blue rubber cube", "a yellow rubber cylinder")
    found = interpolate(a, b, model=model, prompt=prompts, frames=FRAMES)
    target = sys.argv[1] if len(sys.argv) > 1 else str(IMAGES / "strip.png")
    called = found.metrics["names"]["global"].replace(", ", ",\n")
    write_png(sheet([straight, found.frames], ["straight line", called]), target)


if __name__ == "__main__":
    main()
