"""How near to a geodesic is a global path, what does finishing it cost, and was `too_long` right about it?

    python examples/studies/global/nearer.py [--pairs 10]

Each pair is searched twice: as the refinement leaves the path, and with the finish by the surrogate. One line a pair:
evaluations, the relative residual at FINE points, by how much the first path was too long as told (`too_long`), and by
how much the second one is shorter (natural logarithm of the length, the same from either end).
"""

import argparse
import sys
import time
from pathlib import Path
from unittest.mock import patch

import torch

from geodesic_cli.diffusion import load
from geodesic_cli.frames.keyframes import embed
from geodesic_cli.geometry import DensityMetric
from geodesic_cli.runs.places import cache_folder
from geodesic_cli.scenes import render
from geodesic_cli.search.search import SearchChoice, global_path

sys.path.append(str(Path(__file__).parents[1]))  # where shared.py is
from shared import make_pairs

TAU, ALPHA, FINE = 0.1, 0.02, 97


def main() -> None:
    """One row of a Markdown table a pair."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=10)
    options = parser.parse_args()
    model = load("clevr-mini")
    print(
        "| pair | refined: evaluations | residual | too long, as told | finished: evaluations more | residual "
        "| shorter by | s more |\n|---|---|---|---|---|---|---|---|"
    )
    for k, pair in enumerate(make_pairs(50)[: options.pairs]):
        ends = embed(model, render(list(pair)), tuple(scene.caption for scene in pair), TAU, 12)
        metric = DensityMetric(model.score(ends.shape, ends.tau, ends.conditioning, 1.0), ALPHA)
        rows = []
        for left_out in (True, False):
            began = time.process_time()
            with patch("geodesic_cli.search.search.FINISH", 0 if left_out else 12):
                found = global_path(model, ends, SearchChoice(alpha=ALPHA), cache=cache_folder("pools"))
            fine = found.curves["global"].at_constant_speed(FINE)
            scores = metric.scores_at(fine.x, fine.u)
            rows.append(
                (
                    sum(count for what, count in found.evaluations.items() if what != "pool"),
                    metric.residual(fine, scores).relative,
                    float(metric.symmetric_log_length(fine, scores)),
                    found.too_long["global"],
                    time.process_time() - began,
                )
            )
        (cost, residual, length, told, _), (all_, after, there, _, _) = rows
        print(
            f"| {k} | {cost} | {residual:.3f} | {told:.3f} | {all_ - cost} | {after:.3f} | {length - there:.3f} "
            f"| {rows[1][4] - rows[0][4]:.1f} |",
            flush=True,
        )


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
