"""The Inception-v3 of published FIDs, with the names of pytorch-fid's file, so that no other library is needed.

It is the network of 2015 with its classifier of 1008 classes. It differs from the later one in three places: means of
maps leave the padding out (in the blocks 5, 6 and the first 7), and the last block takes a maximum where the later one
takes a mean. Images are brought to 299 pixels and to [-1, 1]; the features are the 2048 means of the last maps.

Sources: Szegedy et al., CVPR 2016 (the network); Heusel et al., NeurIPS 2017 (FID).
"""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, max_pool2d, relu

from geodesic_cli.evaluation.extras import weights_of
from geodesic_cli.evaluation.pretrained import Measure

SIDE, AT_ONCE = 299, 16
Resizer = Callable[[Tensor, int], Tensor]


def fid_features(weights: Path, resize: Resizer, device: str = "cpu") -> Measure:
    """The features of FID: images (n, 3, h, w) in [0, 1] to (n, 2048).

    Args:
        weights: the file, in pytorch-fid's layout.
        resize: one of `resizing`: to images of a side.
        device: where to compute.

    Raises:
        ModelError: the file is damaged.
    """
    state = weights_of("FID", weights.name, str(weights.parent), "import torch")
    network = FidInception()
    network.load_state_dict({key: value for key, value in state.items() if not key.startswith(("fc.", "AuxLogits."))})
    network.to(device).eval().requires_grad_(False)

    @torch.no_grad()
    def features(images: Tensor) -> Tensor:
        parts = images.split(AT_ONCE)
        return torch.cat([network(2 * resize(part, SIDE).to(device) - 1).cpu() for part in parts])

    return Measure("Inception of pytorch-fid, 2048 features at 299 pixels", features)


class FidInception(nn.Module):
    """The network without its classifier: (n, 3, 299, 299) in [-1, 1] to (n, 2048)."""

    def __init__(self) -> None:
        super().__init__()
        self.Conv2d_1a_3x3 = _Conv(3, 32, 3, stride=2)
        self.Conv2d_2a_3x3 = _Conv(32, 32, 3)
        self.Conv2d_2b_3x3 = _Conv(32, 64, 3, padding=1)
        self.Conv2d_3b_1x1 = _Conv(64, 80, 1)
        self.Conv2d_4a_3x3 = _Conv(80, 192, 3)
        self.Mixed_5b, self.Mixed_5c, self.Mixed_5d = _A(192, 32), _A(256, 64), _A(288, 64)
        self.Mixed_6a = _B(288)
        self.Mixed_6b, self.Mixed_6c = _C(768, 128), _C(768, 160)
        self.Mixed_6d, self.Mixed_6e = _C(768, 160), _C(768, 192)
        self.Mixed_7a = _D(768)
        self.Mixed_7b, self.Mixed_7c = _E(1280, _mean_inside), _E(2048, _most)

    def forward(self, x: Tensor) -> Tensor:
        """The means of the last maps."""
        x = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x)))
        x = self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(max_pool2d(x, 3, stride=2)))
        x = max_pool2d(x, 3, stride=2)
        x = self.Mixed_5d(self.Mixed_5c(self.Mixed_5b(x)))
        x = self.Mixed_6e(self.Mixed_6d(self.Mixed_6c(self.Mixed_6b(self.Mixed_6a(x)))))
        made: Tensor = self.Mixed_7c(self.Mixed_7b(self.Mixed_7a(x)))
        return made.mean((2, 3))


def _mean_inside(x: Tensor) -> Tensor:
    return avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)


def _most(x: Tensor) -> Tensor:
    return max_pool2d(x, 3, stride=1, padding=1)


