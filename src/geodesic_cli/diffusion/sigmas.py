"""Schedules of models that were trained at noise levels sigma and not at steps: x_e = z + sigma eps (EDM and VE).

Divided by sqrt(1 + sigma^2) this is a variance-preserving x with the noise-to-signal ratio s = sigma: the same density
at another scale, so that noise levels, grids and geometry are those of `NoiseSchedule`. Only the network's time and
what it reads and answers differ; `families.Preconditioned` and `families.ScoreModel` see to those.
"""

import math
from dataclasses import dataclass

from torch import Tensor

from geodesic_cli.diffusion.schedule import inside, spread_ratios

FIRST_LEVEL = 0.001
"""The noise level of the least sigma that the network was trained at; below it sigma falls linearly to clean data."""


@dataclass(frozen=True)
class SigmaSchedule:
    """Sigma from its least to its largest value.

    Args:
        least: the smallest sigma that the network knows.
        largest: the sigma of pure noise.
        power: rho of Karras et al., 2022, equation 5: sigma is a power of a ramp; 0 is a geometric ramp.
        logarithmic: whether the network's time is log(sigma) / 4; otherwise it is sigma.
    """

    least: float
    largest: float
    power: float = 7.0
    logarithmic: bool = True

    def sigma(self, tau: float) -> float:
        """Sigma at the noise level tau.

        Raises:
            InputError: tau lies outside [0, 1].
        """
        if inside(tau) < FIRST_LEVEL:
            return self.least * tau / FIRST_LEVEL
        part = (tau - FIRST_LEVEL) / (1 - FIRST_LEVEL)
        if not self.power:
            return float(self.least * (self.largest / self.least) ** part)
        low, high = self.least ** (1 / self.power), self.largest ** (1 / self.power)
        return float((low + part * (high - low)) ** self.power)

    def timestep(self, p: float) -> float:
        """The network's time at sigma; clean data are at the least one."""
        sigma = max(p, self.least)
        return math.log(sigma) / 4 if self.logarithmic else sigma

    def level(self, tau: float) -> tuple[float, float, float]:
        """(1 / sqrt(1 + sigma^2), sigma / sqrt(1 + sigma^2), timestep) at the noise level tau."""
        sigma = self.sigma(tau)
        signal = (1 + sigma * sigma) ** -0.5
        return signal, sigma * signal, self.timestep(sigma)

    def at(self, timestep: float) -> tuple[float, float]:
        """The signal and the noise at a network time."""
        sigma = math.exp(4 * timestep) if self.logarithmic else timestep
        signal = (1 + sigma * sigma) ** -0.5
        return signal, sigma * signal

    def grid(self, start: float, stop: float, steps: int) -> list[float]:
        """See `spread_ratios`."""
        return spread_ratios(self.sigma(start), self.sigma(stop), steps)

    def scale(self, p: float) -> float:
        """The state is x_e."""
        return (1 + p * p) ** 0.5

    def parts(self, p: float) -> tuple[float, float]:
        """The signal and the noise at sigma."""
        return 1 / self.scale(p), p / self.scale(p)

    def slope(self, p: float, x: Tensor, eps: Tensor) -> Tensor:
        """dx_e / dsigma = eps."""
        return eps

    @property
    def content(self) -> bytes:
        """Its four numbers."""
        return f"sigma {self.least} {self.largest} {self.power} {self.logarithmic}".encode()
