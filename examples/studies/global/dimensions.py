"""The same picture in 256 to 16,384 dimensions: does a search find the same path there, with the same relative lengths?

    python examples/studies/global/dimensions.py [--dimensions 256 1024 4096 16384]

Data are a mixture of Gaussians whose means lie on a ring in a plane, the ring growing with sqrt(d) and the deviation of
a coordinate staying: as if one picture were kept in more and more pixels. The network is exact. The images are two
means; the short way between them crosses a gap in the ring, the long way round is plausible throughout. Off the plane
there is only noise, so a geodesic between means stays in the plane, and its length is known by solving there, in two
dimensions, with many nodes, from either way round. Lengths are natural logarithms over that of the shorter of the two,
which is the long way; alpha is the usual one, a share of 1 / d.
"""

import argparse
import math
import time
from dataclasses import replace

import torch
from torch import Tensor

from geodesic_cli.diffusion import Conditioning, LatentDiffusion, load
from geodesic_cli.diffusion.schedule import Schedule
from geodesic_cli.frames.keyframes import Ends
from geodesic_cli.geometry import Curve, DensityMetric, Euclidean, Relaxation, from_both_ends, solve_bvp
from geodesic_cli.search.search import GlobalPath, SearchChoice, global_path, usual_alpha

TAU, DEVIATION, MODES = 0.1, 0.1, 48
ENDS, GAP = math.radians(60), math.radians(45)
"""Angles of the images and of the edges of the gap, on either side of its middle."""
FINE = 257
"""Nodes of the path that is taken for the truth."""


class Mixture(torch.nn.Module):
    """The exact noise of a mixture of Gaussians on half a circle in d dimensions, for the schedule of a model."""

    def __init__(self, dimension: int, schedule: Schedule) -> None:
        super().__init__()
        self.schedule = schedule
        self.circle = math.sqrt(dimension) * ring(MODES, GAP, 2 * math.pi - GAP)
        self.plane = torch.linalg.qr(
            torch.randn(dimension, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        )[0]
        self.means = self.circle @ self.plane.T
        self.weight = torch.nn.Parameter(torch.ones(1), requires_grad=False)

    def forward(self, z: Tensor, timestep: Tensor) -> Tensor:
        """The noise in z (n, C, H, W)."""
        a, s = self.schedule.at(float(timestep[0]))
        x = z.double().flatten(1)
        return (-s * score(x, a * self.means, a * a * DEVIATION**2 + s * s)).reshape(z.shape).to(z.dtype)


def ring(count: int, first: float, last: float) -> Tensor:
    """Points (count, 2) of a ring about the origin between two angles; 0 is the middle of the gap."""
    angles = torch.linspace(first, last, count, dtype=torch.float64)
    return torch.stack([angles.cos(), angles.sin()], 1)


def score(x: Tensor, means: Tensor, variance: float) -> Tensor:
    """grad log p at x (n, d) of equal Gaussians about means (k, d)."""
    apart = torch.cdist(x, means).square()
    return ((-apart / (2 * variance)).softmax(1) @ means - x) / variance


def truth(dimension: int, network: Mixture, alpha: float) -> tuple[float, float]:
    """The logarithms of the lengths of the geodesics the long and the short way round, solved in the plane."""
    a, s, _ = network.schedule.level(TAU)
    means, variance = a * network.circle, a * a * DEVIATION**2 + s * s
    metric = DensityMetric(lambda x, u: score(x, means, variance), alpha)

    def length(last: float) -> float:
        arc = Curve(a * math.sqrt(dimension) * ring(FINE, ENDS, last), Euclidean())
        curve = solve_bvp(metric, arc, solver=Relaxation(), tol=1e-4, max_steps=500).curve
        scores = metric.scores_at(curve.x, curve.u)
        change = float(metric.log_density(curve, scores)[-1])
        return from_both_ends(float(metric.log_length(curve, scores)), change, alpha)

    return length(2 * math.pi - ENDS), length(-ENDS)


def searched(base: LatentDiffusion, network: Mixture, alpha: float) -> tuple[GlobalPath, float]:
    """The search between the two images with this network in a model, and its seconds of processor time."""
    predict = replace(base.predict, unet=network, ask=lambda unet, z, times, condition: unet(z, times))
    model, dimension = replace(base, predict=predict), network.means.shape[1]
    side = math.isqrt(dimension // 4)
    at = math.sqrt(dimension) * torch.cat([ring(1, ENDS, ENDS), ring(1, -ENDS, -ENDS)])
    z = at @ network.plane.T
    condition = model.prompts.embed("")
    x = model.ridge(z, TAU)
    ends = Ends(z, x, (4, side, side), TAU, (99.0, 99.0), Conditioning(condition, condition))
    began = time.process_time()
    return global_path(model, ends, SearchChoice(alpha)), time.process_time() - began


def main() -> None:
    """One row a dimension."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dimensions", type=int, nargs="+", default=[256, 1024, 4096, 16384])
    parser.add_argument("--alpha", type=float, help="the same in every dimension, in place of the usual one")
    options = parser.parse_args()
    base = load("clevr-mini")
    heads = [
        "d",
        "alpha",
        "short way",
        "path over samples",
        "global path",
        "local path",
        "great circle",
        "taken",
        "evaluations",
        "s",
    ]
    print("| " + " | ".join(heads) + " |\n" + "|---" * len(heads) + "|")
    for dimension in options.dimensions:
        alpha = usual_alpha(dimension) if options.alpha is None else options.alpha
        network = Mixture(dimension, base.predict.schedule)
        found, seconds = searched(base, network, alpha)
        best, short = truth(dimension, network, alpha)
        over = {name: value - best for name, value in found.lengths.items()}
        print(
            f"| {dimension:,} | {alpha:.2g} | {short - best:.2f} "
            + "".join(f"| {over.get(name, math.inf):.2f} " for name in ("graph", "global", "local", "slerp"))
            + f"| {found.path.method} | {sum(found.evaluations.values()):,} | {seconds:.1f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
