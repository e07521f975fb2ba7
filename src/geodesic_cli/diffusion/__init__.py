"""Diffusion models as densities: the only package that imports diffusers and transformers."""

from geodesic_cli.diffusion.load import ALIASES, load
from geodesic_cli.diffusion.model import LatentDiffusion
from geodesic_cli.diffusion.prompts import Conditioning
from geodesic_cli.diffusion.schedule import NoiseSchedule
from geodesic_cli.diffusion.score import DiffusionScore

__all__ = ["ALIASES", "Conditioning", "DiffusionScore", "LatentDiffusion", "NoiseSchedule", "load"]
