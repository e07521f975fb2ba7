"""Deterministic transport between clean latents and noise level tau: the probability-flow ODE in both directions.

In y = x / sqrt(alpha_bar) and s = sigma / sqrt(alpha_bar) the flow is dy/ds = eps(x, s) (DDIM, Song et al., ICLR 2021).
It is integrated with the two-step Adams-Bashforth rule on a grid uniform in s^(1/3), one network evaluation a step,
second order in the step:

    y[k+1] = y[k] + h ((1 + r/2) eps[k] - (r/2) eps[k-1]),   h = s[k+1] - s[k],  r = h / (s[k] - s[k-1]).

The grid spends its steps where eps changes fastest, at low noise. Upward the first step, from clean data, is short and
Euler's; downward it is long, and Heun's rule with one more evaluation keeps it from spoiling the rest. Measured on a
small latent model, 12 evaluations do better than 50 uniform DDIM steps; tests hold the order.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from geodesic_cli.diffusion.schedule import NoiseSchedule

Predict = Callable[[Tensor, float], Tensor]
"""eps(x, timestep): the predicted noise of latents (n, C, H, W) at one noise level."""


def invert(predict: Predict, z: Tensor, tau: float, schedule: NoiseSchedule, steps: int) -> Tensor:
    """Carry clean latents z (n, C, H, W) up to noise level tau; exactly ``steps`` network evaluations."""
    return _integrate(predict, z, 0.0, schedule.noise_to_signal(tau), schedule, steps)


def denoise(predict: Predict, x: Tensor, tau: float, schedule: NoiseSchedule, steps: int) -> Tensor:
    """Carry latents x (n, C, H, W) at noise level tau down to clean ones; ``steps`` + 1 network evaluations."""
    return _integrate(predict, x, schedule.noise_to_signal(tau), 0.0, schedule, steps)


def _integrate(predict: Predict, x: Tensor, start: float, stop: float, schedule: NoiseSchedule, steps: int) -> Tensor:
    if start == stop:
        return x
    roots = torch.linspace(start ** (1 / 3), stop ** (1 / 3), steps + 1, dtype=torch.float64)
    grid = [start, *(roots[1:-1] ** 3).tolist(), stop]

    def slope(y: Tensor, s: float) -> Tensor:
        return predict(y * (1 + s * s) ** -0.5, schedule.timestep(s))

    y = x * (1 + start * start) ** 0.5
    before = None
    for k in range(steps):
        h = grid[k + 1] - grid[k]
        eps = slope(y, grid[k])
        if before is not None:
            ratio = h / (grid[k] - grid[k - 1])
            change = (1 + ratio / 2) * eps - (ratio / 2) * before
        elif start > stop:
            change = (eps + slope(y + h * eps, grid[k + 1])) / 2
        else:
            change = eps
        y, before = y + h * change, eps
    return y * (1 + stop * stop) ** -0.5
