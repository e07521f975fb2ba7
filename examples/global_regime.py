"""Where motion beats jumping: global geodesics of moved objects over a grid of noise levels and exponents.

    python examples/global_regime.py [--pairs 4] [--taus 0.05 0.1 0.2 0.3 0.4] [--alphas 0.005 0.02 0.05] [--out regime]

A path *moves* where no step between 17 even frames takes the fitted object more than 0.3 of its way. Each cell: of how
many pairs the winner moves / the global path is the shorter one; and the mean logarithm of slerp's length over its.
"""

import argparse
import json
import statistics
from pathlib import Path

from compare_paths import make_pairs
from global_paths import judge

from geodesic_cli.diffusion import load
from geodesic_cli.media import sheet, write_png
from geodesic_cli.scenes import render
from geodesic_cli.tasks import paths
from geodesic_cli.tasks.global_path import global_path
from geodesic_cli.tasks.keyframes import embed
from geodesic_cli.tasks.pacing import even_positions
from geodesic_cli.tasks.pool import cache_folder

FAR = 0.3


def main() -> None:
    """Run the searches that are not on disk yet, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=4)
    parser.add_argument("--taus", type=float, nargs="+", default=[0.05, 0.1, 0.2, 0.3, 0.4])
    parser.add_argument("--alphas", type=float, nargs="+", default=[0.005, 0.02, 0.05])
    parser.add_argument("--out", type=Path, default=Path("regime"))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    model, pairs = load("clevr-mini"), make_pairs(50)[0 : 2 * options.pairs : 2]
    lines = ["| τ \\ α | " + " | ".join(f"{alpha:g}" for alpha in options.alphas) + " |"]
    lines.append("|---" * (1 + len(options.alphas)) + "|")
    for tau in options.taus:
        cells = []
        for alpha in options.alphas:
            runs = []
            for k, pair in enumerate(pairs):
                file = options.out / f"tau-{tau:g}-alpha-{alpha:g}-pair-{k}.json"
                if not file.exists():
                    ends = embed(model, render(list(pair)), tuple(scene.caption for scene in pair), tau, 12)
                    found = global_path(model, ends, alpha=alpha, cache=cache_folder())
                    u = even_positions(model, ends, found.path, 17, 12, 1.0)
                    z = paths.clean(model, ends, found.path, u, 12, 1.0)
                    frames = model.decode(z, ends.shape).cpu()
                    write_png(sheet([frames]), file.with_suffix(".png"))
                    run = {"step": judge(pair, frames, z)["step"], "best": found.path.method, "lengths": found.lengths}
                    file.write_text(json.dumps(run) + "\n")
                runs.append(json.loads(file.read_text()))
            gains = [run["lengths"]["slerp"] - run["lengths"][run["best"]] for run in runs]
            moves, won = sum(run["step"] < FAR for run in runs), sum(run["best"] == "global" for run in runs)
            cells.append(f"{moves} / {won}; {statistics.mean(gains):.1f}")
        lines.append(f"| {tau:g} | " + " | ".join(cells) + " |")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
