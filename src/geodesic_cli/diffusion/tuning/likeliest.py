"""Which of many captions an image has, by the model's own likelihood: the one under which it predicts noise best.

    argmin over c    E over tau, n of |eps(a z + sigma n, tau, c) - n|^2,      z the image's latent,

which is a bound on -log p(z | c). Li et al., "Your Diffusion Model is Secretly a Zero-Shot Classifier" (ICCV 2023),
classify images so: under the same noise for every caption, in rounds after which only the better captions stay.
"""

import torch
from torch import Tensor

from geodesic_cli.diffusion.conditioning import Embedding
from geodesic_cli.diffusion.score import NoisePredictor
from geodesic_cli.diffusion.tuning.textual_inversion import GOLDEN, denoising_errors

NOISES = (4, 8, 24)
"""Noises of each round."""
STAY = 4
"""One caption in so many stays for the next round."""
LOWEST_TAU, HIGHEST_TAU = 0.05, 0.95
"""Noise levels that are looked at: below nothing is left to predict, above nothing is left of the image."""


def evaluations_to_choose(captions: int) -> int:
    """Network evaluations that one image takes."""
    spent = 0
    for noises in NOISES:
        spent += captions * noises
        captions = max(1, captions // STAY)
    return spent


def likeliest(predict: NoisePredictor, z: Tensor, captions: list[Embedding], *, seed: int = 0) -> int:
    """The number of the caption under which a clean latent z (C, H, W) is the likeliest.

    Args:
        predict: the network.
        z: (C, H, W), clean.
        captions: at least one, each of one row.
        seed: of the noise, which is the same for all captions.
    """
    generator = torch.Generator().manual_seed(seed)
    left, errors, seen = list(range(len(captions))), [0.0] * len(captions), 0
    for noises in NOISES:
        steps = torch.arange(seen, seen + noises, dtype=torch.float64)
        taus = LOWEST_TAU + (HIGHEST_TAU - LOWEST_TAU) * ((0.5 + GOLDEN * steps) % 1)
        noise = torch.randn(noises, *z.shape, generator=generator)
        with torch.no_grad():
            for k in left:
                errors[k] += float(denoising_errors(predict, z, captions[k], taus, noise).sum())
        left, seen = sorted(left, key=lambda k: errors[k])[: max(1, len(left) // STAY)], seen + noises
    return left[0]
