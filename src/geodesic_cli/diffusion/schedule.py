"""The noise schedule: alpha_bar and sigma at a noise level, and the network's time for it.

A variance-preserving model sees x = sqrt(alpha_bar) z + sigma eps with sigma = sqrt(1 - alpha_bar). A noise level is
given as tau in [0, 1], a fraction of the schedule's T steps: timestep = tau T - 1, so that tau = 1 is the last step and
tau = 0 clean data. In y = x / sqrt(alpha_bar) the probability-flow ODE is dy/ds = eps with s = sigma / sqrt(alpha_bar)
(Song et al., DDIM, ICLR 2021), which makes s the natural variable of transport; s is interpolated linearly between the
schedule's integer steps and is 0 on clean data.
"""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from geodesic_cli.errors import InputError


@dataclass(frozen=True, eq=False)
class NoiseSchedule:
    """A discrete variance-preserving schedule, extended to all noise levels between its steps.

    Args:
        alpha_bar: (T,), cumulative signal power at timesteps 0 to T - 1, decreasing, in (0, 1).
    """

    alpha_bar: Tensor

    @cached_property
    def _noise_to_signal(self) -> Tensor:
        """The values of s at timesteps -1 (clean data) to T - 1, (T + 1,), float64."""
        level = self.alpha_bar.to("cpu", torch.float64).clamp(min=1e-8)  # some schedules end in pure noise
        return torch.cat([torch.zeros(1, dtype=torch.float64), ((1 - level) / level).sqrt()])

    def noise_to_signal(self, tau: float) -> float:
        """The ratio s = sigma / sqrt(alpha_bar) at the noise level tau.

        Raises:
            InputError: tau lies outside [0, 1].
        """
        if not 0 <= tau <= 1:
            raise InputError(f"The noise level tau lies between 0 and 1; got {tau}.", "0.4 is a good start.")
        table = self._noise_to_signal
        position = tau * (len(table) - 1)
        below = min(int(position), len(table) - 2)
        return float(table[below] + (position - below) * (table[below + 1] - table[below]))

    def timestep(self, s: float) -> float:
        """The network's time, a real number in [0, T - 1], for a noise-to-signal ratio s; clean data are at 0."""
        table = self._noise_to_signal
        above = int(torch.searchsorted(table, torch.tensor(s, dtype=torch.float64)).clamp(1, len(table) - 1))
        part = (s - table[above - 1]) / (table[above] - table[above - 1])
        return float((above - 1 + part - 1).clamp(0, len(table) - 2))

    def level(self, tau: float) -> tuple[float, float, float]:
        """(sqrt(alpha_bar), sigma, timestep) at the noise level tau."""
        s = self.noise_to_signal(tau)
        signal = (1 + s * s) ** -0.5
        return signal, s * signal, self.timestep(s)
