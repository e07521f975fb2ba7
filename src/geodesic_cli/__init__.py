"""Geometry of diffusion models: density geodesics between images.

    import geodesic_cli
    result = geodesic_cli.interpolate("a.png", "b.png", frames=17)
    result = geodesic_cli.toy("moons")

Importing this package is instant; torch and diffusers are imported with the first function that is asked for.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from geodesic_cli.tasks.interpolate import interpolate as interpolate
    from geodesic_cli.tasks.toy import toy as toy

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name == "interpolate":
        from geodesic_cli.tasks.interpolate import interpolate

        return interpolate
    if name == "toy":
        from geodesic_cli.tasks.toy import toy

        return toy
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
