"""The table of this folder's README: what the frames of all methods show, by the pictures that the model learned from.

    python examples/studies/emoji/emoji_table.py --work .work --pairs emoji-pairs --runs runs/emoji-low runs/emoji-bends

The runs are folders of `geodesic interpolate --pairs emoji-pairs/pairs.csv`, swept or not. What is read in a row of
frames is kept beside the pairs (`read.jsonl`), so that a table which was stopped goes on, and new runs add their rows.
"""

import argparse
import json
import statistics
import sys
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from emoji_pairs import CATEGORY, MOVED, RANGES, STYLE, Placement
from emoji_read import Reader, both, is_double
from torch import Tensor

from geodesic_cli.diffusion import LatentDiffusion
from geodesic_cli.diffusion import load as load_model
from geodesic_cli.frames.pacing import pacer
from geodesic_cli.media import read_image, sheet, write_png

sys.path.append(str(Path(__file__).parents[2] / "training"))  # where the pictures are read
from emoji_data import SIDE, Picture, chosen, load
from emoji_names import NAMES

NAMES_OF = {
    "geodesic": "local geodesic",
    "slerp": "great circle",
    "lerp": "straight line",
    "blend": "blend of latents",
    "corrected": "corrected great circle",
    "attention": "mixed attention",
    "published": "published geodesic",
    "global": "global path",
}
"""Converged or not: the column of residuals says it."""
SAMPLES, GUIDANCE, SEED = 120, 3.0, 80_002
BEST_AND_WORST = 10


@dataclass(frozen=True)
class Drawn:
    """One row of frames: its pair, its method with its options, where the frames are, what its run says of the path.

    ``evaluations`` are those of the whole run, where it drew nothing else.
    """

    pair: int
    label: str
    frames: Path
    numbers: dict[str, Any]
    evaluations: int | None

    @property
    def key(self) -> str:
        """Of the record that is kept."""
        return f"{self.pair} {self.label}"


def drawn_in(root: Path) -> Iterator[Drawn]:
    """All rows of frames below a folder of runs."""
    for file in sorted(root.rglob("metrics.json")):
        if not (file.parent / "config.toml").exists():
            continue
        metrics = json.loads(file.read_text())
        images = tomllib.loads((file.parent / "config.toml").read_text())["images"]
        pair = int(Path(images[0]).name.partition("-")[0])
        for method, numbers in metrics["paths"].items():
            own = method == metrics["method"]
            frames = file.parent / "frames" if own else file.parent / "compare" / method
            spent = sum(metrics["evaluations"].values()) if len(metrics["paths"]) == 1 else None
            yield Drawn(pair, label(method, metrics), frames, numbers, spent)


def label(method: str, metrics: dict) -> str:
    """A method with what distinguishes its rows."""
    bend = f", bend {metrics['bend']:g}" if method == "geodesic" else ""
    return NAMES_OF[method] + ("" if method == "blend" else f", tau {metrics['tau']:g}") + bend


@dataclass(frozen=True)
class Ruler:
    """What reads frames: the pictures, the model whose latents measure jumps, and the error of an explained frame."""

    reader: Reader
    pictures: list[Picture]
    model: LatentDiffusion
    pairs: list[dict]

    @cached_property
    def explained(self) -> float:
        """The error that half of the model's own samples do not exceed."""
        generator = torch.Generator().manual_seed(SEED)
        wanted = torch.randint(len(self.pictures), (SAMPLES,), generator=generator).tolist()
        prompts = [self.pictures[k].prompt for k in wanted]
        drawn = torch.cat([
            self.model.sample(prompts[k : k + 40], generator, 30, GUIDANCE).cpu() for k in range(0, SAMPLES, 40)
        ])  # fmt: skip
        errors = torch.tensor([fit.error for fit in self.reader.read(drawn)])
        return float(errors.median())

    def read(self, row: Drawn) -> dict[str, Any]:
        """What one row of frames shows."""
        frames = torch.stack([read_image(path) for path in sorted(row.frames.glob("*.png"))])
        inner, ends = frames[1:-1], frames[[0, -1]]
        fits = self.reader.read(inner)
        left, weights = both(inner, ends)
        z = self.model.encode(frames)
        pair, told = self.pairs[row.pair], row.numbers
        asked = {self.pictures[k].names[0] for k in pair["pictures"]}
        found = {
            "pair": row.pair,
            "kind": pair["kind"],
            "label": row.label,
            "errors": [fit.error for fit in fits],
            "named": [self.pictures[fit.picture].names[0] in asked for fit in fits],
            "of both": left.tolist(),
            "weights": weights.tolist(),
            "jump": largest(z.cpu()),
            "pyramid": largest(pyramid(frames)),
            "features": self.jump_in_features(z),
            "mean log p": told.get("mean_excess"),
            "log length": told.get("log_length"),
            "residual": told.get("relative_residual"),
        }
        if pair["kind"] == MOVED:
            own = [fit.numbers for fit in fits if fit.picture == pair["pictures"][0]]
            found["own"] = len(own) / len(fits)
            found["jump in place"] = jump_in_place(own, pair) if len(own) == len(fits) else None
        return found

    def jump_in_features(self, z: Tensor) -> float:
        """The largest step between latents (n, d) in the features of the network's middle block, as `largest` is."""
        features = pacer("features", self.model, self.model.latent_shape(SIDE, SIDE))
        return float(features.lengths(z).max() / features.lengths(z[[0, -1]]).max())


