"""Other ways from one image to the other, to compare a geodesic with: all share its inversion and its decoder.

`settings.methods.SOURCES` says where each is from.
"""

import torch

from geodesic_cli.diffusion import LatentDiffusion
from geodesic_cli.frames.paths import ATTENTION, BLEND, ImagePath, Problem
from geodesic_cli.geometry import Curve, Euclidean

EXTREME = 2.0
"""The size, in standard deviations of a point, above which an entry is extreme."""


def blended(problem: Problem, model: LatentDiffusion, steps: int, guidance: float) -> ImagePath:
    """The straight line between the clean latents, carried to tau at the nodes; drawn without going there.

    It costs ``steps`` evaluations for each inner node.
    """
    u, ends = problem.guess.u, problem.ends
    z = torch.lerp(ends.z[:1], ends.z[1:], u[1:-1, None].to(ends.z))
    x = model.lift(z, ends.shape, ends.conditioning(u[1:-1]), ends.tau, steps, guidance)
    nodes = torch.cat([ends.x[:1], x.to(ends.x), ends.x[1:]])
    return ImagePath(BLEND, Curve(nodes, Euclidean()), None, None, problem.metric.alpha, problem.bend)


def corrected(problem: Problem) -> ImagePath:
    """The great circle with its extreme entries taken back to EXTREME, and its norms restored.

    Inverted images have entries that noise hardly ever has, and sums of them leave the region that the network
    knows. That is the diagnosis of NoiseDiffusion (Zheng et al., ICLR 2024), whose authors clip such entries, too;
    they also add noise and the images themselves, which is left out here. The correction grows from nothing at
    the ends, which stay as they are.
    """
    u, x = problem.guess.u[:, None], problem.slerp().curve.x
    bound = EXTREME * x.square().mean(1, keepdim=True).sqrt()
    mixed = torch.lerp(x, x.clamp(-bound, bound), 4 * u * (1 - u))
    mixed = mixed * x.norm(dim=1, keepdim=True) / mixed.norm(dim=1, keepdim=True)
    curve = Curve(torch.cat([x[:1], mixed[1:-1], x[-1:]]), problem.metric.space)
    return ImagePath("corrected", curve, problem.ends.profile, None, problem.metric.alpha, problem.bend)


def with_mixed_attention(problem: Problem) -> ImagePath:
    """The great circle, whose frames are drawn with the attention of both ends mixed (`diffusion.attention`).

    The points at noise level tau are those of the great circle, and so is all that is measured there.
    """
    circle = problem.slerp()
    return ImagePath(ATTENTION, circle.curve, circle.profile, None, circle.alpha, circle.bend)
