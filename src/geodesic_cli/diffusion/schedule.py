"""The noise schedule: how much signal and noise there is at a noise level, the network's time for it, and its flow.

Every schedule is x = a z + sigma eps with clean data z and standard normal eps, and takes a noise level tau in [0, 1],
a fraction of its way from clean data (0) to noise (1). The probability-flow ODE is written in the variable in which it
is simplest; `Schedule` calls that variable p, the state y and the slope dy/dp.

A variance-preserving model (`NoiseSchedule`) has a = sqrt(alpha_bar), sigma = sqrt(1 - alpha_bar), and tau counts its T
steps: timestep = tau T - 1. In y = x / a the ODE is dy/ds = eps with p = s = sigma / a (Song et al., DDIM, ICLR 2021);
s is interpolated linearly between the integer steps and is 0 on clean data.

A flow-matching model (`FlowSchedule`; Lipman et al., ICLR 2023; Liu et al., ICLR 2023) has a = 1 - s, sigma = s, and
predicts the velocity v = E[eps - z | x]; the ODE is dx/ds = v. As z = x - s (eps - z), the expected noise is
E[eps | x] = x + (1 - s) v, and the score -E[eps | x] / s. The shift k of Stable Diffusion 3 and Flux moves
the levels, s = k tau / (1 + (k - 1) tau) (Esser et al., ICML 2024, section 5.3.2); it is 1 where there is none.
"""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import torch
from torch import Tensor

from geodesic_cli.errors import InputError


class Schedule(Protocol):
    """Noise levels and the probability flow between them."""

    def level(self, tau: float) -> tuple[float, float, float]:
        """(a, sigma, timestep) at the noise level tau in [0, 1]."""
        ...

    def at(self, timestep: float) -> tuple[float, float]:
        """(a, sigma) at a network time."""
        ...

    def grid(self, start: float, stop: float, steps: int) -> list[float]:
        """``steps`` + 1 values of p from the noise level ``start`` to ``stop``, placed for transport."""
        ...

    def timestep(self, p: float) -> float:
        """The network's time at p."""
        ...

    def scale(self, p: float) -> float:
        """y / x at p."""
        ...

    def parts(self, p: float) -> tuple[float, float]:
        """(a, sigma) at p."""
        ...

    def slope(self, p: float, x: Tensor, eps: Tensor) -> Tensor:
        """dy/dp at points x with predicted noise eps."""
        ...

    @property
    def content(self) -> bytes:
        """What decides the schedule, for fingerprints."""
        ...


def inside(tau: float) -> float:
    """The noise level itself.

    Raises:
        InputError: it lies outside [0, 1].
    """
    if not 0 <= tau <= 1:
        raise InputError(f"The noise level tau lies between 0 and 1; got {tau}.", "0.4 is a good start.")
    return tau


TAIL = 15.0
"""The noise-to-signal ratio s from which on little happens; Stable Diffusion's schedule ends there, at 14.6."""
SPARSE = 0.15
"""Share of its own length that a grid adds for each factor e of s above `TAIL`; a cube root would add a third."""


