"""Measures that need a trained network: LPIPS, the features of FID, TOPIQ. Each is an extra, each call loads one.

LPIPS compares unit-normalised features of AlexNet (or VGG) at five depths, weighted to agree with human judgements
(Zhang et al., CVPR 2018). The features of FID are the 2048 means of Inception-v3's last maps (Heusel et al., NeurIPS
2017). TOPIQ rates one image without a reference, 0 to about 1 (Chen et al., IEEE TIP 2024).

The published FID runs a conversion of an older Inception, with its own resizing. `inception` is torchvision's, trained
for ImageNet, with antialiased resizing to 299 pixels: numbers close to published ones, but not the same. Compare them
with one another only.
"""

import sys
import warnings
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from geodesic_cli.errors import InputError, ModelError
from geodesic_cli.evaluation.extras import needed, weights_of
from geodesic_cli.evaluation.lpips_network import channel_weights, lpips_network

BACKBONES = {
    "alex": "https://download.pytorch.org/models/alexnet-owt-7be5be79.pth",
    "vgg": "https://download.pytorch.org/models/vgg16-397923af.pth",
}
"""Of LPIPS, and where the file of each is from."""
TOPIQ_FILE = "cfanet_nr_koniq_res50-9a73138b.pth"


@dataclass(frozen=True, eq=False)
class Measure:
    """A loaded network as a function of images (n, 3, h, w) in [0, 1].

    Args:
        name: what to write beside its numbers.
        function: of the images.
    """

    name: str
    function: Callable[..., Tensor]

    def __call__(self, *images: Tensor) -> Tensor:
        """LPIPS: two batches to (n,); features: one batch to (n, d); TOPIQ: one batch to (n,)."""
        return self.function(*images)


def lpips(net: str = "alex", weights: str | None = None, device: str = "cpu") -> Measure:
    """The LPIPS distance: two batches of images to (n,), differentiable.

    Args:
        net: `alex`, the authors' choice for evaluation and the one of the path metrics, or `vgg`.
        weights: a folder with the backbone's file; None is torch's cache, into which it is fetched if need be.
        device: where to compute.

    Raises:
        InputError: the extra `metrics` is not installed, or another backbone is asked for.
        ModelError: the backbone's weights cannot be had.
    """
    if net not in BACKBONES:
        raise InputError(f"The backbones of LPIPS are {', '.join(BACKBONES)}; got {net!r}.")
    channels, url = channel_weights(net), BACKBONES[net]
    state = weights_of("LPIPS", url, weights, f"import torch; torch.hub.load_state_dict_from_url('{url}')")
    network = lpips_network(net, state, channels)
    network.to(device).eval().requires_grad_(False)

    def distance(a: Tensor, b: Tensor) -> Tensor:
        if a.shape != b.shape or a.ndim != 4:
            raise InputError(f"Two batches of images of one shape are needed; got {tuple(a.shape)}, {tuple(b.shape)}.")
        first, second = (2 * images.to(device, torch.float32) - 1 for images in (a, b))
        value: Tensor = network(first, second)
        return value

    return Measure(f"LPIPS ({net}, v0.1)", distance)


def inception(weights: str | None = None, device: str = "cpu") -> Measure:
    """The features of FID: images to (n, 2048). See the module's text for what its numbers compare with.

    Raises:
        InputError: the extra `metrics` is not installed.
        ModelError: the weights cannot be had.
    """
    with needed("torchvision", "metrics"), warnings.catch_warnings(action="ignore"):
        from torchvision.models import Inception_V3_Weights, inception_v3
    state = weights_of(
        "FID",
        Inception_V3_Weights.IMAGENET1K_V1.url,
        weights,
        "import torchvision; torchvision.models.inception_v3(weights='DEFAULT')",
    )
    network: Any = inception_v3(weights=None, init_weights=False, transform_input=False)
    network.load_state_dict(state)
    network.fc = nn.Identity()
    network.to(device).eval().requires_grad_(False)

    @torch.no_grad()
    def features(images: Tensor) -> Tensor:
        parts = [
            network(
                2 * interpolate(part.to(device, torch.float32), size=(299, 299), mode="bilinear", antialias=True) - 1
            ).cpu()
            for part in images.split(16)
        ]
        return torch.cat(parts)

    return Measure("Inception-v3 of torchvision, 2048 features at 299 pixels", features)


def topiq(weights: str | None = None, device: str = "cpu") -> Measure:
    """The TOPIQ quality of single images without a reference: images to (n,), higher is better.

    Raises:
        InputError: the extra `topiq` is not installed.
        ModelError: the weights cannot be had.
    """
    with needed("pyiqa", "topiq"), warnings.catch_warnings(action="ignore"), redirect_stdout(sys.stderr):
        from pyiqa import create_metric
    options: dict[str, Any] = {}
    if weights is not None:
        file = Path(weights, TOPIQ_FILE)
        if not file.is_file():
            raise ModelError(
                f"TOPIQ needs the file {TOPIQ_FILE}, and there is none in {weights}.",
                "Where there is a network, python -c \"import pyiqa; pyiqa.create_metric('topiq_nr')\" fetches it into "
                f"the cache of torch; copy it from there to {weights}.",
            )
        options = {"pretrained_model_path": str(file), "backbone_pretrain": False}
    try:
        # The package prints where it reads from; standard output belongs to results.
        with warnings.catch_warnings(action="ignore"), redirect_stdout(sys.stderr):
            network = create_metric("topiq_nr", device=torch.device(device), **options)
    except OSError as error:
        raise ModelError(
            f"The weights of TOPIQ are not here and cannot be fetched ({error}).",
            f"Copy {TOPIQ_FILE} from a machine that has it into a folder, and name the folder.",
        ) from error

    @torch.no_grad()
    def quality(images: Tensor) -> Tensor:
        return torch.cat([network(image[None].to(device, torch.float32)).flatten().cpu() for image in images])

    return Measure("TOPIQ (no reference, KonIQ)", quality)
