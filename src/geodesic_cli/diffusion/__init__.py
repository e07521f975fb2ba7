"""Diffusion models as densities: the only package that imports diffusers and transformers."""

from geodesic_cli.diffusion.conditioning import Conditioning, Embedding
from geodesic_cli.diffusion.loading.aliases import ALIASES
from geodesic_cli.diffusion.loading.load import load
from geodesic_cli.diffusion.model import LatentDiffusion
from geodesic_cli.diffusion.schedule import FlowSchedule, NoiseSchedule, Schedule
from geodesic_cli.diffusion.score import DiffusionScore

__all__ = [
    "ALIASES",
    "Conditioning",
    "DiffusionScore",
    "Embedding",
    "FlowSchedule",
    "LatentDiffusion",
    "NoiseSchedule",
    "Schedule",
    "load",
]
