"""The isometry loss by repeated backward passes: the oracle of the other one, and several times as dear."""

import torch
from jaxtyping import Float
from torch import Tensor

from geodesic_cli.distortion.derivatives import Encoder, Inputs, squares, tangent
from geodesic_cli.distortion.loss import Noise, require_known


def exact_loss(f: Encoder, x: Inputs, noise: Noise, *, regulariser: str = "iso") -> Float[Tensor, ""]:
    """L with its graph, which `loss.ratio` has without.

    One forward pass, g = Jᵀc for a dummy c, a = dg/dc P v, w = Jᵀa. f must be twice differentiable in reverse mode:
    fused attention is not (`diffusion.features.twice_differentiable` mends that).
    """
    require_known(regulariser)
    sphere = regulariser == "iso"
    x = x.detach().requires_grad_(True)
    h = f(x)
    if regulariser == "path-length":
        (w,) = torch.autograd.grad(h, x, noise(h.detach()), create_graph=True)
        return squares(w).mean() / squares(w).sqrt().mean() ** 2
    dummy = torch.zeros_like(h, requires_grad=True)
    (g,) = torch.autograd.grad(h, x, dummy, create_graph=True)
    v = noise(x.detach())
    (a,) = torch.autograd.grad(g, dummy, tangent(x.detach(), v) if sphere else v, create_graph=True)
    (w,) = torch.autograd.grad(h, x, a, create_graph=True)
    w = tangent(x.detach(), w) if sphere else w
    return squares(w).mean() / squares(a).mean() ** 2
