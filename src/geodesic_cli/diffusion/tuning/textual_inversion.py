"""Textual inversion: the text embedding c under which one image is as probable as the network can make it.

    minimise over c    L(c) = E over tau, n of |eps(a z + sigma n, tau, c) - n|^2 / d,      z the image's latent,

which is the network's training loss at one image, a bound on -log p(z | c) under the weighting of its training. As in
the density geodesics of Yu et al. (CVPR 2025) it is the encoder's whole output that moves, every token of it, begun at
the embedding of a prompt; the word vectors of Gal et al. (ICLR 2023) stay. A pooled embedding (SDXL, SD3) stays that
of the prompt. The network's weights are not touched.

The published descent is AdamW at a rate of 0.005 for 500 steps of 2 random times. A step of AdamW moves each number by
about the rate whatever the gradient's size, so that after all its 1000 evaluations it is still on its way: its loss
falls in a straight line. `QUICK` takes a rate that gets there, lets it fall to zero by a cosine, which averages out the
noise of the gradient at no cost, spends one evaluation on a step, as a larger batch goes no further, and takes its
times from a low-discrepancy sequence, which visits all noise levels from the first steps on, and more of them at low
noise, where the gradient is largest.

A step is a function of the last one and of its number: times and noise depend on the seed and the number alone, so that
a descent which was stopped goes on bit for bit, and two images are inverted under the same noise.
"""

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from geodesic_cli.diffusion.conditioning import Embedding
from geodesic_cli.diffusion.score import NoisePredictor
from geodesic_cli.errors import InputError, ModelError

ADAM_BETAS, ADAM_EPSILON = (0.9, 0.999), 1e-8
"""AdamW's decay rates of the two moments, and the number that keeps its quotient finite."""
LEAST_TAU = 1e-3
"""The lowest noise level, the first step of a schedule of 1000: networks have seen none below."""
GOLDEN = (math.sqrt(5) - 1) / 2
"""Multiples of it, modulo 1, fill the unit interval evenly at every length."""


@dataclass(frozen=True)
class TextDescent:
    """How the embedding is optimised.

    Args:
        steps: of the optimiser.
        batch: noise levels a step; a step costs so many evaluations, each with its gradient.
        rate: learning rate of AdamW, of the first step.
        falling: whether the rate falls to zero by a cosine; otherwise it stays.
        even: whether the times come from a low-discrepancy sequence; otherwise they are independent.
        low: the noise levels are v^low with v uniform, each error weighted by low v^(low - 1), so that the loss stays
            what it is: above 1 more of them are low, where the embedding matters most. 1 is uniform.
        decay: AdamW's weight decay.
    """

    steps: int
    batch: int
    rate: float
    falling: bool
    even: bool
    low: float = 1.0
    decay: float = 0.01

    def __post_init__(self) -> None:
        if self.steps < 1 or self.batch < 1:
            raise InputError(
                f"Textual inversion needs at least one step of one evaluation; got {self.steps} of {self.batch}.",
                f"{QUICK.steps} steps are a good start.",
            )

    @property
    def evaluations(self) -> int:
        """Network evaluations with gradients, each about three times the work of one without."""
        return self.steps * self.batch

    def rate_at(self, step: int) -> float:
        """The learning rate of a step, counted from 0."""
        return self.rate * (0.5 * (1 + math.cos(math.pi * step / self.steps)) if self.falling else 1.0)


PUBLISHED_DESCENT = TextDescent(500, 2, 0.005, falling=False, even=False)
"""Yu et al. (CVPR 2025): 1000 evaluations an image."""
QUICK = TextDescent(100, 1, 0.2, falling=True, even=True, low=1.5)
"""A loss no worse than the published one at a tenth of the evaluations, measured on the embedded model."""

DESCENTS = {"quick": QUICK, "published": PUBLISHED_DESCENT}
"""By the names of `settings.TEXT_INVERSIONS`."""


@dataclass(frozen=True, eq=False)
class Inverted:
    """Where a descent stands; all that the next step needs.

    Args:
        step: steps made.
        tokens: (tokens, width), the embedding, float32 on the CPU.
        mean: the gradient's running mean, alike.
        square: the running mean of its square, alike.
        loss: of the last step, before it was made; noisy. NaN before the first one.
    """

    step: int
    tokens: Tensor
    mean: Tensor
    square: Tensor
    loss: float

    @classmethod
    def begin(cls, start: Embedding) -> "Inverted":
        """Before the first step, at the embedding of a prompt (one row)."""
        tokens = start.tokens[0].detach().to("cpu", torch.float32)
        return cls(0, tokens, torch.zeros_like(tokens), torch.zeros_like(tokens), math.nan)

    def embedding(self, start: Embedding) -> Embedding:
        """As the network takes it: one row, with the pooled part, the dtype and the device of ``start``."""
        return replace(start, tokens=self.tokens[None].to(start.tokens.device, start.tokens.dtype))