def largest(z: Tensor) -> float:
    """The largest step between neighbours as a share of the distance of the ends; evenly spaced, 1 / (n - 1)."""
    z = z.flatten(1)
    return float((z[1:] - z[:-1]).norm(dim=1).max() / (z[-1] - z[0]).norm())


def pyramid(frames: Tensor) -> Tensor:
    """Frames at four scales, each with the same weight a pixel of the whole: blurred motion counts as motion."""
    scales = [torch.nn.functional.avg_pool2d(frames, k).flatten(1) * k for k in (1, 2, 4, 8)]
    return torch.cat(scales, 1)


def jump_in_place(found: list[tuple[float, ...]], pair: dict) -> float:
    """The largest step of the placement as a share of its whole way, in units of the ranges of the training."""
    first, last = (Placement(**where).numbers for where in pair["placements"])
    at = torch.stack([first, *map(torch.tensor, found), last]) / RANGES
    return float((at[1:] - at[:-1]).norm(dim=1).max() / (at[-1] - at[0]).norm())


def mean(values: list[float]) -> str:
    """With its standard error."""
    if not values:
        return "-"
    spread = statistics.stdev(values) / len(values) ** 0.5 if len(values) > 1 else 0.0
    digits = 0 if max(map(abs, values)) > 20 else 2 if max(map(abs, values)) < 10 else 1
    return f"{statistics.mean(values):.{digits}f} ± {spread:.{digits}f}"


def doubles(row: dict) -> list[bool]:
    """Which frames of a row show both images at once."""
    frames = zip(row["errors"], row["of both"], row["weights"], strict=True)
    return [is_double(alone, both_, weights) for alone, both_, weights in frames]


