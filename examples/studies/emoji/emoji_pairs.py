"""Sixty pairs of emoji for `geodesic interpolate --pairs`, from the pictures that `emoji-mini` was trained on.

    python examples/training/emoji_mini.py data --pictures FOLDER/node_modules --work .work
    python examples/studies/emoji/emoji_pairs.py --work .work --out emoji-pairs

Twenty of each kind: one picture moved (turned, shifted and scaled, to places that no training step used), the same
thing in two styles, two things of one category in one style. Written are the images, `pairs.csv` for the verb, and
`pairs.json`, which has the kind and, of moved pictures, both placements. `--same 100` makes pairs of the third kind.
"""

import argparse
import csv
import json
import math
import sys
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path

import torch
from torch import Tensor

from geodesic_cli.media import write_png

sys.path.append(str(Path(__file__).parents[2] / "training"))  # where the pictures are read
from emoji_data import LARGEST, SHIFT, SMALLEST, TURN, Picture, chosen, load, maps, place
from emoji_names import NAMES

MOVED, STYLE, CATEGORY = "moved", "style", "category"
EACH, SEED, UPRIGHT = 20, 80_001, 0.9
RANGES = torch.tensor([2 * TURN, math.log(LARGEST / SMALLEST), 2 * SHIFT, 2 * SHIFT])
"""How far the four numbers of a placement go in the training."""


@dataclass(frozen=True)
class Placement:
    """Where a picture stands: turned by ``angle`` (rad), scaled, shifted by x and y (half sides), mirrored or not."""

    angle: float = 0.0
    scale: float = UPRIGHT
    x: float = 0.0
    y: float = 0.0
    mirrored: bool = False

    @property
    def numbers(self) -> Tensor:
        """Angle, logarithm of the scale, x and y, (4,)."""
        return torch.tensor([self.angle, torch.tensor(self.scale).log(), self.x, self.y])


def maps_of(numbers: Tensor, mirrored: Tensor) -> Tensor:
    """Affine maps of the sampling grid, (n, 2, 3), of placements (n, 4)."""
    return maps(numbers[:, 0], numbers[:, 1].exp(), numbers[:, 2:], 1 - 2 * mirrored.to(numbers.dtype))


def placed(image: Tensor, where: Placement) -> Tensor:
    """A picture (3, 128, 128) of 8 bits at its place, (3, 64, 64) in [0, 1]."""
    return place(image[None], maps_of(where.numbers[None], torch.tensor([where.mirrored])))[0] / 2 + 0.5


def any_place(generator: torch.Generator) -> Placement:
    """Somewhere in the range of the training."""
    draw = torch.rand(5, generator=generator).tolist()
    turn, x, y = (2 * draw[0] - 1) * TURN, (2 * draw[2] - 1) * SHIFT, (2 * draw[3] - 1) * SHIFT
    return Placement(turn, SMALLEST + (LARGEST - SMALLEST) * draw[1], x, y, draw[4] >= 0.5)


def far_places(generator: torch.Generator) -> tuple[Placement, Placement]:
    """Two places of one picture, mirrored alike, that differ by a third of the range or more."""
    while True:
        a, b = any_place(generator), any_place(generator)
        if float(((a.numbers - b.numbers) / RANGES).norm()) > 2 / 3:
            return a, replace(b, mirrored=a.mirrored)


def draw(pictures: list[Picture], each: dict[str, int]) -> list[tuple[str, int, int, Placement, Placement]]:
    """Pairs: their kind, both pictures by number, both placements. The first pairs stay when more are asked for."""
    generator = torch.Generator().manual_seed(SEED)
    at_home = Placement()

    def pick(found: list[tuple[int, int]], count: int) -> list[tuple[int, int]]:
        return [found[k] for k in torch.randperm(len(found), generator=generator)[:count].tolist()]

    every = list(combinations(range(len(pictures)), 2))
    names, styles = [p.names[0] for p in pictures], [p.style for p in pictures]
    groups = [p.subcategory for p in pictures]
    moved = pick([(k, k) for k in range(len(pictures))], each[MOVED])
    style = pick([(a, b) for a, b in every if names[a] == names[b]], each[STYLE])
    category = pick([(a, b) for a, b in every if styles[a] == styles[b] and groups[a] == groups[b]], each[CATEGORY])
    pairs = [(MOVED, a, b, *far_places(generator)) for a, b in moved]
    pairs += [(STYLE, a, b, at_home, at_home) for a, b in style]
    return pairs + [(CATEGORY, a, b, at_home, at_home) for a, b in category]


def main() -> None:
    """Write images, pairs.csv and pairs.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path(".work"), help="where the data stage left the pictures")
    parser.add_argument("--out", type=Path, default=Path("emoji-pairs"))
    parser.add_argument("--same", type=int, default=0, metavar="N", help="N pairs of one category, and no others")
    asked = parser.parse_args()
    images, every = load(asked.work)
    index = chosen(every, NAMES)
    pictures = [every[k] for k in index]
    each = {MOVED: 0, STYLE: 0, CATEGORY: asked.same} if asked.same else dict.fromkeys((MOVED, STYLE, CATEGORY), EACH)
    asked.out.mkdir(parents=True, exist_ok=True)
    rows, records = [], []
    for k, (kind, a, b, at_a, at_b) in enumerate(draw(pictures, each)):
        stem = f"{k:02}-{kind}-{pictures[a].names[0]}".replace(" ", "-")
        files = [f"{stem}_{n}.png" for n in (0, 1)]
        for file, picture, where in zip(files, (a, b), (at_a, at_b), strict=True):
            write_png(placed(images[index[picture]], where), asked.out / file)
        said = [pictures[n].prompt for n in (a, b)]
        rows.append((*files, *said))
        ends = [vars(where) for where in (at_a, at_b)]
        records.append({"kind": kind, "pictures": [index[a], index[b]], "prompts": said, "placements": ends})
    with (asked.out / "pairs.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("a", "b", "prompt_a", "prompt_b"), *rows])
    (asked.out / "pairs.json").write_text(json.dumps(records, indent=1) + "\n")
    print(f"{len(rows)} pairs in {asked.out}")


if __name__ == "__main__":
    main()
