"""How far apart two images look: the interface, and a substitute that needs no trained network.

A `Distance` takes two batches of images and gives one number a pair, zero for equal images. LPIPS (`networks.lpips`) is
the measure of the literature. It grows as the square of a small change, and so does every sound substitute: only then
has d(x, x + eps) / eps² a limit, which the perceptual path length of StyleGAN needs.

`Pyramid` compares two images at several scales, the first being the images themselves and each next one the average of
2 x 2 pixels of the one before, down to the size of SSIM's window:

    d(a, b) = mean over scales of ( MSE + (1 - SSIM) / 2 ) / 2        in [0, 1]

It knows nothing of what people see beyond that blur matters less than structure. Its numbers are of its own kind and
must not stand beside LPIPS; they compare paths with paths.
"""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor
from torch.nn.functional import avg_pool2d

from geodesic_cli.errors import InputError
from geodesic_cli.evaluation.similarity import SSIM_WINDOW, mse, ssim

Distance = Callable[[Tensor, Tensor], Tensor]
"""Images (n, 3, h, w) twice, in [0, 1], to distances (n,) >= 0; differentiable where it says so."""


@dataclass(frozen=True)
class Pyramid:
    """A multi-scale mean of squared error and structural dissimilarity; differentiable, deterministic, no download.

    Args:
        scales: most scales; fewer where the image becomes smaller than SSIM's window of 11 pixels.
    """

    scales: int = 4

    def __post_init__(self) -> None:
        if self.scales < 1:
            raise InputError(f"A pyramid needs at least one scale; got {self.scales}.")

    @property
    def name(self) -> str:
        """What to write beside its numbers."""
        return "pyramid (multi-scale MSE and SSIM; not LPIPS)"

    def __call__(self, a: Tensor, b: Tensor) -> Tensor:
        """Distances (n,) of images (n, 3, h, w) from images of the same shape.

        Raises:
            InputError: the batches differ in shape, or a side has fewer than 11 pixels.
        """
        parts = [self._at_one_scale(a, b)]
        while len(parts) < self.scales and min(a.shape[-2:]) >= 2 * SSIM_WINDOW:
            a, b = avg_pool2d(a, 2), avg_pool2d(b, 2)
            parts.append(self._at_one_scale(a, b))
        return sum(parts[1:], parts[0]) / len(parts)

    @staticmethod
    def _at_one_scale(a: Tensor, b: Tensor) -> Tensor:
        return (mse(a, b) + (1 - ssim(a, b)).clamp(min=0) / 2) / 2
