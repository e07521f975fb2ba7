"""How alike two images are, pixel by pixel and window by window.

    MSE  = mean (a - b)²                     PSNR = -10 log10 MSE  in dB, for values in [0, 1]

    SSIM = mean over windows and channels of (2 μa μb + c1)(2 σab + c2) / ((μa² + μb² + c1)(σa² + σb² + c2))

with moments under a Gaussian window of 11 x 11 pixels and standard deviation 1.5, c1 = 0.01², c2 = 0.03² for values in
[0, 1], over the windows that lie wholly inside the image, without Bessel's correction (Wang, Bovik, Sheikh and
Simoncelli, IEEE TIP 2004, section III). Colour images are compared channel by channel, and the mean is taken; the
paper compared gray ones.
"""

import torch
from torch import Tensor
from torch.nn.functional import conv2d

from geodesic_cli.errors import InputError

SSIM_WINDOW, SPREAD = 11, 1.5
"""Side of SSIM's window and the standard deviation of its Gaussian, in pixels."""
C1, C2 = 0.01**2, 0.03**2
"""The constants that keep SSIM finite where an image is black or flat."""


def mse(a: Tensor, b: Tensor) -> Tensor:
    """Mean squared error of each pair of images, (n,).

    Raises:
        InputError: the batches differ in shape or hold no images.
    """
    alike(a, b)
    return (a - b).square().flatten(1).mean(1)


def psnr(a: Tensor, b: Tensor) -> Tensor:
    """Peak signal-to-noise ratio of each pair of images, (n,), in dB; infinite where they are equal. See `mse`."""
    return -10 * mse(a, b).log10()


def require_window(height: int, width: int) -> None:
    """Refuse images on which SSIM cannot be measured.

    Raises:
        InputError: a side is smaller than its window.
    """
    if min(height, width) < SSIM_WINDOW:
        raise InputError(
            f"SSIM needs images of at least {SSIM_WINDOW}x{SSIM_WINDOW} pixels, the size of its window; "
            f"got {width}x{height}.",
            "Pass larger images, a larger --size, or a model of larger images.",
        )


def ssim(a: Tensor, b: Tensor) -> Tensor:
    """Structural similarity of each pair of images, (n,), in [-1, 1]; 1 where they are equal.

    Raises:
        InputError: the batches differ in shape, or a side is smaller than the window.
    """
    alike(a, b)
    n, channels, height, width = a.shape
    require_window(height, width)
    x, y = (images.reshape(n * channels, 1, height, width) for images in (a, b))
    mean_x, mean_y, square_x, square_y, product = _windowed(torch.cat([x, y, x * x, y * y, x * y])).chunk(5)
    var_x, var_y, cov = square_x - mean_x**2, square_y - mean_y**2, product - mean_x * mean_y
    light = (2 * mean_x * mean_y + C1) / (mean_x**2 + mean_y**2 + C1)
    structure = (2 * cov + C2) / (var_x + var_y + C2)
    return (light * structure).reshape(n, -1).mean(1)


def alike(a: Tensor, b: Tensor) -> None:
    """Refuse what cannot be compared image by image."""
    if a.ndim != 4 or a.shape != b.shape or not len(a):
        raise InputError(
            f"Two batches of images (n, channels, h, w) of one shape are needed; got {tuple(a.shape)} and "
            f"{tuple(b.shape)}."
        )


def _windowed(planes: Tensor) -> Tensor:
    """Weighted means of (m, 1, h, w) under the window, where it fits: (m, 1, h - 10, w - 10)."""
    offset = torch.arange(SSIM_WINDOW, dtype=planes.dtype, device=planes.device) - SSIM_WINDOW // 2
    weight = (-0.5 * (offset / SPREAD) ** 2).exp()
    weight = weight / weight.sum()
    return conv2d(conv2d(planes, weight.reshape(1, 1, -1, 1)), weight.reshape(1, 1, 1, -1))