def spread_ratios(start: float, stop: float, steps: int) -> list[float]:
    """``steps`` + 1 noise-to-signal ratios s, uniform in s^(1/3): most where noise changes fastest, at low noise.

    Above `TAIL` they are uniform in log s, and sparse. There the expected noise hardly changes, but the cube root of
    DDPM's schedule, which ends at s = 157, would spend half of the steps on it, and that of one without any signal
    at its end nine tenths.
    """
    top = TAIL ** (1 / 3)
    first, last = (s ** (1 / 3) if s <= TAIL else top * (1 + SPARSE * math.log(s / TAIL)) for s in (start, stop))
    roots = torch.linspace(first, last, steps + 1, dtype=torch.float64)[1:-1]
    inner = torch.where(roots <= top, roots**3, TAIL * ((roots / top - 1) / SPARSE).exp())
    return [start, *inner.tolist(), stop]


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
        table = self._noise_to_signal
        position = inside(tau) * (len(table) - 1)
        below = min(int(position), len(table) - 2)
        return float(table[below] + (position - below) * (table[below + 1] - table[below]))

    def timestep(self, p: float) -> float:
        """The network's time, a real number in [0, T - 1], for a noise-to-signal ratio s; clean data are at 0."""
        table = self._noise_to_signal
        above = int(torch.searchsorted(table, torch.tensor(p, dtype=torch.float64)).clamp(1, len(table) - 1))
        part = (p - table[above - 1]) / (table[above] - table[above - 1])
        return float((above - 1 + part - 1).clamp(0, len(table) - 2))

    def level(self, tau: float) -> tuple[float, float, float]:
        """(sqrt(alpha_bar), sigma, timestep) at the noise level tau."""
        s = self.noise_to_signal(tau)
        signal = (1 + s * s) ** -0.5
        return signal, s * signal, self.timestep(s)

    def at(self, timestep: float) -> tuple[float, float]:
        """(sqrt(alpha_bar), sigma) at a network time."""
        signal, sigma, _ = self.level((timestep + 1) / len(self.alpha_bar))
        return signal, sigma

    def grid(self, start: float, stop: float, steps: int) -> list[float]:
        """See `spread_ratios`."""
        return spread_ratios(self.noise_to_signal(start), self.noise_to_signal(stop), steps)

    def scale(self, p: float) -> float:
        """1 / sqrt(alpha_bar)."""
        return (1 + p * p) ** 0.5

    def parts(self, p: float) -> tuple[float, float]:
        """(sqrt(alpha_bar), sigma) at s."""
        return 1 / self.scale(p), p / self.scale(p)

    def slope(self, p: float, x: Tensor, eps: Tensor) -> Tensor:
        """dy/ds = eps."""
        return eps

    @property
    def content(self) -> bytes:
        """All of alpha_bar."""
        return self.alpha_bar.double().cpu().numpy().tobytes()


NEAR_NOISE = 0.999
"""The largest s of a flow. At s = 1 the expected noise is x itself, whatever the network says, and its velocity is
lost; at 0.999 a thousandth of signal is left, and single precision keeps four digits of the velocity."""


@dataclass(frozen=True)
class FlowSchedule:
    """The straight schedule of flow matching, x = (1 - s) z + s eps.

    Args:
        shift: k; 3 in Stable Diffusion 3, 1 for none.
        times: the network's time for pure noise; its time at s is s times this.
    """

    shift: float = 1.0
    times: float = 1000.0

    def position(self, tau: float) -> float:
        """s at the noise level tau, at most `NEAR_NOISE`.

        Raises:
            InputError: tau lies outside [0, 1].
        """
        return min(self.shift * inside(tau) / (1 + (self.shift - 1) * tau), NEAR_NOISE)

    def timestep(self, p: float) -> float:
        """The network's time at s."""
        return p * self.times

    def level(self, tau: float) -> tuple[float, float, float]:
        """(1 - s, s, timestep) at the noise level tau."""
        s = self.position(tau)
        return 1 - s, s, self.timestep(s)

    def at(self, timestep: float) -> tuple[float, float]:
        """(1 - s, s) at a network time."""
        s = timestep / self.times
        return 1 - s, s

    def grid(self, start: float, stop: float, steps: int) -> list[float]:
        """Uniform in s."""
        ends = self.position(start), self.position(stop)
        return [ends[0], *torch.linspace(*ends, steps + 1, dtype=torch.float64)[1:-1].tolist(), ends[1]]

    def scale(self, p: float) -> float:
        """The state is x itself."""
        return 1.0

    def parts(self, p: float) -> tuple[float, float]:
        """(1 - s, s)."""
        return 1 - p, p

    def slope(self, p: float, x: Tensor, eps: Tensor) -> Tensor:
        """dx/ds = v = (eps - x) / (1 - s)."""
        return (eps - x) / (1 - p)

    @property
    def content(self) -> bytes:
        """The shift and the scale of times."""
        return f"flow {self.shift} {self.times}".encode()
