"""Is what a solver calls a geodesic one? Random Gaussian mixtures in 8 to 4,096 dimensions.

    python examples/studies/solvers/certificates.py [--problems 200] [--first 0] [--tol 0.03] [--solvers surrogate]

A mixture has 2 to 8 components, and the bending number is between 0.5 and 8. In half of the problems the distances
between components are 2.5 to 6.5 of their scales and the ends lie near two of them; in the others they are 6.5 to 15,
so that the score turns within a hundredth to a fifth of the path, and the ends lie up to half as far from the middle of
a component as its typical samples. Half of the problems are on a sphere. A certificate is false where the status is
CONVERGED and the relative residual of the path on FINE fresh points is above twice the tolerance. One line a problem,
then the sums.
"""

import argparse
import math
import statistics
import time
from collections import Counter

import torch

from geodesic_cli.geometry import (
    Curve,
    DensityMetric,
    Euclidean,
    Relaxation,
    Solution,
    Sphere,
    Surrogate,
    bending,
    solve_bvp,
)
from geodesic_cli.geometry.solution import PathSolver
from geodesic_cli.geometry.zoo.densities import RoundMixture

FINE = 513
"""Points of a path on which its residual is measured, with differences of fourth order."""
DIMENSIONS = (8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096)
SOLVERS: dict[str, PathSolver] = {"surrogate": Surrogate(), "relaxation": Relaxation()}


def problem(seed: int) -> tuple[DensityMetric, Curve]:
    """A random mixture of unit distances, the straight line between two points near two of its means, and alpha."""
    generator = torch.Generator().manual_seed(seed)

    def between(low: float, high: float) -> float:
        return low + (high - low) * float(torch.rand((), generator=generator))

    d = DIMENSIONS[seed % len(DIMENSIONS)]
    count = int(torch.randint(2, 9, (), generator=generator))
    means = torch.randn(count, d, generator=generator, dtype=torch.float64) / math.sqrt(2 * d)
    sharp = seed % 4 >= 2
    scale = 1 / (between(6.5, 15) if sharp else between(2.5, 6.5))
    round_about = torch.randn(2, d, generator=generator, dtype=torch.float64) / math.sqrt(d)
    ends = means[:2] + scale * between(0, 1.5) * round_about * (math.sqrt(d) / 3 if sharp else 1)
    space = Sphere(float(ends.norm(dim=1).mean())) if seed % 20 >= 10 else Euclidean()
    ends = space.project(ends)
    guess = Curve.straight(ends[0], ends[1], 17, space)
    score = RoundMixture(means, scale)
    goal = math.exp(between(math.log(0.5), math.log(8)))
    return DensityMetric(score, goal / bending(score, guess), space), guess


def true_residual(metric: DensityMetric, solution: Solution) -> float:
    """On FINE points of the path."""
    return metric.residual(solution.curve.at_constant_speed(FINE), order=4).relative


def main() -> None:
    """Solve them all and count."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--problems", type=int, default=200)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--tol", type=float, default=0.03)
    parser.add_argument("--max-steps", type=int, default=60)
    parser.add_argument("--solvers", nargs="+", choices=SOLVERS, default=["surrogate"])
    options = parser.parse_args()
    for name in options.solvers:
        ends: Counter[str] = Counter()
        calls, false, longer = [], [], 0
        began = time.monotonic()
        for seed in range(options.first, options.problems):
            metric, guess = problem(seed)
            solution = solve_bvp(metric, guess, solver=SOLVERS[name], tol=options.tol, max_steps=options.max_steps)
            true = true_residual(metric, solution)
            fine = [float(metric.log_length(one.at_constant_speed(FINE))) for one in (guess, solution.curve)]
            ends[solution.status.name] += 1
            calls.append(solution.score_calls)
            longer += fine[1] > fine[0] + 1e-3
            if solution.converged and not true <= 2 * options.tol:
                false.append(seed)
            print(
                f"{seed:4d} d {guess.x.shape[1]:5d} {solution.status.name:12s} {solution.score_calls:4d} evaluations, "
                f"residual {solution.residual:.4f} told, {true:.4f} true, log length {fine[1] - fine[0]:+.3f}",
                flush=True,
            )
        print(
            f"{name}: {len(false)} false certificates of {ends['CONVERGED']} {false}; {dict(ends)}; longer than the "
            f"straight line {longer}; evaluations {statistics.mean(calls):.1f} (mean), {statistics.median(calls):.0f} "
            f"(median); {time.monotonic() - began:.0f} s"
        )


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
