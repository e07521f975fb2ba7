"""Pictures, each written as a PNG to its `path`. `figure` has the style, `curves` what a path does over its position,
`plane` what it does in the plane, `graph` what a search went over, `heat` numbers over options, `distances` how far
images are from each other, `training` what a training did."""

from geodesic_cli.plots.clip import clip_analysis, continuation
from geodesic_cli.plots.curves import density_and_speed, length_history
from geodesic_cli.plots.distances import distance_maps, images_in_plane
from geodesic_cli.plots.figure import LINE_COLOURS
from geodesic_cli.plots.graph import graph_in_plane
from geodesic_cli.plots.heat import HeatAxes, heat_maps
from geodesic_cli.plots.plane import DEPTH, Plane, evolution, film, map_and_profile
from geodesic_cli.plots.training import loss_curves
