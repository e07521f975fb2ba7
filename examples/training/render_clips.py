"""Render the sample clips, `examples/clips`: python examples/training/render_clips.py"""

from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from geodesic_cli.media import write_png
from geodesic_cli.scenes import Scene, Solid, motion, render

FRAMES = 12
BALL = Scene((Solid("sphere", "red", "rubber", x=-1.0, y=0.2, size=0.65),))
CUBE = Scene((Solid("cube", "blue", "rubber", x=0.2, y=0.0, size=0.75, rotation=0.1),))
SEED = Scene((Solid("sphere", "green", "metal", x=0.1, y=0.1, size=0.5),))
CYLINDER = Scene((Solid("cylinder", "yellow", "rubber", x=0.0, y=0.0, size=0.75),))


def recoloured(scene: Scene, colour: str) -> Scene:
    """The same scene with its first solid in another colour."""
    return Scene((replace(scene.solids[0], colour=colour),))


def clips() -> dict[str, Tensor]:
    """The frames (12, 3, 64, 64) of each clip. The last two are no geodesics: a jump, and a way there and back."""
    roll = render(list(motion("translation", BALL, FRAMES, 2.0)))
    half = render(list(motion("translation", BALL, FRAMES // 2, 2.0)))
    far = render(list(motion("translation", recoloured(CYLINDER, "purple"), FRAMES // 2, 0.9)))
    u = torch.linspace(0, 1, FRAMES)[:, None, None, None]
    ends = render([CYLINDER, recoloured(CYLINDER, "red")])
    return {
        "ball-rolling": roll,
        "cube-turning": render(list(motion("rotation", CUBE, FRAMES, 1.2))),
        "ball-growing": render(list(motion("growth", SEED, FRAMES, 0.5))),
        "colour-change": (1 - u) * ends[0] + u * ends[1],  # the renderer is affine in a colour: each is a valid scene
        "jump-cut": torch.cat([roll[: FRAMES // 2], far]),
        "there-and-back": torch.cat([half, half.flip(0)]),
    }


def main() -> None:
    """Write each clip as a folder of PNGs, which no encoder blurs."""
    for name, frames in clips().items():
        folder = Path(__file__).parents[1] / "clips" / name
        folder.mkdir(parents=True, exist_ok=True)
        for k, frame in enumerate(frames):
            write_png(frame, folder / f"{k:02d}.png")


if __name__ == "__main__":
    main()
