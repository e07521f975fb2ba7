"""A network whose every answer is known: the exact noise prediction for Gaussian data N(mean, scale^2).

x_tau = a z + s eps with z ~ N(m, c^2), so x_tau ~ N(a m, v) with v = a^2 c^2 + s^2, grad log p = -(x - a m) / v and
E[eps | x] = s (x - a m) / v. The probability flow carries z to a m + sqrt(v) (z - m) / c. The mean depends on the
condition, so that the prompt matters.
"""

from types import SimpleNamespace

import torch
from torch import Tensor

from geodesic_cli.diffusion.schedule import NoiseSchedule, Schedule

SCALE = 0.7


def schedule() -> NoiseSchedule:
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2
    return NoiseSchedule((1 - betas).cumprod(0))


class GaussianNetwork:
    """Stands in for a UNet. ``kind`` is what it predicts; it counts the latents that it has seen."""

    dtype, device = torch.float64, torch.device("cpu")

    def __init__(self, kind: str = "epsilon", of: Schedule | None = None) -> None:
        self.kind, self.schedule, self.seen, self.calls = kind, of or schedule(), 0, 0

    def __call__(self, x: Tensor, timestep: Tensor, encoder_hidden_states: Tensor) -> SimpleNamespace:
        self.seen += len(x)
        self.calls += 1
        assert timestep.shape == (len(x),)
        levels = torch.tensor([self.level(float(one)) for one in timestep], dtype=torch.float64)
        a, s = (column.reshape(-1, 1, 1, 1) for column in levels.unbind(1))
        mean = encoder_hidden_states.double().mean((1, 2))[:, None, None, None]
        eps = s * (x.double() - a * mean) / (a * a * SCALE**2 + s * s)
        clean = (x.double() - s * eps) / a
        said = {"epsilon": eps, "sample": clean, "v_prediction": a * eps - s * clean, "flow_prediction": eps - clean}
        return SimpleNamespace(sample=said[self.kind])

    def level(self, timestep: float) -> tuple[float, float]:
        return self.schedule.at(timestep)

    def score(self, x: Tensor, mean: Tensor, tau: float) -> Tensor:
        """The true grad log p_tau for points (n, d) and means (n,)."""
        a, s, _ = self.schedule.level(tau)
        return -(x - a * mean[:, None]) / (a * a * SCALE**2 + s * s)

    def carried(self, z: Tensor, mean: float, tau: float) -> Tensor:
        """The true probability flow from clean data to tau."""
        a, s, _ = self.schedule.level(tau)
        return a * mean + (a * a * SCALE**2 + s * s) ** 0.5 * (z - mean) / SCALE
