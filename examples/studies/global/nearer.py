"""How near to a geodesic is a global path, what would bring it nearer, and is `too_long` right about it?

    python examples/studies/global/nearer.py [--pairs 5]

The path that a search finds is spread over twice its nodes, and `Relaxation` goes on from there. After half of what the
search cost, 500 and 1,500 evaluations: the least residual at the nodes so far, and by how much the shortest path so far
is shorter than the one found (natural logarithm of the length, the mean of what both ends see).
"""

import argparse
import sys
from pathlib import Path

import torch
from torch import Tensor

from geodesic_cli.diffusion import load
from geodesic_cli.frames.keyframes import embed
from geodesic_cli.geometry import Curve, DensityMetric, Relaxation
from geodesic_cli.geometry.solvers.relaxation import Relaxed
from geodesic_cli.geometry.variation import too_long_by
from geodesic_cli.runs.places import cache_folder
from geodesic_cli.scenes import render
from geodesic_cli.search.candidates import SOFT, STIFF, from_both_ends
from geodesic_cli.search.search import SearchChoice, global_path

sys.path.append(str(Path(__file__).parents[1]))  # where shared.py is
from shared import make_pairs

TAU, ALPHA, NODES = 0.1, 0.02, 49
SOLVER = Relaxation(damping=SOFT, shift=STIFF, between=False, continuation=False, minimum=False)


def length(metric: DensityMetric, curve: Curve, scores: Tensor) -> float:
    """Its logarithm, as both ends see it."""
    change = float(metric.log_density(curve, scores)[-1])
    return from_both_ends(float(metric.log_length(curve, scores)), change, ALPHA)


def main() -> None:
    """A few lines a pair."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=5)
    options = parser.parse_args()
    model = load("clevr-mini")
    for k, pair in enumerate(make_pairs(50)[: options.pairs]):
        ends = embed(model, render(list(pair)), tuple(scene.caption for scene in pair), TAU, 12)
        found = global_path(model, ends, SearchChoice(alpha=ALPHA), cache=cache_folder("pools"))
        metric = DensityMetric(model.score(ends.shape, ends.tau, ends.conditioning, 1.0), ALPHA)
        warm = sum(count for what, count in found.evaluations.items() if what != "pool")
        begun = found.path.curve.at_constant_speed(NODES)
        scores = metric.scores_at(begun.x, begun.u)
        first = shortest = length(metric, begun, scores)
        told, residual = too_long_by(metric, begun, scores), metric.residual(begun, scores).relative
        print(f"{k}: {warm} evaluations; residual {residual:.3f}, too long by {told:.3f} as told", flush=True)
        step, marks = SOLVER.init(metric, begun), [warm // 2, 500, 1500]
        while marks and step.status is None:
            step = SOLVER.step(metric, step)
            now = step.state_of(Relaxed)
            shortest = min(shortest, length(metric, now.curve, now.scores))
            if step.score_calls >= marks[0]:
                marks.pop(0)
                print(
                    f"  after {step.score_calls} more: {step.residual:.3f}, shorter by {first - shortest:.3f}",
                    flush=True,
                )


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
