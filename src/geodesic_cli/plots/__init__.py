"""Pictures. `figure` has the style, `curves` what a path does over its position, `plane` what it does in the plane,
`graph` what a search went over."""

from geodesic_cli.plots.curves import density_and_speed, length_history
from geodesic_cli.plots.figure import COLOURS
from geodesic_cli.plots.graph import graph_in_plane
from geodesic_cli.plots.plane import DEPTH, Plane, evolution, film, map_and_profile

__all__ = [
    "COLOURS",
    "DEPTH",
    "Plane",
    "density_and_speed",
    "evolution",
    "film",
    "graph_in_plane",
    "length_history",
    "map_and_profile",
]
