"""Geometry of diffusion models: density geodesics between images, and isometric fine-tuning.

    import geodesic_cli
    result = geodesic_cli.interpolate("a.png", "b.png", frames=17)
    result = geodesic_cli.toy("moons")

Importing this package is instant; torch and diffusers are imported with the first function that is asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from geodesic_cli.tasks.extrapolate import extrapolate as extrapolate
    from geodesic_cli.tasks.finetune import finetune as finetune
    from geodesic_cli.tasks.interpolate import interpolate as interpolate
    from geodesic_cli.tasks.invert import invert as invert
    from geodesic_cli.tasks.isometry import isometry as isometry
    from geodesic_cli.tasks.latent_directions import latent_direction as latent_direction
    from geodesic_cli.tasks.latent_slerp import latent_slerp as latent_slerp
    from geodesic_cli.tasks.toy import toy as toy
    from geodesic_cli.tasks.video_analyze import video_analyze as video_analyze

__version__ = "0.1.0"

_TASKS = {
    "finetune": "finetune",
    "interpolate": "interpolate",
    "invert": "invert",
    "isometry": "isometry",
    "toy": "toy",
}
_TASKS |= {"latent_direction": "latent_directions", "latent_slerp": "latent_slerp"}
_TASKS |= {"extrapolate": "extrapolate"}
_TASKS |= {"video_analyze": "video_analyze"}
"""The functions of this package and the files of `tasks` that hold them."""


def __getattr__(name: str) -> Any:
    if name in _TASKS:
        return getattr(import_module(f"geodesic_cli.tasks.{_TASKS[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
