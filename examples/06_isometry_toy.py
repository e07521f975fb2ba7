"""What the isometry loss does, on a sphere that can be seen: rings of equal latitude, drawn flat by an encoder.

python examples/06_isometry_toy.py [picture.png]

An autoencoder S² -> R² -> S² is trained on a cap of the sphere, with and without the loss on its encoder. Rings are ten
degrees apart; an isometry would draw them at equal spacing. Printed is the spacing's coefficient of variation.
"""

import math
import sys

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from geodesic_cli.distortion.loss import gaussian, gradient_scalar, linearise

RINGS, MERIDIANS = torch.linspace(math.radians(5), math.radians(105), 11), torch.linspace(0, 2 * math.pi, 73)


def on_sphere(polar: Tensor, longitude: Tensor) -> Tensor:
    """Points (..., 3)."""
    return torch.stack([polar.sin() * longitude.cos(), polar.sin() * longitude.sin(), polar.cos()], -1)


def rings_after_training(weight: float, seed: int, steps: int = 1200) -> Tensor:
    """The rings (11, 73, 2) as an encoder draws them that was trained with this weight of the isometry loss."""
    torch.manual_seed(seed)
    encoder, decoder = (
        nn.Sequential(nn.Linear(m, 64), nn.SiLU(), nn.Linear(64, 64), nn.SiLU(), nn.Linear(64, n))
        for m, n in ((3, 2), (2, 3))
    )
    optimiser = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], 3e-3)
    falling = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: 1 - step / steps)
    chance = torch.Generator().manual_seed(seed)
    for _ in range(steps):
        height, longitude = torch.rand(2, 256, generator=chance)
        x = on_sphere((1 - height * (1 - RINGS[-1].cos())).acos(), 2 * math.pi * longitude)
        loss = (decoder(encoder(x)) - x).square().mean()
        if weight:
            probe = linearise(encoder, x, gaussian(chance), keep_graph=True)
            loss = loss + weight * gradient_scalar(encoder, probe, probe.totals)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        falling.step()
    return encoder(on_sphere(*torch.meshgrid(RINGS, MERIDIANS, indexing="ij"))).detach()


if __name__ == "__main__":
    figure = Figure(figsize=(8.4, 4.4), layout="constrained")
    for panel, (title, weight) in zip(figure.subplots(1, 2), (("without", 0.0), ("with", 0.1)), strict=True):
        drawn = torch.stack([rings_after_training(weight, seed) for seed in range(4)])
        spacing = (drawn[:, 1:, :-1] - drawn[:, :-1, :-1]).norm(dim=-1).flatten(1)
        uneven = spacing.std(1) / spacing.mean(1)
        print(f"{title} the isometry loss: ring spacing varies by {uneven.mean():.3f} +- {uneven.std():.3f}")
        panel.plot(*drawn[0].unbind(-1), color="#BBBBBB", linewidth=0.6)  # meridians
        panel.plot(*drawn[0].transpose(0, 1).unbind(-1), color="#0072B2", linewidth=1.4)  # rings
        panel.set(title=f"{title} the isometry loss: varies by {uneven.mean():.0%}", aspect="equal")
    figure.savefig(sys.argv[1] if len(sys.argv) > 1 else "isometry-toy.png", dpi=100)
