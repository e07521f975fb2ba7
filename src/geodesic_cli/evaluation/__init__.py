"""Numbers from images: how alike two are, how far apart two sets are, how evenly a path walks. It knows no model.

Images are (n, 3, h, w) in [0, 1]; features are (n, d). `similarity` compares image with image, `perceptual` does so as
people might, `frechet` compares sets, `path_length` measures sequences, `separability` asks what a hyperplane can tell.
What needs a network (`lpips`, `inception`, `topiq`) is an extra, and says what to fetch where it is missing.
"""

from geodesic_cli.evaluation.frechet import FeatureMap, Frechet, frechet, statistics
from geodesic_cli.evaluation.normality import Normality, normality, why_not_noise
from geodesic_cli.evaluation.path_length import PathPerception, StyleGANPPL, path_perception, stylegan_ppl
from geodesic_cli.evaluation.perceptual import Distance, Pyramid
from geodesic_cli.evaluation.pretrained import inception, lpips, topiq
from geodesic_cli.evaluation.separability import Separability, hyperplane, linear_separability
from geodesic_cli.evaluation.similarity import mse, psnr, ssim

__all__ = ["Distance", "Pyramid", "inception", "lpips", "mse", "psnr", "ssim", "topiq"]
__all__ += ["FeatureMap", "Frechet", "frechet", "statistics"]
__all__ += ["Normality", "PathPerception", "StyleGANPPL", "normality", "path_perception", "stylegan_ppl"]
__all__ += ["Separability", "hyperplane", "linear_separability"]