def table(rows: list[dict], bar: float) -> str:
    """Markdown: a row a method, for each kind of pairs."""
    lines = []
    for kind in (MOVED, STYLE, CATEGORY):
        by: dict[str, list[dict]] = defaultdict(list)
        for row in rows:
            if row["kind"] == kind:
                by[row["label"]].append(row)
        heads = ["fit error", "explained", "double", "jump (latents)", "jump (pyramid)", "jump (features)"]
        heads += ["mean log p, nats", "residual"]
        heads += ["jump (place)"] if kind == MOVED else []
        lines += [f"\n{kind}\n", "| method | pairs | " + " | ".join(heads) + " |", "|---" * (len(heads) + 2) + "|"]
        for name in sorted(by):
            of = by[name]
            cells = [
                mean([statistics.mean(r["errors"]) for r in of]),
                mean([100 * statistics.mean(e <= bar for e in r["errors"]) for r in of]) + " %",
                mean([100 * statistics.mean(doubles(r)) for r in of]) + " %",
                *(mean([r[key] for r in of]) for key in ("jump", "pyramid", "features")),
                *(mean([r[key] for r in of if r[key] is not None]) for key in ("mean log p", "residual")),
            ]
            if kind == MOVED:
                cells.append(mean([r["jump in place"] for r in of if r["jump in place"] is not None]))
            lines.append(f"| {name} | {len(of)} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def paired(rows: list[dict], against: tuple[str, str]) -> str:
    """What one method has more than another, pair by pair: mean difference and standard error for each kind."""
    lines = [
        f"\n{against[0]} less {against[1]}, pair by pair\n",
        "| kind | pairs | fit error | double | jump (latents) | logarithm of the length |",
    ]
    lines.append("|---" * 6 + "|")
    by = {(row["pair"], row["label"]): row for row in rows}
    for kind in (MOVED, STYLE, CATEGORY):
        numbers = [k for k, name in by if name == against[0] and (k, against[1]) in by and by[k, name]["kind"] == kind]
        both = [(by[k, against[0]], by[k, against[1]]) for k in numbers]
        cells = [
            mean([statistics.mean(a["errors"]) - statistics.mean(b["errors"]) for a, b in both]),
            mean([100 * (statistics.mean(doubles(a)) - statistics.mean(doubles(b))) for a, b in both]) + " %",
            mean([a["jump"] - b["jump"] for a, b in both]),
            mean([a["log length"] - b["log length"] for a, b in both]),
        ]
        lines.append(f"| {kind} | {len(both)} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def costs(drawn: list[Drawn]) -> str:
    """Mean evaluations of the network for a whole run of each method that was drawn alone."""
    by: dict[str, list[int]] = defaultdict(list)
    for row in drawn:
        if row.evaluations is not None:
            by[row.label].append(row.evaluations)
    return "\nNetwork evaluations a run: " + ", ".join(f"{k} {statistics.mean(v):.0f}" for k, v in sorted(by.items()))


def sheets(rows: list[dict], drawn: dict[str, Drawn], out: Path, against: tuple[str, str]) -> None:
    """The pairs in which one method's fit error is most below the other's, and those where it is most above."""
    errors = {(row["pair"], row["label"]): statistics.mean(row["errors"]) for row in rows}
    pairs = [k for k, name in errors if name == against[0] and (k, against[1]) in errors]
    order = sorted(pairs, key=lambda k: errors[k, against[0]] - errors[k, against[1]])
    for name, chosen_ in (("best", order[:BEST_AND_WORST]), ("worst", order[::-1][:BEST_AND_WORST])):
        tiles, titles = [], []
        for k in chosen_:
            for method in against[::-1]:
                files = sorted(drawn[f"{k} {method}"].frames.glob("*.png"))
                tiles.append([read_image(file) for file in files])
                titles.append(f"{k} {method}")
        if tiles:
            write_png(sheet([torch.stack(row) for row in tiles], titles), out / f"{name}.png")


def main() -> None:
    """Read what is not read yet, print the table, write the sheets."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path(".work"), help="where the data stage left the pictures")
    parser.add_argument("--pairs", type=Path, default=Path("emoji-pairs"))
    parser.add_argument("--runs", type=Path, nargs="+", required=True)
    parser.add_argument("--model", default="emoji-mini")
    parser.add_argument(
        "--against",
        nargs=2,
        metavar=("METHOD", "OTHER"),
        default=("local geodesic, tau 0.4, bend 2", "great circle, tau 0.4"),
    )
    asked = parser.parse_args()
    torch.set_num_threads(1)
    images, every = load(asked.work)
    index = chosen(every, NAMES)
    numbers = {k: n for n, k in enumerate(index)}
    pairs = json.loads((asked.pairs / "pairs.json").read_text())
    pairs = [pair | {"pictures": [numbers[k] for k in pair["pictures"]]} for pair in pairs]
    model = load_model(asked.model, device="cpu")
    ruler = Ruler(Reader.of(images[index]), [every[k] for k in index], model, pairs)
    drawn = {row.key: row for root in asked.runs for row in drawn_in(root)}
    kept = asked.pairs / "read.jsonl"
    known = {}
    if kept.exists():
        records = [json.loads(line) for line in kept.read_text().splitlines()]
        known = {f"{record['pair']} {record['label']}": record for record in records}
    for key, row in drawn.items():
        if key not in known:
            known[key] = ruler.read(row)
            with kept.open("a") as file:
                file.write(json.dumps(known[key]) + "\n")
    rows = [known[key] for key in drawn]
    print(f"A frame is explained at a fit error of at most {ruler.explained:.3f}: half of {SAMPLES} samples are.")
    print(table(rows, ruler.explained))
    print(paired(rows, tuple(asked.against)))
    print(costs(list(drawn.values())))
    sheets(rows, drawn, asked.pairs, tuple(asked.against))


if __name__ == "__main__":
    main()
