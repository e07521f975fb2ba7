"""Geometry of diffusion models: density geodesics between images, and isometric fine-tuning.

    import geodesic_cli
    result = geodesic_cli.interpolate("a.png", "b.png", frames=17)
    result = geodesic_cli.toy("moons")

Importing this package is instant; torch and diffusers are imported with the first function that is asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from geodesic_cli.tasks.finetune import finetune as finetune
    from geodesic_cli.tasks.interpolate import interpolate as interpolate
    from geodesic_cli.tasks.toy import toy as toy

__version__ = "0.1.0"

_TASKS = {"finetune": "finetune", "interpolate": "interpolate", "toy": "toy"}
"""The functions of this package and the files of `tasks` that hold them."""


def __getattr__(name: str) -> Any:
    if name in _TASKS:
        return getattr(import_module(f"geodesic_cli.tasks.{_TASKS[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