def invert_text(
    predict: NoisePredictor,
    z: Tensor,
    start: Embedding,
    descent: TextDescent = QUICK,
    *,
    seed: int = 0,
    state: Inverted | None = None,
    on_step: Callable[[Inverted], None] | None = None,
) -> Embedding:
    """The embedding that the descent from ``start`` reaches for the clean latent z (C, H, W); one row.

    Args:
        predict: the network.
        z: (C, H, W), clean.
        start: one row, the embedding of a prompt.
        descent: how to go.
        seed: of times and noise.
        state: where an earlier descent of the same kind was stopped.
        on_step: told of every step.

    Raises:
        ModelError: the gradient is not finite.
    """
    now = Inverted.begin(start) if state is None else state
    while now.step < descent.steps:
        now = _step(predict, z, start, descent, seed, now)
        if on_step is not None:
            on_step(now)
    return now.embedding(start)


def _step(
    predict: NoisePredictor, z: Tensor, start: Embedding, descent: TextDescent, seed: int, now: Inverted
) -> Inverted:
    """One step of AdamW (Loshchilov & Hutter, ICLR 2019), as a function."""
    generator = _generator(seed, now.step)
    v = torch.rand(descent.batch, generator=generator, dtype=torch.float64)
    if descent.even:
        shift = float(torch.rand((), generator=_generator(seed, -1), dtype=torch.float64))
        strata = torch.arange(descent.batch, dtype=torch.float64)
        v = ((shift + GOLDEN * now.step) % 1 + strata) / descent.batch
    noise = torch.randn(descent.batch, *z.shape, generator=generator)
    taus = (v**descent.low).clamp(min=LEAST_TAU)
    weight = (descent.low * v ** (descent.low - 1)).float().to(predict.place[0])
    tokens = now.tokens.clone().requires_grad_()
    with torch.enable_grad():
        moving = replace(start, tokens=tokens[None].to(start.tokens.device))
        # A sum, and the mean's factor afterwards: the gradients of a mean over so many numbers underflow in fp16.
        error = (denoising_errors(predict, z, moving, taus, noise) * weight).sum()
        (gradient,) = torch.autograd.grad(error, tokens)
    gradient = gradient / (descent.batch * z.numel())
    if not bool(gradient.isfinite().all()):
        raise ModelError("The gradient of textual inversion is not finite.", "Pass --dtype bf16 or fp32.")
    count, rate = now.step + 1, descent.rate_at(now.step)
    mean = now.mean + (1 - ADAM_BETAS[0]) * (gradient - now.mean)
    square = ADAM_BETAS[1] * now.square + (1 - ADAM_BETAS[1]) * gradient**2
    root = (square / (1 - ADAM_BETAS[1] ** count)).sqrt() + ADAM_EPSILON
    moved = now.tokens * (1 - rate * descent.decay) - rate / (1 - ADAM_BETAS[0] ** count) * mean / root
    return Inverted(count, moved, mean, square, float(error.detach()) / (descent.batch * z.numel()))


def denoising_errors(predict: NoisePredictor, z: Tensor, c: Embedding, taus: Tensor, noise: Tensor) -> Tensor:
    """|eps - n|^2 for noise levels (m,) and noises (m, C, H, W), (m,); on the network's device, in float32."""
    levels = torch.tensor([predict.schedule.level(tau) for tau in taus.tolist()], dtype=torch.float32)
    device, _ = predict.place
    signal, sigma = (levels[:, k].reshape(-1, 1, 1, 1).to(device) for k in (0, 1))
    drawn = noise.to(device, torch.float32)
    noisy = signal * z.to(device, torch.float32) + sigma * drawn
    eps = predict.traced(noisy, levels[:, 2], c.expand(len(noisy)))
    return (eps - drawn).square().flatten(1).sum(1)


def _generator(seed: int, step: int) -> torch.Generator:
    mixed = hashlib.sha256(f"textual inversion {seed} {step}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(mixed[:7], "big"))
