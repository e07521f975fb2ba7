"""The morph of the README: a straight line between two noisy latents above, the local geodesic below.

python examples/studies/emoji/emoji_strip.py [examples/images]

writes morph.png (nine frames of one pair) and morph.gif (three pairs, there and back).
"""

import sys
from pathlib import Path

import torch
from torch import Tensor

from geodesic_cli import interpolate
from geodesic_cli.diffusion import load
from geodesic_cli.media import read_image, resize, sheet, write_gif, write_png

IMAGES = Path(__file__).parents[2] / "images"
PAIRS = (("red-apple-3d", "pear-3d"), ("penguin-3d", "penguin-twemoji"), ("automobile-3d", "bus-3d"))
FRAMES, FPS, REST = 17, 10.0, 6


def prompt(stem: str) -> str:
    """What the name of a sample picture says: `red-apple-3d` is a "red apple, 3d"."""
    name, _, style = stem.rpartition("-")
    return f"{name.replace('-', ' ')}, {style}"


def there_and_back(frames: Tensor) -> Tensor:
    """A film that rests a little at either end."""
    first, last = frames[:1].expand(REST, -1, -1, -1), frames[-1:].expand(REST, -1, -1, -1)
    return torch.cat([first, frames, last, frames.flip(0)])


def main() -> None:
    """Draw both rows of each pair with the defaults of `geodesic interpolate`."""
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else IMAGES
    model = load("emoji-mini")
    films, rows = [], []
    for a, b in PAIRS:
        files = [IMAGES / "emoji" / f"{stem}.png" for stem in (a, b)]
        both = [
            interpolate(
                *map(read_image, files), model=model, prompt=(prompt(a), prompt(b)), method=method, frames=FRAMES
            )
            for method in ("lerp", "geodesic")
        ]
        rows.append([found.frames for found in both])
        films.append(torch.cat([there_and_back(found.frames) for found in both], 2))
        print(a, b, both[1].status)
    write_png(sheet([row[::2] for row in rows[0]], ["straight line", "local geodesic"]), target / "morph.png")
    film = torch.cat(films, 3)
    write_gif(torch.stack([resize(one, 2 * one.shape[1], 2 * one.shape[2]) for one in film]), target / "morph.gif", FPS)


if __name__ == "__main__":
    main()
