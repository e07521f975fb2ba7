"""How large a pool a global geodesic needs: cost and quality against the number of samples.

    python examples/studies/global/pools.py [--sizes 50 100 200 400 800 1600] [--moved 6] [--different 4] [--out pools]

The pairs are the first of `paths.py`, moved and different objects apart. For each size: evaluations with a cold
and with a warm pool, seconds of a search with a warm one, the median logarithm of slerp's length over the winner's and
over the global path's, how often that is the shorter one; and on `--fitted` pairs of each kind the mean scene-fit error
of the winner's inner frames. Every search is on disk when it is done.
"""

import argparse
import statistics
import sys
import time
from functools import partial
from pathlib import Path

from paths import even_latents, judge

from geodesic_cli.diffusion import LatentDiffusion, load
from geodesic_cli.frames.keyframes import embed
from geodesic_cli.runs.places import cache_folder
from geodesic_cli.scenes import Scene, render
from geodesic_cli.search.search import SearchChoice, global_path

sys.path.append(str(Path(__file__).parents[1]))  # where shared.py is
from shared import kept, make_pairs

HEADS = ("pool", "cold", "warm", "seconds", "slerp / winner", "slerp / global", "global won", "fit error")


def study(model: LatentDiffusion, pair: tuple[Scene, Scene], size: int, fits: bool, cache: Path) -> dict:
    """One search."""
    ends = embed(model, render(list(pair)), tuple(scene.caption for scene in pair), 0.1, 12)
    began = drawn = time.monotonic()

    def tell(stage: str, evaluations: int) -> None:
        nonlocal drawn
        if stage == "search":
            drawn = time.monotonic()

    found = global_path(model, ends, SearchChoice(pool_size=size), cache=cache, on_stage=tell)
    result = {
        "warm": sum(cost for what, cost in found.evaluations.items() if what != "pool"),
        "cold": found.graph["pool"],
        "seconds": time.monotonic() - drawn,
        "pool_seconds": drawn - began,
        "best": found.path.method,
        "lengths": found.lengths,
        "fit": None,
    }
    if fits:
        frames = model.decode(even_latents(model, ends, found.path), ends.shape).cpu()
        result["fit"] = statistics.mean(judge(pair, frames)["fit"])
    return result


def row(size: int, runs: list[dict]) -> str:
    """One row of the table."""
    warm = statistics.mean(run["warm"] for run in runs)
    won = [run["lengths"]["slerp"] - run["lengths"][run["best"]] for run in runs]
    more = [run["lengths"]["slerp"] - run["lengths"]["global"] for run in runs if "global" in run["lengths"]]
    fitted = [run["fit"] for run in runs if run["fit"] is not None]
    cells = (
        f"{size}",
        f"{warm + statistics.mean(run['cold'] for run in runs):.0f}",
        f"{warm:.0f}",
        f"{statistics.mean(run['seconds'] for run in runs):.1f}",
        f"{statistics.median(won):.2f}",
        f"{statistics.median(more):.2f}" if more else "-",
        f"{sum(run['best'] == 'global' for run in runs)} of {len(runs)}",
        f"{statistics.mean(fitted):.3f} ({len(fitted)})" if fitted else "-",
    )
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    """Run the searches that are not on disk yet, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[50, 100, 200, 400, 800, 1600])
    parser.add_argument("--moved", type=int, default=6)
    parser.add_argument("--different", type=int, default=4)
    parser.add_argument("--fitted", type=int, default=2)
    parser.add_argument("--cache", type=Path, default=cache_folder("pools"))
    parser.add_argument("--out", type=Path, default=Path("pools"))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    model, pairs = load("clevr-mini"), make_pairs(50)
    chosen = [*range(0, 2 * options.moved, 2), *range(1, 2 * options.different, 2)]
    print("| " + " | ".join(HEADS) + " |\n|" + "---|" * len(HEADS))
    for size in options.sizes:
        runs = [
            kept(
                options.out / f"pool-{size:04d}-pair-{k:03d}.json",
                partial(study, model, pairs[k], size, k // 2 < options.fitted, options.cache),
            )
            for k in chosen
        ]
        print(row(size, runs), flush=True)


if __name__ == "__main__":
    main()
