"""What the isometry loss does, on a sphere that can be seen: rings of equal latitude, drawn flat by an encoder.

python examples/06_isometry_toy.py [picture.png]

An autoencoder S² -> R² -> S² is trained on a cap of the sphere, with and without the loss on its encoder. Rings are ten
degrees apart. Their spacing in the plane, along 72 meridians, would be the same everywhere for an isometry; what is
printed is its coefficient of variation, with the standard deviation over seeds.
"""

import math
import sys
import time

import torch
from torch import Tensor, nn

from geodesic_cli.distortion.loss import gaussian, gradient_scalar, linearise
from geodesic_cli.plots.figure import COLOURS, drawing

RINGS = torch.linspace(math.radians(5), math.radians(105), 11)
MERIDIANS = torch.linspace(0, 2 * math.pi, 73)


def on_sphere(polar: Tensor, longitude: Tensor) -> Tensor:
    """Points (n, 3)."""
    return torch.stack([polar.sin() * longitude.cos(), polar.sin() * longitude.sin(), polar.cos()], -1)


def mlp(width_in: int, width_out: int) -> nn.Sequential:
    """Two hidden layers."""
    return nn.Sequential(nn.Linear(width_in, 64), nn.SiLU(), nn.Linear(64, 64), nn.SiLU(), nn.Linear(64, width_out))


def train(weight: float, seed: int, steps: int = 1200) -> tuple[nn.Sequential, float]:
    """The encoder, and the error of reconstruction at the end."""
    torch.manual_seed(seed)
    encoder, decoder = mlp(3, 2), mlp(2, 3)
    optimiser = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], 3e-3)
    chance = torch.Generator().manual_seed(seed)
    lowest = float(RINGS[-1].cos())
    for step in range(steps):
        height, longitude = torch.rand(2, 256, generator=chance)
        x = on_sphere((1 - height * (1 - lowest)).acos(), 2 * math.pi * longitude)
        error = (decoder(encoder(x)) - x).square().mean()
        loss = error
        if weight:
            probe = linearise(encoder, x, gaussian(chance), keep_graph=True)
            loss = error + weight * gradient_scalar(encoder, probe, probe.totals)
        for group in optimiser.param_groups:
            group["lr"] = 3e-3 * (1 - step / steps)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return encoder, float(error.detach())


@torch.no_grad()
def rings(encoder: nn.Module) -> Tensor:
    """The images (rings, meridians, 2) of the rings."""
    return encoder(on_sphere(RINGS[:, None].expand(-1, 73), MERIDIANS.expand(11, -1)).reshape(-1, 3)).reshape(11, 73, 2)


def unevenness(drawn: Tensor) -> float:
    """Coefficient of variation of the spacing of neighbouring rings along the meridians."""
    spacing = (drawn[1:, :-1] - drawn[:-1, :-1]).norm(dim=2)
    return float(spacing.std() / spacing.mean())


def main() -> None:
    """Train both kinds, print the numbers, draw the rings of the first seed."""
    began = time.monotonic()
    drawings = {}
    for title, weight in (("without the loss", 0.0), ("with the isometry loss", 0.1)):
        found = [train(weight, seed) for seed in range(4)]
        drawn = [rings(encoder) for encoder, _ in found]
        uneven = torch.tensor(list(map(unevenness, drawn)))
        error = sum(error for _, error in found) / len(found)
        drawings[f"{title}: spacing varies by {uneven.mean():.0%}"] = drawn[0]
        print(f"{title}: ring spacing varies by {uneven.mean():.3f} +- {uneven.std():.3f}, reconstruction {error:.1e}")
    with drawing(sys.argv[1] if len(sys.argv) > 1 else "isometry-toy.png", [4.2, 4.2], 4.4) as panels:
        for panel, (title, one) in zip(panels, drawings.items(), strict=True):
            for k, ring in enumerate(one):
                panel.plot(ring[:, 0], ring[:, 1], color=COLOURS[0 if k % 3 else 1], linewidth=1.4)
            for meridian in one.unbind(1)[::6]:
                panel.plot(meridian[:, 0], meridian[:, 1], color="#BBBBBB", linewidth=0.6, zorder=0)
            panel.set_title(title, fontsize=11, loc="left")
            panel.set_aspect("equal", adjustable="datalim")
            panel.set_xticks([])
            panel.set_yticks([])
    print(f"{time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
