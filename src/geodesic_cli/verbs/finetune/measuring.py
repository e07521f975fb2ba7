"""How well a model denoises, and how near it is to an isometry, on the same examples before and after a training."""

import math

import torch

from geodesic_cli.diffusion.tuning.trainee import Trainee
from geodesic_cli.distortion.loss import ratio
from geodesic_cli.verbs.finetune.batch import Noising, examples
from geodesic_cli.verbs.finetune.data import Data
from geodesic_cli.verbs.finetune.training import probe


@torch.no_grad()
def measure_trainee(trainee: Trainee, data: Data, seed: int, count: int, gamma: float, batch: int) -> dict[str, float]:
    """The denoising and the isometry loss of the present weights on the same examples, noise and probes always.

    The examples are those of step -1: scenes that the training never sees; of a folder, its own images.
    """
    error, totals = 0.0, torch.zeros(3, dtype=torch.float64)
    for first in range(0, count, batch):
        places = range(first, min(first + batch, count))
        one = examples(trainee, data, seed, -1, count, places, Noising(gamma))
        error += float(trainee.errors(*one.rows).sum())
        probed = probe(trainee, one, "iso", seed, -1)
        totals = totals if probed is None else totals + probed.totals.to(totals)
    return {"denoising": error / count, "isometry": ratio(totals) if totals[2] > 0 else math.nan}
