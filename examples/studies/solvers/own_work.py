"""What the solver itself costs beside the score, by dimension: processor time for each evaluation of the score.

    python examples/studies/solvers/own_work.py [--dimensions 256 1024 4096 16384] [--alpha 0.002]

The problem is the zoo's mixture along an arc of a sphere. At a bend that is kept, alpha falls as the dimension grows.
"""

import argparse
import time
from dataclasses import replace

import torch
from torch import Tensor

from geodesic_cli.geometry import Score, Surrogate, solve_bvp
from geodesic_cli.geometry.zoo.problems import latent_arc


def main() -> None:
    """One row a dimension."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dimensions", type=int, nargs="+", default=[256, 1024, 4096, 16384])
    parser.add_argument(
        "--alpha", type=float, default=0.002, help="in 16,384 dimensions; in proportion to 1 / d elsewhere"
    )
    options = parser.parse_args()
    torch.set_num_threads(1)
    print("| d | status | evaluations | solver, ms an evaluation | score, ms an evaluation |\n|---|---|---|---|---|")
    for dimension in options.dimensions:
        case = latent_arc(options.alpha * 16_384 / dimension, dimension)
        score, spent = case.metric.score, 0.0

        def timed(x: Tensor, u: Tensor, score: Score = score) -> Tensor:
            nonlocal spent
            began = time.process_time()
            answer = score(x, u)
            spent += time.process_time() - began
            return answer

        began = time.process_time()
        found = solve_bvp(replace(case.metric, score=timed), case.straight(), solver=Surrogate(), tol=0.03)
        own = time.process_time() - began - spent
        each = [1e3 * seconds / found.score_calls for seconds in (own, spent)]
        print(
            f"| {dimension:,} | {found.status.name} | {found.score_calls} | {each[0]:.1f} | {each[1]:.1f} |", flush=True
        )


if __name__ == "__main__":
    main()
