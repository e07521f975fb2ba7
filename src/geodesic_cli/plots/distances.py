"""Pictures of distances between images: as colours of a matrix, and as places in the plane."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from geodesic_cli.plots.figure import GRAY, drawing, dress

MOST_WRITTEN = 14
"""Rows of a matrix up to which its numbers are written into it."""
MOST_NUMBERED = 40

Matrix = Sequence[Sequence[float]]


def distance_maps(matrices: Mapping[str, Matrix], marked: Sequence[tuple[int, int]], path: str | Path) -> None:
    """A panel for each matrix, each in colours of its own scale.

    Args:
        matrices: title -> (n, n) distances; nan is left white.
        marked: pairs of the first matrix that get a frame, because their path did not converge.
        path: of the PNG.
    """
    with drawing(path, [5.4] * len(matrices), 5.4) as panels:
        for index, (panel, (title, rows)) in enumerate(zip(panels, matrices.items(), strict=True)):
            n = len(rows)
            shown = [[value if math.isfinite(value) else math.nan for value in row] for row in rows]
            picture = panel.imshow(shown, cmap="Blues", vmin=0)
            finite = [value for row in shown for value in row if not math.isnan(value)]
            if n <= MOST_WRITTEN:
                for i, row in enumerate(shown):
                    for j, value in enumerate(row):
                        if i != j and not math.isnan(value):
                            dark = value > 0.6 * max(finite)
                            text = f"{value:.3g}"
                            panel.text(
                                j, i, text, ha="center", va="center", fontsize=6, color="white" if dark else "black"
                            )
            if index == 0 and marked:
                both = [*marked, *((j, i) for i, j in marked)]
                panel.scatter(
                    [j for _, j in both],
                    [i for i, _ in both],
                    marker="s",
                    facecolors="none",
                    s=30000 / n**2 + 8,
                    edgecolors="#D55E00",
                    label="not converged: an upper bound",
                )
            dress(panel, title, "image", grid=False)
            panel.set_xlabel("image")
            if n <= MOST_NUMBERED:
                panel.set_xticks(range(n), [str(k + 1) for k in range(n)], fontsize=7)
                panel.set_yticks(range(n), [str(k + 1) for k in range(n)], fontsize=7)
            panel.figure.colorbar(picture, ax=panel, pad=0.02).outline.set_visible(False)


def images_in_plane(
    panels_of: Mapping[str, Sequence[Sequence[float]]], images: Sequence[object], path: str | Path
) -> None:
    """A panel for each set of places, with the images themselves and their numbers at them.

    Args:
        panels_of: title -> (x, y) of every image; nan for one that has no place.
        images: (h, w, 3) in [0, 1], nested lists or an array, each.
        path: of the PNG.
    """
    import numpy as np
    from matplotlib.offsetbox import AnnotationBbox, OffsetImage

    pictures = [np.asarray(image, dtype=np.float64) for image in images]
    side = max(pictures[0].shape[:2])
    zoom = min(44.0, 340 / math.sqrt(max(1, len(pictures)))) / side
    with drawing(path, [5.6] * len(panels_of), 5.2) as panels:
        for panel, (title, places) in zip(panels, panels_of.items(), strict=True):
            known = [(k, x, y) for k, (x, y) in enumerate(places) if math.isfinite(x) and math.isfinite(y)]
            panel.scatter([x for _, x, _ in known], [y for _, _, y in known], s=4, color=GRAY)
            for k, x, y in known:
                box = OffsetImage(pictures[k], zoom=zoom)
                panel.add_artist(AnnotationBbox(box, (x, y), pad=0.1, bboxprops={"edgecolor": GRAY, "linewidth": 0.5}))
                panel.annotate(
                    str(k + 1), (x, y), xytext=(0, -0.75 * zoom * side), textcoords="offset points", ha="center",
                    va="top", fontsize=7, zorder=5,
                )  # fmt: skip
            spread = max((abs(value) for _, x, y in known for value in (x, y)), default=1.0) or 1.0
            panel.set_xlim(-1.2 * spread, 1.2 * spread)
            panel.set_ylim(-1.2 * spread, 1.2 * spread)
            panel.set_aspect("equal")
            dress(panel, title, "second axis", grid=False)
            panel.set_xlabel("first axis   [latent units]")
