"""Heat maps: numbers over two options, written into their fields."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from geodesic_cli.plots.figure import drawing, dress

MOST_FIELDS = 14
"""Columns up to which numbers are written into the fields."""
ABOVE, FIELD_WIDE, FIELD_HIGH = 1.4, 0.62, 0.42
"""Inches: for titles and labels, and for a field; a map is 2.6 by 2.2 at least and 9 at most."""


@dataclass(frozen=True)
class HeatAxes:
    """What is along the sides of a heat map: the names of the options and their values, as they are written."""

    x: str
    y: str
    columns: Sequence[str]
    rows: Sequence[str]


def heat_maps(maps: Mapping[str, Sequence[Sequence[float]]], axes: HeatAxes, path: str | Path) -> None:
    """A panel for each number, each in colours of its own scale; dark is high.

    Args:
        maps: title -> rows of values; nan is left white.
        axes: what is along the sides, the same for all.
        path: of the PNG.
    """
    wide = min(9.0, max(2.6, FIELD_WIDE * len(axes.columns))) + ABOVE
    high = min(9.0, max(2.2, FIELD_HIGH * len(axes.rows))) + ABOVE
    with drawing(path, [wide] * len(maps), high) as panels:
        for panel, (title, rows) in zip(panels, maps.items(), strict=True):
            shown = [[value if math.isfinite(value) else math.nan for value in row] for row in rows]
            finite = [value for row in shown for value in row if not math.isnan(value)]
            picture = panel.imshow(shown, cmap="Blues", aspect="auto") if finite else None
            if len(axes.columns) <= MOST_FIELDS and finite:
                middle = (min(finite) + max(finite)) / 2
                for i, row in enumerate(shown):
                    for j, value in enumerate(row):
                        if not math.isnan(value):
                            colour = "white" if value > middle else "black"
                            panel.text(j, i, f"{value:.3g}", ha="center", va="center", fontsize=8, color=colour)
            dress(panel, title, axes.y, grid=False)
            panel.set_xlabel(axes.x)
            panel.set_xticks(range(len(axes.columns)), list(axes.columns), fontsize=8)
            panel.set_yticks(range(len(axes.rows)), list(axes.rows), fontsize=8)
            if picture is not None:
                panel.figure.colorbar(picture, ax=panel, pad=0.02).outline.set_visible(False)
