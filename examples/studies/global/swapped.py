"""Does the winner of a search depend on which image is named first?

    python examples/studies/global/swapped.py [--pairs 20] [--tau 0.1] [--alpha 0.02] [--pool-size 96] [--out swapped]

The pairs are those of `shared.py`. Both orders are encoded and searched from the beginning. A pair passes if both find
the same winner, and if the frames of one, evenly spaced, are those of the other in reverse. *One end* is the rule
before: lengths as the first image alone sees them, from the paths that were found. Every pair is on disk when done.
"""

import argparse
import statistics
import sys
from functools import partial
from pathlib import Path

import torch
from paths import even_latents

from geodesic_cli.diffusion import LatentDiffusion, load
from geodesic_cli.frames.keyframes import embed
from geodesic_cli.runs.places import cache_folder
from geodesic_cli.scenes import Scene, render
from geodesic_cli.search.candidates import KNOWN
from geodesic_cli.search.outcome import GlobalPath
from geodesic_cli.search.search import SearchChoice, global_path

sys.path.append(str(Path(__file__).parents[1]))  # where shared.py is
from shared import kept, make_pairs

SAME = 1e-3
"""Frames in [0, 1] that differ by less than this are the same picture."""


def by_one_end(found: GlobalPath, alpha: float, end: int) -> str:
    """The winner as one image alone (0 or 1) sees the paths."""
    sign = -1 if end == 0 else 1
    seen = {name: found.lengths[name] + sign * alpha * found.changes[name] / 2 for name in ("local", "global")}
    return "global" if seen["global"] < seen["local"] + KNOWN else "local"


def study(model: LatentDiffusion, pair: tuple[Scene, Scene], options: argparse.Namespace) -> dict:
    """One pair in both orders."""
    choice = SearchChoice(alpha=options.alpha, pool_size=options.pool_size)
    found, films = [], []
    for scenes in (pair, pair[::-1]):
        ends = embed(model, render(list(scenes)), tuple(scene.caption for scene in scenes), options.tau, 12)
        found.append(global_path(model, ends, choice, cache=cache_folder("pools")))
        films.append(model.decode(even_latents(model, ends, found[-1].path, 9), ends.shape).cpu())
    there, back = found
    both = "global" in there.lengths
    return {
        "winners": [one.path.method for one in found],
        "one_end": [by_one_end(there, options.alpha, end) for end in (0, 1)] if both else [],
        "longer": there.lengths["global"] - there.lengths["local"] if both else None,
        "spread": abs(there.changes["global"] - there.changes["local"]) if both else None,
        "comparable_to": there.comparable_to,
        "points": float((there.path.curve.x - back.path.curve.x.flip(0)).abs().max()),
        "frames": float((films[0] - films[1].flip(0)).abs().max()),
    }


def main() -> None:
    """Study the pairs that are not done yet, then print the numbers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=20)
    parser.add_argument("--tau", type=float, default=0.1)
    parser.add_argument("--alpha", type=float, default=0.02)
    parser.add_argument("--pool-size", type=int, default=96)
    parser.add_argument("--out", type=Path, default=Path("swapped"))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    model, pairs = load("clevr-mini"), make_pairs(50)[: options.pairs]
    results = [
        kept(options.out / f"pair-{k:03d}.json", partial(study, model, pair, options)) for k, pair in enumerate(pairs)
    ]
    joined = [r for r in results if r["one_end"]]
    spreads = [r["spread"] for r in joined]
    print(f"same winner in both orders: {sum(len(set(r['winners'])) == 1 for r in results)} of {len(results)}")
    print(f"frames in reverse: {sum(r['frames'] < SAME for r in results)} of {len(results)}")
    print(f"largest difference of a frame {max(r['frames'] for r in results):.1e}")
    print(f"the two ends alone disagree on the winner: {sum(len(set(r['one_end'])) == 2 for r in joined)}")
    print(f"global wins: {sum(r['winners'][0] == 'global' for r in results)}")
    print(
        f"log p of the far end between the two paths, nats: median {statistics.median(spreads):.0f}, "
        f"from {min(spreads):.0f} to {max(spreads):.0f}"
    )
    within = [r for r in joined if abs(r["longer"]) < r["comparable_to"]]
    print(f"comparisons within their uncertainty: {len(within)} of {len(joined)}")
    print(
        "local shorter (log length):",
        [
            (k, round(r["longer"], 2), round(r["comparable_to"], 2))
            for k, r in enumerate(results)
            if r["one_end"] and r["longer"] > 0
        ],
    )


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
