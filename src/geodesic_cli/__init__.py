"""Geometry of diffusion models: density geodesics between images, and isometric fine-tuning.

    import geodesic_cli
    result = geodesic_cli.interpolate("a.png", "b.png", frames=17)
    result = geodesic_cli.toy("moons")

Every function takes the options of its command as keywords, images as files, PIL images, arrays or tensors, and a model
by its name or loaded already. In a notebook and on a terminal it shows its progress; `progress=False` is silent, and an
observer is told instead. It works in memory and writes nothing until `result.save(folder)`. An input that cannot be
used is a `GeodesicError`, with what to do about it.

What editors and type checkers see is in `__init__.pyi`, which `.ci/stub.py` writes.

Importing this package is instant; torch and diffusers are imported with the first function that is asked for.
"""

from importlib import import_module
from typing import Any

from geodesic_cli.errors import GeodesicError
from geodesic_cli.version import __version__

_VERBS = {
    "distance": "distance.run",
    "evaluate": "evaluate.run",
    "extrapolate": "extrapolate.run",
    "finetune": "finetune.run",
    "interpolate": "interpolate.run",
    "invert": "latent.invert",
    "isometry": "isometry.run",
    "latent_combine": "latent.combine",
    "latent_direction": "latent.direction",
    "latent_line": "latent.line",
    "latent_slerp": "latent.slerp",
    "mean": "mean.run",
    "toy": "toy.run",
    "video_analyze": "video_analyze.run",
}
"""The functions of this package and the files of `verbs` that hold them."""

__all__ = ["GeodesicError", "__version__", *_VERBS]


def __dir__() -> list[str]:
    return __all__


def __getattr__(name: str) -> Any:
    if name in _VERBS:
        return getattr(import_module(f"geodesic_cli.verbs.{_VERBS[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