class _Conv(nn.Module):
    def __init__(
        self, maps: int, made: int, kernel: int | tuple[int, int], stride: int = 1, padding: int | tuple[int, int] = 0
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(maps, made, kernel, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(made, eps=1e-3)

    def forward(self, x: Tensor) -> Tensor:
        return relu(self.bn(self.conv(x)))


class _A(nn.Module):
    def __init__(self, maps: int, pooled: int) -> None:
        super().__init__()
        self.branch1x1 = _Conv(maps, 64, 1)
        self.branch5x5_1, self.branch5x5_2 = _Conv(maps, 48, 1), _Conv(48, 64, 5, padding=2)
        self.branch3x3dbl_1, self.branch3x3dbl_2 = _Conv(maps, 64, 1), _Conv(64, 96, 3, padding=1)
        self.branch3x3dbl_3 = _Conv(96, 96, 3, padding=1)
        self.branch_pool = _Conv(maps, pooled, 1)

    def forward(self, x: Tensor) -> Tensor:
        double = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        five = self.branch5x5_2(self.branch5x5_1(x))
        return torch.cat([self.branch1x1(x), five, double, self.branch_pool(_mean_inside(x))], 1)


class _B(nn.Module):
    def __init__(self, maps: int) -> None:
        super().__init__()
        self.branch3x3 = _Conv(maps, 384, 3, stride=2)
        self.branch3x3dbl_1, self.branch3x3dbl_2 = _Conv(maps, 64, 1), _Conv(64, 96, 3, padding=1)
        self.branch3x3dbl_3 = _Conv(96, 96, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        double = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        return torch.cat([self.branch3x3(x), double, max_pool2d(x, 3, stride=2)], 1)


class _C(nn.Module):
    def __init__(self, maps: int, inner: int) -> None:
        super().__init__()
        wide, tall = (0, 3), (3, 0)
        self.branch1x1 = _Conv(maps, 192, 1)
        self.branch7x7_1, self.branch7x7_2 = _Conv(maps, inner, 1), _Conv(inner, inner, (1, 7), padding=wide)
        self.branch7x7_3 = _Conv(inner, 192, (7, 1), padding=tall)
        self.branch7x7dbl_1, self.branch7x7dbl_2 = _Conv(maps, inner, 1), _Conv(inner, inner, (7, 1), padding=tall)
        self.branch7x7dbl_3, self.branch7x7dbl_4 = (
            _Conv(inner, inner, (1, 7), padding=wide),
            _Conv(inner, inner, (7, 1), padding=tall),
        )
        self.branch7x7dbl_5 = _Conv(inner, 192, (1, 7), padding=wide)
        self.branch_pool = _Conv(maps, 192, 1)

    def forward(self, x: Tensor) -> Tensor:
        seven = self.branch7x7_3(self.branch7x7_2(self.branch7x7_1(x)))
        double = self.branch7x7dbl_3(self.branch7x7dbl_2(self.branch7x7dbl_1(x)))
        double = self.branch7x7dbl_5(self.branch7x7dbl_4(double))
        return torch.cat([self.branch1x1(x), seven, double, self.branch_pool(_mean_inside(x))], 1)


class _D(nn.Module):
    def __init__(self, maps: int) -> None:
        super().__init__()
        self.branch3x3_1, self.branch3x3_2 = _Conv(maps, 192, 1), _Conv(192, 320, 3, stride=2)
        self.branch7x7x3_1, self.branch7x7x3_2 = _Conv(maps, 192, 1), _Conv(192, 192, (1, 7), padding=(0, 3))
        self.branch7x7x3_3 = _Conv(192, 192, (7, 1), padding=(3, 0))
        self.branch7x7x3_4 = _Conv(192, 192, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        seven = self.branch7x7x3_4(self.branch7x7x3_3(self.branch7x7x3_2(self.branch7x7x3_1(x))))
        return torch.cat([self.branch3x3_2(self.branch3x3_1(x)), seven, max_pool2d(x, 3, stride=2)], 1)


class _E(nn.Module):
    def __init__(self, maps: int, pool: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.branch1x1 = _Conv(maps, 320, 1)
        self.branch3x3_1 = _Conv(maps, 384, 1)
        self.branch3x3_2a = _Conv(384, 384, (1, 3), padding=(0, 1))
        self.branch3x3_2b = _Conv(384, 384, (3, 1), padding=(1, 0))
        self.branch3x3dbl_1, self.branch3x3dbl_2 = _Conv(maps, 448, 1), _Conv(448, 384, 3, padding=1)
        self.branch3x3dbl_3a = _Conv(384, 384, (1, 3), padding=(0, 1))
        self.branch3x3dbl_3b = _Conv(384, 384, (3, 1), padding=(1, 0))
        self.branch_pool = _Conv(maps, 192, 1)
        self.pool = pool

    def forward(self, x: Tensor) -> Tensor:
        three, double = self.branch3x3_1(x), self.branch3x3dbl_2(self.branch3x3dbl_1(x))
        parts = [self.branch1x1(x), self.branch3x3_2a(three), self.branch3x3_2b(three)]
        parts += [self.branch3x3dbl_3a(double), self.branch3x3dbl_3b(double), self.branch_pool(self.pool(x))]
        return torch.cat(parts, 1)
