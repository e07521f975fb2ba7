"""Geodesics of a density in the plane: a straight line crosses the gap of a ring, the geodesic goes round.

python examples/01_toy_geodesics.py [picture.png]
"""

import math
import sys

import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from geodesic_cli.geometry import Curve, DensityMetric, analyse, perturb, solve_bvp
from geodesic_cli.geometry.toys import GaussianMixture


def main() -> None:
    """Solve for three values of alpha, print what each path costs, and draw them over the density."""
    angle = torch.linspace(0, 2 * math.pi, 13, dtype=torch.float64)[:-1]
    ring = torch.stack([angle.cos(), angle.sin()], 1) * 2
    density = GaussianMixture(ring, torch.full((12,), 0.5, dtype=torch.float64), torch.ones(12, dtype=torch.float64))
    a, b = ring[0], ring[5]
    line = Curve.straight(a, b, 33)
    curves = {"straight": line}
    for alpha in (0.1, 0.3, 1.0):
        # A bump of 1% decides which way round; from an exact axis of symmetry a solver could not.
        guess = perturb(line, 0.01, torch.Generator().manual_seed(0))
        solution = solve_bvp(DensityMetric(density, alpha), guess, tol=0.01, max_steps=100)
        report = analyse(DensityMetric(density, alpha), solution.curve)
        straight = analyse(DensityMetric(density, alpha), line)
        print(
            f"alpha {alpha}: length {report.length:.3f} against {straight.length:.3f} of the straight line, "
            f"least log p {report.min_log_density:+.2f} against {straight.min_log_density:+.2f}; "
            f"residual {report.relative_residual:.4f}, {solution.score_calls} evaluations: {solution.status.value}"
        )
        curves[f"alpha {alpha}"] = solution.curve
    draw(density, curves, sys.argv[1] if len(sys.argv) > 1 else "toy.png")


def draw(density: GaussianMixture, curves: dict[str, Curve], path: str) -> None:
    """Contours of log p and the curves over them."""
    axis = torch.linspace(-3.2, 3.2, 200, dtype=torch.float64)
    grid = torch.cartesian_prod(axis, axis)
    figure = Figure(figsize=(6, 6), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    panel = figure.add_subplot(aspect="equal")
    heights = density.log_prob(grid).reshape(200, 200).T
    panel.contourf(axis, axis, heights.exp(), levels=14, cmap="Greys")
    for name, curve in curves.items():
        points = curve(torch.linspace(0, 1, 300, dtype=torch.float64))
        panel.plot(points[:, 0], points[:, 1], label=name, linewidth=2)
    panel.legend(loc="upper right")
    panel.set_title("Geodesics of ds = p(x)^(-alpha) |dx| on a ring")
    figure.savefig(path)


if __name__ == "__main__":
    main()
