"""The score averaged over a band of noise levels, with noise that was drawn once: a smoother density, still a function.

With x = a z + sigma n at every level, n ~ N(0, 1), and f = a_other / a_here, the forward kernel from a low level to a
high one is

    x_high = f x_low + c n,    c^2 = sigma_high^2 - f^2 sigma_low^2    (1 - f^2 in a variance-preserving process),

and the one factor f carries a score from another level back to x at this one:

    up      f s(f x + c n)    is the gradient in x of log p_high at the re-noised point (the chain rule). Over n it is
            the gradient of E log p_high: a density with finer features washed out.
    down    s_here(x) = f E[s_low(x_low) | x]    (integration by parts in p_here = p_low convolved with the kernel).
            The expectation is taken at its mean, E[x_low | x] = f (x + c^2 s_here(x)) (Tweedie's formula; c of the way
            up from low to here), which is exact where s_low is affine. A deterministic DDIM step down would land beside
            it: its end is a point of the flow, and its Jacobian, which the chain rule would then need, none gives.

So the levels below the band's middle repeat the score with the network's own error at another level, and those above it
smooth. The two noises of a level are n and -n: the part of the average that is odd in n, for Gaussian data a constant
force of the size of the score itself, cancels exactly instead of like 1 / sqrt(levels). Noise is the same for all
points and all calls (common random numbers). One level is the plain score.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from geodesic_cli.diffusion.schedule import Schedule
from geodesic_cli.errors import InputError

Levels = list[tuple[Tensor, float]]
"""Points (n, d), each batch with the noise level at which its score is wanted."""
Scores = Callable[[Levels], list[Tensor]]
"""Their scores (n, d), one batch for each; one network call for all of them, if the caller can."""


@dataclass(frozen=True, eq=False)
class NoiseBank:
    """Noise levels and the noise to reach them, fixed for good.

    Args:
        taus: the levels, increasing, in (0, 1]; the middle one of an odd number is the level of the score itself.
        noise: (levels, d), standard normal; the rows of levels below the score's are not used.
    """

    taus: tuple[float, ...]
    noise: Tensor

    @classmethod
    def draw(cls, tau: float, width: float, levels: int, dimension: int, generator: torch.Generator) -> "NoiseBank":
        """Levels at the middles of equal parts of [tau - width, tau + width], and noise from a CPU generator.

        Raises:
            InputError: no level, or a band that leaves (0, 1].
        """
        if levels < 1:
            raise InputError(f"A noise bank needs at least one level; got {levels}.", "4 is a good start.")
        if width < 0 or not (tau - width > 0 and tau + width <= 1):
            most = min(tau, 1 - tau)
            raise InputError(
                f"A noise band lies between 0 and 1; {tau:g} +- {width:g} does not.",
                f"Pass a width below {most:g}, such as {most / 2:.2g}.",
            )
        taus = tuple(tau + width * (2 * k + 1 - levels) / levels for k in range(levels))
        return cls(taus, torch.randn(levels, dimension, generator=generator, dtype=torch.float64))

    def evaluations(self, tau: float) -> int:
        """Scores for each point: one a level below tau and one at tau, two a level above it."""
        low = sum(level < tau and not _same(level, tau) for level in self.taus)
        high = sum(level > tau and not _same(level, tau) for level in self.taus)
        return low + 2 * high + (1 if low or low + high < len(self.taus) else 0)

    def average(self, scores: Scores, x: Tensor, tau: float, schedule: Schedule) -> Tensor:
        """The mean over the levels of the score pulled back to x (n, d) at noise level tau; dtype and device of x.

        Levels below tau begin from the score at tau, so that there are two calls of `scores`, otherwise one.
        """
        signal, sigma, _ = schedule.level(tau)
        levels = [schedule.level(level) for level in self.taus]
        sides = [0 if _same(level, tau) else (1 if level > tau else -1) for level in self.taus]
        here = scores([(x, tau)])[0] if -1 in sides else None
        asked: Levels = []
        weights: list[float] = []
        for level, side, (a, s, _), noise in zip(self.taus, sides, levels, self.noise, strict=True):
            f = a / signal
            if side > 0:
                shift = max(0.0, s * s - f * f * sigma * sigma) ** 0.5 * noise.to(x.device, x.dtype)
                asked += [(f * x + shift, level), (f * x - shift, level)]
                weights += [f / 2, f / 2]
            elif side < 0:
                assert here is not None
                asked.append((f * (x + (sigma * sigma - s * s / (f * f)) * here), level))
                weights.append(f)
            elif here is None:
                asked.append((x, tau))
                weights.append(1.0)
        made = scores(asked) if asked else []
        total = torch.zeros_like(x)
        for weight, score in zip(weights, made, strict=True):
            total = total + weight * score
        if here is not None:
            total = total + sides.count(0) * here
        return total / len(self.taus)


def _same(level: float, tau: float) -> bool:
    return abs(level - tau) < 1e-9
