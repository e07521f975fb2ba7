"""Geometry of diffusion models: density geodesics between images, and isometric fine-tuning.

    import geodesic_cli
    result = geodesic_cli.interpolate("a.png", "b.png", frames=17)
    result = geodesic_cli.toy("moons")

Every function takes the options of its command as keywords, a model by its name or loaded already, and an observer that
is told of the progress. It works in memory and writes nothing. An input that cannot be used is a `GeodesicError`, with
what to do about it.

Importing this package is instant; torch and diffusers are imported with the first function that is asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from geodesic_cli.version import __version__

if TYPE_CHECKING:
    from geodesic_cli.verbs.distance.run import distance as distance
    from geodesic_cli.verbs.extrapolate.run import extrapolate as extrapolate
    from geodesic_cli.verbs.finetune.run import finetune as finetune
    from geodesic_cli.verbs.interpolate.run import interpolate as interpolate
    from geodesic_cli.verbs.isometry.run import isometry as isometry
    from geodesic_cli.verbs.latent.direction import latent_direction as latent_direction
    from geodesic_cli.verbs.latent.invert import invert as invert
    from geodesic_cli.verbs.latent.slerp import latent_slerp as latent_slerp
    from geodesic_cli.verbs.mean.run import mean as mean
    from geodesic_cli.verbs.toy.run import toy as toy
    from geodesic_cli.verbs.video_analyze.run import video_analyze as video_analyze

_VERBS = {
    "distance": "distance.run",
    "extrapolate": "extrapolate.run",
    "finetune": "finetune.run",
    "interpolate": "interpolate.run",
    "invert": "latent.invert",
    "isometry": "isometry.run",
    "latent_direction": "latent.direction",
    "latent_slerp": "latent.slerp",
    "mean": "mean.run",
    "toy": "toy.run",
    "video_analyze": "video_analyze.run",
}
"""The functions of this package and the files of `verbs` that hold them."""

__all__ = ["__version__", *_VERBS]


def __dir__() -> list[str]:
    return __all__


def __getattr__(name: str) -> Any:
    if name in _VERBS:
        return getattr(import_module(f"geodesic_cli.verbs.{_VERBS[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
