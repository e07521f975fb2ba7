"""Where motion beats jumping: global geodesics over a grid of noise levels and exponents.

    python examples/studies/global/regime.py [--moved 8] [--different 4] [--taus 0.05 0.1 0.2] [--alphas 0.005 0.02]

The pairs are the first of `paths.py`. A path *moves* where no step between 17 even frames takes the fitted
object more than 0.3 of its way. Each cell, of an object that moved: of how many pairs the winner moves / the global
path is the shorter one / it is monotone; the mean scene-fit error of its inner frames over that of reconstructions; the
mean logarithm of slerp's length over its. Then the same, of different objects. regime.png shows the winners of the pair
`--shown`, a row for each noise level and exponent in the order of the table. Every search is on disk when it is done.
"""

import argparse
import statistics
import sys
from functools import partial
from pathlib import Path

import torch
from paths import even_latents, judge

from geodesic_cli.diffusion import LatentDiffusion, load
from geodesic_cli.frames.keyframes import embed
from geodesic_cli.media import read_image, sheet, write_png
from geodesic_cli.runs.places import cache_folder
from geodesic_cli.scenes import Scene, fit_all, render
from geodesic_cli.search.search import SearchChoice, global_path

sys.path.append(str(Path(__file__).parents[1]))  # where shared.py is
from shared import kept, make_pairs

FAR = 0.3


def study(model: LatentDiffusion, pair: tuple[Scene, Scene], tau: float, alpha: float, picture: Path) -> dict:
    """One search."""
    ends = embed(model, render(list(pair)), tuple(scene.caption for scene in pair), tau, 12)
    found = global_path(model, ends, SearchChoice(alpha=alpha), cache=cache_folder("pools"))
    frames = model.decode(even_latents(model, ends, found.path), ends.shape).cpu()
    write_png(torch.cat(list(frames), dim=2), picture)
    return {
        **judge(pair, frames),
        "ends": statistics.mean(f.error for f in fit_all(model.decode(ends.z, ends.shape).cpu())),
        "best": found.path.method,
        "lengths": found.lengths,
        "evaluations": found.evaluations,
        "status": found.status,
    }


def cell(runs: list[dict]) -> str:
    """What is said of one noise level and exponent."""
    gains = [run["lengths"]["slerp"] - run["lengths"][run["best"]] for run in runs]
    fit = statistics.mean(statistics.mean(run["fit"]) for run in runs) / statistics.mean(run["ends"] for run in runs)
    moves = sum(run["step"] < FAR for run in runs)
    won = sum(run["best"] == "global" for run in runs)
    onward = sum(run["monotone"] for run in runs)
    return f"{moves} / {won} / {onward}; {fit:.2f}; {statistics.mean(gains):.1f}"


def main() -> None:
    """Run the searches that are not on disk yet, then print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--moved", type=int, default=8)
    parser.add_argument("--different", type=int, default=4)
    parser.add_argument("--taus", type=float, nargs="+", default=[0.05, 0.1, 0.2, 0.4])
    parser.add_argument("--alphas", type=float, nargs="+", default=[0.005, 0.02, 0.05])
    parser.add_argument("--shown", type=int, default=6)
    parser.add_argument("--out", type=Path, default=Path("regime"))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    model, pairs = load("clevr-mini"), make_pairs(50)
    kinds = {
        "One object moved": range(0, 2 * options.moved, 2),
        "Different objects": range(1, 2 * options.different, 2),
    }
    cells = [(tau, alpha) for tau in options.taus for alpha in options.alphas]

    def file(tau: float, alpha: float, k: int) -> Path:
        return options.out / f"tau-{tau:g}-alpha-{alpha:g}-pair-{k:03d}.json"

    for title, chosen in kinds.items():
        if not chosen:
            continue
        said = {}
        for tau, alpha in cells:
            at = {k: file(tau, alpha, k) for k in chosen}
            made = {k: partial(study, model, pairs[k], tau, alpha, at[k].with_suffix(".png")) for k in chosen}
            said[tau, alpha] = cell([kept(at[k], made[k]) for k in chosen])
        print(f"{title}\n\n| τ \\ α | " + " | ".join(f"{alpha:g}" for alpha in options.alphas) + " |")
        print("|---" * (1 + len(options.alphas)) + "|")
        for tau in options.taus:
            print(f"| {tau:g} | " + " | ".join(said[tau, alpha] for alpha in options.alphas) + " |")
        print()
    pictures = {f"{tau:g}, {alpha:g}": file(tau, alpha, options.shown).with_suffix(".png") for tau, alpha in cells}
    if all(picture.exists() for picture in pictures.values()):
        strips = [read_image(picture) for picture in pictures.values()]
        rows = [torch.stack(strip.split(strip.shape[1], dim=2)[::2]) for strip in strips]
        write_png(sheet(rows, list(pictures)), options.out / "regime.png")


if __name__ == "__main__":
    main()
