"""Samples of a model's own pictures, kept on disk: the points that a search for a global geodesic goes over.

A sample is a clean latent, drawn by the probability flow from noise under one conditioning. Row k of the noise depends
on the seed and k alone, so a larger pool begins with the smaller one. Samples do not depend on the noise level tau of a
later search; the scores there do, and are kept beside them. Files are named by what decides their content: the model's
weights, the conditioning, guidance, steps, seed, and for scores tau. They are written whole or not at all.
"""

import hashlib
from dataclasses import astuple, dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from geodesic_cli.diffusion import Conditioning, Embedding, LatentDiffusion
from geodesic_cli.diffusion.score import guided_evaluations
from geodesic_cli.errors import InputError
from geodesic_cli.runs.cache import kept

POOLS = "pools"
"""The name of the cache of pools."""
BLOCK = 32
"""Samples drawn together; a pool on disk holds whole blocks."""
EDGES = 11
"""About how many scores on edges of its graph of neighbours (`roadmap`) there are for each sample."""


@dataclass(frozen=True, eq=False)
class Pool:
    """Samples under one conditioning at a noise level.

    Args:
        z: (n, d), clean latents, float32.
        scores: (n, d), grad log p_tau at sqrt(alpha_bar) z under the conditioning, float64.
        evaluations: network evaluations that were made for it now; 0 where all of it was on disk.
        cold: what it costs where nothing is on disk.
        digest: names what decides the samples.
    """

    z: Tensor
    scores: Tensor
    evaluations: int
    cold: int
    digest: str


@dataclass(frozen=True)
class Sampling:
    """How samples are drawn.

    Args:
        steps: of the probability flow to a clean latent; a sample costs `steps` + 1 evaluations, and 1 for its score.
        guidance: classifier-free scale of the samples and of the score; another value than 1 doubles the cost.
        seed: of the noise.
    """

    steps: int = 12
    guidance: float = 1.0
    seed: int = 0


def evaluations_to_fill(size: int, guidance: float, steps: int = 12) -> int:
    """About how many network evaluations a pool of `size` samples and its edges cost where nothing is on disk."""
    return guided_evaluations(guidance) * (-(-size // BLOCK) * BLOCK * (steps + 2) + EDGES * size)


def pool(
    model: LatentDiffusion,
    shape: tuple[int, int, int],
    condition: Embedding,
    tau: float,
    size: int,
    how: Sampling | None = None,
    folder: Path | None = None,
) -> Pool:
    """The first `size` samples, read from the folder as far as they are there, drawn and written otherwise.

    Args:
        shape: (C, H, W) of its latents.
        condition: one conditioning, one row.
        tau: the noise level of the scores.
        size: how many, at least 1.
        how: they are drawn; None takes the defaults.
        folder: where pools are kept, for example `cache_folder(POOLS)`; None keeps nothing.

    Raises:
        InputError: a size below 1.
    """
    if size < 1:
        raise InputError(f"A search needs at least one sample of the model; got {size}.", "100 is a good start.")
    steps, guidance, seed = astuple(how or Sampling())
    blocks = -(-size // BLOCK)
    branches = guided_evaluations(guidance)
    about = f"1 {model.fingerprint} {shape} {steps} {guidance} {seed} ".encode()
    digest = hashlib.sha256(about + condition.content).hexdigest()
    spent = 0

    def drawn(block: int) -> Tensor:
        nonlocal spent
        spent += branches * BLOCK * (steps + 1)
        noise = torch.randn(BLOCK, shape[0] * shape[1] * shape[2], generator=_generator(seed, block))
        return model.generate(noise, shape, condition.expand(BLOCK), steps, guidance).float().cpu()

    z = torch.cat([kept(folder, f"{digest}-{block}", partial(drawn, block)) for block in range(blocks)])
    score = model.score(shape, tau, Conditioning(condition, condition), guidance)

    def scored(block: int) -> Tensor:
        nonlocal spent
        spent += branches * BLOCK
        x = model.ridge(z[block * BLOCK : (block + 1) * BLOCK].double(), tau)
        return score(x, torch.zeros(len(x), dtype=x.dtype))

    level = f"{tau:.6f}"
    scores = [kept(folder, f"{digest}-{block}-{level}", partial(scored, block)) for block in range(blocks)]
    return Pool(z[:size], torch.cat(scores)[:size], spent, branches * blocks * BLOCK * (steps + 2), digest)


def _generator(seed: int, block: int) -> torch.Generator:
    mixed = hashlib.sha256(f"{seed} {block}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(mixed[:7], "big"))
