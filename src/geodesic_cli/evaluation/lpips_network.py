"""LPIPS (Zhang et al., CVPR 2018) from its formula and its files, so that torchvision need not be imported.

The features f_l of a backbone at five depths are scaled to unit length over the channels at each place; with trained
weights w_l >= 0 of the channels the distance of two images is

    d(a, b) = sum over l of mean over places of sum over channels of w_l (f_l(a) - f_l(b))²

The backbones are AlexNet (Krizhevsky, 2014) and VGG-16 (Simonyan and Zisserman, 2015) up to their last features, with
the names of torchvision's files. torchvision itself is built for one kind of torch each, and one of another kind cannot
be imported. The weights w_l are the files that the package `lpips` brings; none of its code runs.
"""

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor, nn

from geodesic_cli.errors import InputError, ModelError

MEAN, SPREAD = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)
"""Of the colours that the backbones were trained with, for images in [-1, 1]."""
TINY_LENGTH = 1e-10
ALEX: tuple[tuple[int, ...], ...] = ((64, 11, 4, 2), (192, 5, 1, 2), (384, 3, 1, 1), (256, 3, 1, 1), (256, 3, 1, 1))
"""Maps, kernel, stride and padding of AlexNet's convolutions; there is a maximum before the second and the third."""
VGG = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
"""Maps of VGG-16's convolutions of 3 x 3, by depth; there is a maximum between two depths."""


def channel_weights(net: str) -> dict[str, Tensor]:
    """The trained weights of the channels, as the package `lpips` brings them.

    Raises:
        InputError: the package is not installed.
        ModelError: it has no such file.
    """
    found = find_spec("lpips")
    if found is None or not found.submodule_search_locations:
        raise InputError(
            "This measure needs the package lpips, which is not installed.",
            "Install the extra: pip install 'geodesic-cli[metrics]'.",
        )
    file = Path(found.submodule_search_locations[0], "weights", "v0.1", f"{net}.pth")
    try:
        state = torch.load(file, map_location="cpu", weights_only=True)  # noqa: TID251  the format of that package
    except OSError as error:
        raise ModelError(f"The package lpips has no file {file}.", "Install it again.") from error
    return {f"weights.{k}": state[f"lin{k}.model.1.weight"].flatten() for k in range(len(ALEX))}


def lpips_network(net: str, state: Mapping[str, Tensor], channels: Mapping[str, Tensor]) -> "LpipsNetwork":
    """The network with the weights of a backbone, as torchvision's file has them, and those of the channels.

    Raises:
        ModelError: weights that are none of this backbone.
    """
    network = LpipsNetwork(net)
    features = {key: value for key, value in state.items() if key.startswith("features.")}
    try:
        network.load_state_dict({**features, **channels})
    except RuntimeError as error:
        raise ModelError(f"The weights of LPIPS are none of {net}.", "Fetch the file again.") from error
    return network


class LpipsNetwork(nn.Module):
    """Images (n, 3, h, w) twice, in [-1, 1], to distances (n,).

    Args:
        net: `alex` or `vgg`.
    """

    mean: Tensor
    spread: Tensor

    def __init__(self, net: str) -> None:
        super().__init__()
        layers, self.taps, widths = _alexnet() if net == "alex" else _vgg16()
        self.features = nn.Sequential(*layers)
        self.weights = nn.ParameterList([torch.zeros(width) for width in widths])
        self.register_buffer("mean", torch.tensor(MEAN)[:, None, None], persistent=False)
        self.register_buffer("spread", torch.tensor(SPREAD)[:, None, None], persistent=False)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """The distances."""
        total = a.new_zeros(len(a))
        for one, two, weight in zip(self._seen(a), self._seen(b), self.weights, strict=True):
            total = total + ((one - two).square() * weight[:, None, None]).sum(1).mean((1, 2))
        return total

    def _seen(self, images: Tensor) -> list[Tensor]:
        """The features at each depth, of unit length over the channels."""
        x, found = (images - self.mean) / self.spread, []
        for k, layer in enumerate(self.features):
            x = layer(x)
            if k in self.taps:
                found.append(x / (x.square().sum(1, keepdim=True).sqrt() + TINY_LENGTH))
        return found


def _alexnet() -> tuple[list[nn.Module], list[int], list[int]]:
    layers: list[nn.Module] = []
    taps, maps = [], 3
    for depth, (made, kernel, stride, padding) in enumerate(ALEX):
        layers += [nn.MaxPool2d(3, 2)] if depth in (1, 2) else []
        layers += [nn.Conv2d(maps, made, kernel, stride, padding), nn.ReLU()]
        taps.append(len(layers) - 1)
        maps = made
    return layers, taps, [each[0] for each in ALEX]


def _vgg16() -> tuple[list[nn.Module], list[int], list[int]]:
    layers: list[nn.Module] = []
    taps, maps = [], 3
    for depth, widths in enumerate(VGG):
        layers += [nn.MaxPool2d(2, 2)] if depth else []
        for made in widths:
            layers += [nn.Conv2d(maps, made, 3, padding=1), nn.ReLU()]
            maps = made
        taps.append(len(layers) - 1)
    return layers, taps, [widths[-1] for widths in VGG]
