"""Make the clips of emoji, examples/clips/emoji-*, from two sample pictures: python examples/training/emoji_clips.py

A ball that rolls from left to right, and an apple that grows: 12 frames of 64 x 64, which no encoder blurs.
"""

import math
from pathlib import Path

import torch
from emoji_data import SHIFT, SIDE, maps
from torch import Tensor
from torch.nn.functional import affine_grid, avg_pool2d, grid_sample

from geodesic_cli.media import read_image, write_png

HERE = Path(__file__).parents[1]
FRAMES = 12
RADIUS = 0.75  # of the ball, in half sides of its picture at scale 1


def placed(image: Tensor, turns: Tensor, scales: Tensor, shifts: Tensor) -> Tensor:
    """A picture turned (rad), scaled and shifted right (half sides) in as many ways, (n, 3, 64, 64), on white."""
    moved = torch.stack([shifts, torch.zeros_like(shifts)], 1)
    ink = (1 - image).expand(len(turns), -1, -1, -1)
    grid = affine_grid(maps(-turns, scales, moved, torch.ones_like(turns)), [*ink.shape], align_corners=False)
    return 1 - avg_pool2d(grid_sample(ink, grid, padding_mode="zeros", align_corners=False), ink.shape[-1] // SIDE)


def main() -> None:
    """Write both clips."""
    ball, apple = (read_image(HERE / "images" / "emoji" / f"{stem}-3d.png") for stem in ("soccer-ball", "red-apple"))
    u, still = torch.linspace(-1, 1, FRAMES), torch.zeros(FRAMES)
    scale = 0.85
    clips = {
        "emoji-rolling": placed(ball, u * SHIFT / (RADIUS * scale), still + scale, u * SHIFT),
        "emoji-growing": placed(apple, still, (u * math.log(1.3) / 2).exp() * 0.95, still),
    }
    for name, frames in clips.items():
        folder = HERE / "clips" / name
        folder.mkdir(parents=True, exist_ok=True)
        for k, frame in enumerate(frames):
            write_png(frame, folder / f"{k:02d}.png")
    (HERE / "clips" / "CREDITS.md").write_text(
        "# Credits of these clips\n\n`emoji-*` are made from pictures of Fluent emoji, copyright Microsoft "
        "Corporation, MIT licence, by `examples/training/emoji_clips.py`: turned, moved or scaled, and made smaller. "
        "The others are rendered by `examples/training/render_clips.py`.\n"
    )


if __name__ == "__main__":
    main()
