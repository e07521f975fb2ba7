"""The published solver at its published settings and rate beside ours: the same pairs, score, metric and first path.

    python examples/studies/solvers/authors.py [--pairs 20] [--tau 0.6] [--bend 4] [--out authors]

`GradientFlow` is the published method, re-implemented: levels of 1, 3, 7 and 15 control points, 100 iterations each, a
rate of 0.1 on the authors' direction, which is 0.1 sigma / 2 on a score, and their one test for leaving a level. Tau is
theirs. Both paths are measured anew, by 33 evaluations that do not count: the logarithm of the length over that of the
great circle, log p above the straight line between the ends' (nats, mean over the path), the relative residual of the
geodesic equation. Every pair is on disk when it is done.
"""

import argparse
import math
import statistics
import sys
from functools import partial
from pathlib import Path

import torch

from geodesic_cli.diffusion import LatentDiffusion, load
from geodesic_cli.frames.keyframes import embed
from geodesic_cli.frames.paths import ImagePath, Problem
from geodesic_cli.geometry import GradientFlow, Solution, Surrogate, solve_bvp
from geodesic_cli.scenes import Scene, render

sys.path.append(str(Path(__file__).parents[1]))  # where shared.py is
from shared import kept, make_pairs

OURS, THEIRS = "Surrogate", "GradientFlow as published"


def study(model: LatentDiffusion, pair: tuple[Scene, Scene], options: argparse.Namespace) -> dict:
    """Both solvers on one pair."""
    images, prompts = render(list(pair)), tuple(scene.caption for scene in pair)
    ends = embed(model, images, prompts, options.tau, 12)
    problem = Problem.between(model, ends, bend=options.bend, alpha=None, nodes=17, seed=0)
    slerp = problem.measure(problem.slerp())
    published = GradientFlow(lr=problem.rate, checked=False)
    result: dict = {"alpha": problem.metric.alpha, "slerp": {"residual": slerp.relative_residual}}

    def measured(found: Solution) -> dict:
        path = ImagePath("geodesic", found.curve, ends.profile, found, problem.metric.alpha, problem.bend)
        told = problem.measure(path)
        return {
            "evaluations": found.score_calls,
            "status": found.status.name,
            "longer": told.log_length - slerp.log_length,
            "excess": told.mean_excess - slerp.mean_excess,
            "residual": told.relative_residual,
        }

    steps = published.total + 1
    result[THEIRS] = measured(solve_bvp(problem.metric, problem.guess, solver=published, tol=1e-9, max_steps=steps))
    result[OURS] = measured(solve_bvp(problem.metric, problem.guess, solver=Surrogate(), tol=0.03, max_steps=40))
    return result


def main() -> None:
    """Study the pairs that are not done yet, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=20)
    parser.add_argument("--tau", type=float, default=0.6)
    parser.add_argument("--bend", type=float, default=4.0)
    parser.add_argument("--out", type=Path, default=Path("authors"))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    model = load("clevr-mini")
    results = []
    for k, pair in enumerate(make_pairs(50)[: options.pairs]):
        results.append(kept(options.out / f"pair-{k:03d}.json", partial(study, model, pair, options)))
        print(k, {name: results[-1][name] for name in (THEIRS, OURS)}, flush=True)
    print("\n| solver | evaluations | length, share of the great circle's | log p above it, nats | residual |")
    print("|---|---|---|---|---|")
    for name in (THEIRS, OURS):
        runs = [result[name] for result in results]
        spent = sorted(run["evaluations"] for run in runs)
        lengths = [math.exp(run["longer"]) for run in runs]
        excess, residuals = ([run[key] for run in runs] for key in ("excess", "residual"))
        print(
            f"| {name} | {statistics.median(spent):.0f} ({spent[0]} to {spent[-1]}) | {statistics.median(lengths):.3f} "
            f"| {statistics.median(excess):.1f} | {statistics.median(residuals):.3f} (most {max(residuals):.2f}) |"
        )
    pairs = [(result[OURS], result[THEIRS]) for result in results]
    shorter = sum(ours["longer"] < theirs["longer"] for ours, theirs in pairs)
    denser = sum(ours["excess"] > theirs["excess"] for ours, theirs in pairs)
    nearer = sum(ours["residual"] < theirs["residual"] for ours, theirs in pairs)
    print(
        f"\n{len(pairs)} pairs: {OURS} is shorter in {shorter}, denser in {denser}, nearer to a geodesic in {nearer}; "
        f"it converged in {sum(ours['status'] == 'CONVERGED' for ours, _ in pairs)}."
    )


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
