"""The networks of a run, loaded before the first picture is read; what cannot be had is said then and not later."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from torch import Tensor

from geodesic_cli.errors import GeodesicError
from geodesic_cli.evaluation import Distance, FeatureMap, Pyramid, lpips, topiq
from geodesic_cli.evaluation.fid_inception import fid_features
from geodesic_cli.evaluation.lite import efficientnet_lite0
from geodesic_cli.evaluation.resizing import resized_clean, resized_plain, squashed
from geodesic_cli.evaluation.ruler.needs import NEEDS, Need, here, lacking
from geodesic_cli.evaluation.ruler.protocols import PYRAMID_NUMBERS, Protocol

LPIPS_SIDE = 512
"""Pixels to which frames are squashed for LPIPS where the protocol says nothing: the authors' of DiffMorpher."""
PYRAMID, LITE = "pyramid", "efficientnet-lite0"


@dataclass(frozen=True, eq=False)
class Networks:
    """What the numbers of a protocol are measured with.

    Args:
        distances: perceptual distances, by the word that ends their keys.
        features: maps of sets of images, by a word.
        quality: of single images.
        lacking: why a number is not measured, by its key.
        digests: of the weights that are used, by the name of their file.
    """

    distances: Mapping[str, Distance] = field(default_factory=dict)
    features: Mapping[str, FeatureMap] = field(default_factory=dict)
    quality: Callable[[Tensor], Tensor] | None = None
    lacking: Mapping[str, str] = field(default_factory=dict)
    digests: Mapping[str, str] = field(default_factory=dict)


def networks_for(protocol: Protocol, weights: str | None, device: str) -> Networks:
    """Load what a protocol needs.

    Args:
        protocol: whose numbers are measured.
        weights: a folder in which files are sought first.
        device: where to compute.
    """
    asked, missing, digests = set(protocol.numbers), dict[str, str](), dict[str, str]()

    def had(word: str, load: Callable[[Need, Path], object]) -> object | None:
        need = NEEDS[word]
        keys = [key for key in need.numbers if key in asked]
        if not keys:
            return None
        why = lacking(need, weights)
        if not why:
            path = here(need, weights)
            assert path is not None
            try:
                made = load(need, path)
            except GeodesicError as error:  # damaged, or of another build
                why = f"{need.file}: {error.message}"
            else:
                digests[need.file] = need.sha256
                return made
        missing.update(dict.fromkeys(keys, f"needs {why}"))
        return None

    distances: dict[str, Distance] = {PYRAMID: Pyramid()} if asked & {*PYRAMID_NUMBERS, "re_pyramid"} else {}
    perceptual = had("lpips", lambda need, path: lpips("alex", str(path.parent), device))
    if callable(perceptual):
        side = protocol.side or LPIPS_SIDE
        distances["lpips"] = lambda a, b: perceptual(squashed(a, side), squashed(b, side))
    quality = had("topiq", lambda need, path: topiq(str(path.parent), device))
    features: dict[str, FeatureMap] = {}
    for word, load in (
        ("inception", lambda need, path: (_inception(path, device), _inception(path, device, clean=True))),
        (LITE, lambda need, path: (efficientnet_lite0(str(path.parent), device),)),
    ):
        maps = had(word, load)
        if isinstance(maps, tuple):
            features |= dict(zip((word, f"{word}, clean"), maps, strict=False))
    return Networks(distances, features, quality if callable(quality) else None, missing, digests)


def _inception(path: Path, device: str, clean: bool = False) -> FeatureMap:
    return partial(fid_features(path, resized_clean if clean else resized_plain, device))
