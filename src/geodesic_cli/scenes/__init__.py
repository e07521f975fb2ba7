"""Scenes: a small ray tracer of CLEVR-style pictures with exact labels. It knows nothing of any network."""

from geodesic_cli.scenes.fit import Fit, fit_all
from geodesic_cli.scenes.render import render
from geodesic_cli.scenes.scene import COLOURS, MATERIALS, MIDDLE, SHAPES, Scene, Solid, motion, sample

__all__ = ["COLOURS", "MATERIALS", "MIDDLE", "SHAPES", "Fit", "Scene", "Solid", "fit_all", "motion", "render", "sample"]
