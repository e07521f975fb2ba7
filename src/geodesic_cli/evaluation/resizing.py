"""How images come to the side that a network of features takes; numbers made with one rule compare with no other's.

clean     each channel by the bicubic kernel with antialiasing, in floating point, neither rounded nor clipped
          (Parmar, Zhang and Zhu, CVPR 2022; what Pillow does to an image of mode F)
plain     bilinear between the four nearest pixels, without antialiasing: what pytorch-fid does inside its network
squashed  bilinear with antialiasing, whatever the shape was: what torchvision's Resize((side, side)) does
"""

from torch import Tensor
from torch.nn.functional import interpolate


def resized_clean(images: Tensor, side: int) -> Tensor:
    """Images (n, 3, h, w) at side x side; values may leave [0, 1] a little, as the kernel overshoots at edges."""
    return interpolate(images.float(), size=(side, side), mode="bicubic", antialias=True, align_corners=False)


def resized_plain(images: Tensor, side: int) -> Tensor:
    """Images (n, 3, h, w) at side x side, each pixel from the four nearest."""
    return interpolate(images.float(), size=(side, side), mode="bilinear", align_corners=False)


def squashed(images: Tensor, side: int) -> Tensor:
    """Images (n, 3, h, w) at side x side, those of another shape squashed."""
    if images.shape[-2:] == (side, side):
        return images.float()
    return interpolate(images.float(), size=(side, side), mode="bilinear", antialias=True, align_corners=False)
