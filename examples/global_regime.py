"""Where motion beats jumping: global geodesics over a grid of noise levels and exponents.

    python examples/global_regime.py [--moved 8] [--different 4] [--taus 0.05 0.1 0.2 0.4] [--alphas 0.005 0.02 0.05]

The pairs are the first of `global_paths.py`. A path *moves* where no step between 17 even frames takes the fitted
object more than 0.3 of its way. Each cell, of an object that moved: of how many pairs the winner moves / the global
path is the shorter one / it is monotone; the mean scene-fit error of its inner frames over that of reconstructions; the
mean logarithm of slerp's length over its. Then the same, of different objects. A sheet for each noise level shows the
winners of the first pair, a row for each exponent. Every search is on disk when it is done.
"""

import argparse
import json
import statistics
from pathlib import Path

from compare_paths import make_pairs
from global_paths import judge

from geodesic_cli.diffusion import LatentDiffusion, load
from geodesic_cli.media import sheet, write_png
from geodesic_cli.scenes import Scene, fit_all, render
from geodesic_cli.tasks import paths
from geodesic_cli.tasks.global_path import global_path
from geodesic_cli.tasks.keyframes import embed
from geodesic_cli.tasks.pacing import even_positions
from geodesic_cli.tasks.pool import cache_folder

FAR = 0.3


def study(model: LatentDiffusion, pair: tuple[Scene, Scene], tau: float, alpha: float, picture: Path) -> dict:
    """One search."""
    ends = embed(model, render(list(pair)), tuple(scene.caption for scene in pair), tau, 12)
    found = global_path(model, ends, alpha=alpha, cache=cache_folder())
    u = even_positions(model, ends, found.path, 17, 12, 1.0)
    z = paths.clean(model, ends, found.path, u, 12, 1.0)
    frames = model.decode(z, ends.shape).cpu()
    write_png(sheet([frames]), picture)
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
    parser.add_argument("--out", type=Path, default=Path("regime"))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    model, pairs = load("clevr-mini"), make_pairs(50)
    kinds = {
        "One object moved": range(0, 2 * options.moved, 2),
        "Different objects": range(1, 2 * options.different, 2),
    }
    for title, chosen in kinds.items():
        if not chosen:
            continue
        print(f"{title}\n\n| τ \\ α | " + " | ".join(f"{alpha:g}" for alpha in options.alphas) + " |")
        print("|---" * (1 + len(options.alphas)) + "|")
        for tau in options.taus:
            cells = []
            for alpha in options.alphas:
                runs = []
                for k in chosen:
                    file = options.out / f"tau-{tau:g}-alpha-{alpha:g}-pair-{k:03d}.json"
                    if not file.exists():
                        run = study(model, pairs[k], tau, alpha, file.with_suffix(".png"))
                        file.write_text(json.dumps(run) + "\n")
                    runs.append(json.loads(file.read_text()))
                cells.append(cell(runs))
            print(f"| {tau:g} | " + " | ".join(cells) + " |", flush=True)
        print()


if __name__ == "__main__":
    main()
