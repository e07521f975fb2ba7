"""What frames of `emoji-mini` show: the nearest picture of the training set, at the place where it fits best.

A frame F is compared with pictures P that may be turned, shifted, scaled and mirrored, within the range of the
training and a little beyond. The fit error is |F - P|^2 / |1 - F|^2: 0 where a picture of the set is there, 1 where a
white sheet would do as well. The nearest of 32 moved copies of each picture, at 16 x 16 pixels, give eight to begin
with, mirror images apart; from each, a descent fits its four numbers at 32 x 32 pixels. Errors are those at 64 x 64.

A frame is *explained* when its error is at most the median of samples that the model draws for prompts of the set. It
is *double* when the two images given, each with a weight of its own above 0.2, leave less than half of that error.

    python examples/studies/emoji/emoji_read.py --work .work --pairs emoji-pairs

tries it on the images of the pairs themselves.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from emoji_pairs import RANGES, maps_of
from torch import Tensor
from torch.nn.functional import affine_grid, avg_pool2d, grid_sample

from geodesic_cli.media import read_image

sys.path.append(str(Path(__file__).parents[2] / "training"))  # where the pictures are read
from emoji_data import LARGEST, SHIFT, SMALLEST, TURN, chosen, load, place
from emoji_names import NAMES

COPIES, CANDIDATES, STEPS, RATE, BEYOND = 32, 8, 60, 0.02, 1.5
COARSE, FITTED = 16, 32
FAINT, MARGIN = 0.2, 0.5
"""Weight from which an image counts as being there in a double picture."""


@dataclass(frozen=True)
class Fit:
    """The picture that explains a frame best: its number, its fit error and its placement (angle, log scale, x, y)."""

    picture: int
    error: float
    numbers: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class Reader:
    """Pictures (n, 3, 128, 128) of 8 bits, and moved copies of them to begin with."""

    images: Tensor
    numbers: Tensor
    mirrored: Tensor
    small: Tensor

    @classmethod
    def of(cls, images: Tensor, seed: int = 1) -> "Reader":
        """Draws the copies; some 40 seconds of one core for 460 pictures."""
        generator = torch.Generator().manual_seed(seed)
        count = len(images)
        numbers, mirrored, small = [], [], []
        for _ in range(COPIES):
            draw = torch.rand(count, 5, generator=generator)
            scale = (SMALLEST + (LARGEST - SMALLEST) * draw[:, 1]).log()
            at = torch.stack([(2 * draw[:, 0] - 1) * TURN, scale, *((2 * draw[:, 2:4] - 1) * SHIFT).T], 1)
            side = draw[:, 4] >= 0.5
            copies = torch.cat([
                place(images[k : k + 64], maps_of(at[k : k + 64], side[k : k + 64])) for k in range(0, count, 64)
            ])  # fmt: skip
            numbers.append(at)
            mirrored.append(side)
            small.append(avg_pool2d(copies / 2 + 0.5, 64 // COARSE).flatten(1))
        return cls(images, torch.stack(numbers, 1), torch.stack(mirrored, 1), torch.stack(small, 1))

    def read(self, frames: Tensor) -> list[Fit]:
        """The best picture for each of some frames (n, 3, 64, 64) in [0, 1]."""
        count = len(frames)
        away = torch.cdist(avg_pool2d(frames, 64 // COARSE).flatten(1), self.small.flatten(0, 1))
        by_copy = away.unflatten(1, self.small.shape[:2])
        # A picture and its mirror image are two candidates: many are nearly their own mirror images.
        by_side = torch.cat([by_copy.masked_fill(self.mirrored != side, torch.inf) for side in (False, True)], 1)
        sides = by_side.amin(2).topk(CANDIDATES, 1, largest=False).indices
        nth = by_side.gather(1, sides[:, :, None].expand(-1, -1, COPIES)).argmin(2).flatten()
        chosen = sides.flatten() % len(self.images)
        fitted, errors = fit(
            frames.repeat_interleave(CANDIDATES, 0),
            self.images[chosen],
            self.numbers[chosen, nth],
            self.mirrored[chosen, nth],
        )
        best = errors.view(count, CANDIDATES).argmin(1) + CANDIDATES * torch.arange(count)
        return [Fit(int(chosen[k]), float(errors[k]), tuple(fitted[k].tolist())) for k in best.tolist()]


def fit(frames: Tensor, images: Tensor, numbers: Tensor, mirrored: Tensor) -> tuple[Tensor, Tensor]:
    """Placements (n, 4) at which images fit frames, and the fit errors (n,), from placements to begin with."""
    target = 1 - avg_pool2d(frames, 64 // FITTED)
    ink = avg_pool2d(1 - images.float() / 255, images.shape[2] // FITTED)
    logs = torch.tensor([SMALLEST, LARGEST]).log()
    middle = torch.tensor([0.0, float(logs.mean()), 0.0, 0.0])
    room = BEYOND * RANGES / 2
    moved = numbers.clone().requires_grad_()
    descent = torch.optim.Adam([moved], RATE)
    for step in range(STEPS):
        descent.param_groups[0]["lr"] = RATE * (1 - step / STEPS)
        descent.zero_grad()
        grid = affine_grid(maps_of(moved, mirrored), [*target.shape], align_corners=False)
        (grid_sample(ink, grid, padding_mode="zeros", align_corners=False) - target).square().sum().backward()
        descent.step()
        with torch.no_grad():
            moved.copy_(moved.minimum(middle + room).maximum(middle - room))
    with torch.no_grad():
        shown = place(images, maps_of(moved, mirrored)) / 2 + 0.5
    return moved.detach(), error(frames, shown)


def error(frames: Tensor, shown: Tensor) -> Tensor:
    """|F - P|^2 / |1 - F|^2 of pictures that stand for frames, (n,)."""
    return (frames - shown).square().sum((1, 2, 3)) / (1 - frames).square().sum((1, 2, 3)).clamp_min(1e-9)


def both(frames: Tensor, ends: Tensor) -> tuple[Tensor, Tensor]:
    """The error and the weights (n, 2) of the two images given (2, 3, 64, 64) in each frame, by least squares."""
    ink = 1 - ends.flatten(1)
    weights = torch.linalg.lstsq(ink.T, (1 - frames.flatten(1)).T).solution.T
    left = (1 - frames.flatten(1) - weights @ ink).square().sum(1)
    return left / (1 - frames.flatten(1)).square().sum(1).clamp_min(1e-9), weights


def is_double(alone: float, of_both: float, weights: Sequence[float]) -> bool:
    """Whether a frame shows both images at once; see the module's text."""
    return of_both < MARGIN * alone and min(weights) > FAINT


def main() -> None:
    """Read the images of the pairs, of which everything is known."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path(".work"), help="where the data stage left the pictures")
    parser.add_argument("--pairs", type=Path, default=Path("emoji-pairs"))
    asked = parser.parse_args()
    torch.set_num_threads(1)
    images, every = load(asked.work)
    index = chosen(every, NAMES)
    pairs = json.loads((asked.pairs / "pairs.json").read_text())
    given = [index.index(k) for pair in pairs for k in pair["pictures"]]
    fits = Reader.of(images[index]).read(
        torch.stack([read_image(file) for file in sorted(asked.pairs.glob("*_?.png"))])
    )
    right = sum(fit.picture == k for fit, k in zip(fits, given, strict=True))
    print(f"{right} of {len(fits)} images named; the largest fit error {max(fit.error for fit in fits):.4f}")


if __name__ == "__main__":
    main()
