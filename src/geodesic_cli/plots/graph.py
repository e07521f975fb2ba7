"""The picture of a search: samples of the model as points in the plane, their neighbours, and the paths over them."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from geodesic_cli.plots.figure import GRAY, LINE_COLOURS, drawing, dress

Places = Sequence[Sequence[float]]

STYLES = {"slerp": (LINE_COLOURS[6], "--"), "local": (LINE_COLOURS[4], "-."), "global": (LINE_COLOURS[1], "-")}
"""Colour and dashes of a path by its name."""


def graph_in_plane(
    points: Places,
    links: Sequence[Sequence[int]],
    densities: Sequence[float],
    way_points: Places,
    paths: Mapping[str, tuple[str, Places]],
    path: str | Path,
) -> None:
    """Points coloured by log density, the edges between them, the way-points and the paths, in one panel.

    Args:
        points: (x, y) of every node; the first two are the two images.
        links: pairs of indices of nodes.
        densities: log p at every node relative to the first image, nats.
        way_points: (x, y) of the nodes on the shortest path over the graph.
        paths: what the legend says of a curve -> its name in `STYLES`, and (x, y) of its nodes.
    """
    from matplotlib.collections import LineCollection

    with drawing(path, [7.0], 5.2) as (panel,):
        lines = [(points[i], points[j]) for i, j in links]
        panel.add_collection(LineCollection(lines, colors="#CCCCCC", linewidths=0.4, zorder=1))
        # A few nodes deep in a valley would take all of the colours.
        ordered = sorted(densities)
        low, high = ordered[len(ordered) // 20], ordered[-1]
        x, y = zip(*points, strict=True)
        dots = panel.scatter(x, y, c=list(densities), s=14, cmap="Blues", vmin=low, vmax=high, linewidths=0, zorder=2)
        for label, (name, nodes) in paths.items():
            colour, dashes = STYLES.get(name, (GRAY, ":"))
            panel.plot(*zip(*nodes, strict=True), color=colour, linestyle=dashes, linewidth=2, label=label, zorder=4)
        if way_points:
            panel.scatter(
                *zip(*way_points, strict=True),
                s=30,
                facecolors="white",
                edgecolors=LINE_COLOURS[1],
                label="samples on the shortest way among them",
                zorder=5,
            )
        for name, place in zip("AB", points, strict=False):
            panel.annotate(name, place, weight="bold", ha="center", va="center", zorder=6).set_bbox(
                {"boxstyle": "circle", "facecolor": "white", "edgecolor": "black"}
            )
        dress(panel, "Samples of the model and the paths among them", "second principal axis", grid=False)
        panel.set_xlabel("first principal axis   [latent units]")
        bar = panel.figure.colorbar(dots, ax=panel, pad=0.02)
        bar.set_label("log p − log p(A)   [nats]")
        bar.outline.set_visible(False)
