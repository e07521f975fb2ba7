"""How plausible the frames of a sequence are to a model: log p along them, above the line between its ends.

The frames are encoded, put where the density at noise level DENSITY_TAU has them without noise, and the score is
summed along the polygon through them. Between frames that are far apart that sum is coarse.
"""

import torch
from torch import Tensor

from geodesic_cli import media
from geodesic_cli.diffusion import LatentDiffusion
from geodesic_cli.frames.canvas import Canvas
from geodesic_cli.frames.journey import Journey
from geodesic_cli.frames.keyframes import widest
from geodesic_cli.geometry import Curve, DensityMetric, Euclidean, analyse

DENSITY_TAU = 0.1


def density_numbers(model: LatentDiffusion, frames: Tensor) -> dict[str, float]:
    """The numbers of a sequence (n, 3, h, w); n evaluations. Without a prompt, as the frames of others have none."""
    canvas = Canvas.of(model, None)
    journey = Journey(model, canvas, tau=DENSITY_TAU, scheme="ridge")
    seen = torch.stack([media.resize(frame, canvas.height, canvas.width) for frame in frames])
    x = widest(model.ridge(journey.encode(seen), DENSITY_TAU))
    score = model.score(journey.shape, DENSITY_TAU, model.prompts.along(()))
    log_density = analyse(DensityMetric(score, 0.0, Euclidean()), Curve(x, Euclidean())).log_density.cpu()
    excess = (log_density - torch.linspace(0, 1, len(x), dtype=log_density.dtype) * log_density[-1])[1:-1]
    return {"density_mean": float(excess.mean()), "density_min": float(excess.min())}
