"""Pictures of a density in the plane and of the paths on it.

The map is made of level sets: log p falls off like a square in every direction, so all that lies more than `DEPTH` nats
below the highest place is one colour. Arrows show the score, grad log p, at a length that saturates, |s| / (|s| + m)
with m the median over the arrows: the direction is what matters, and true lengths would hide all but the steepest.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from geodesic_cli.plots.figure import GRAY, LINE_COLOURS, drawing, dress, plain_style

DEPTH = 8.0
"""Nats below the highest place that the map shows."""
CONTOURS = 16
PALETTE = ("#FFFFFF", "#E3ECF5", "#B4CDE5", "#7FA9D1", "#5C8CBF")
STRAIGHT_LINE: dict[str, Any] = {"color": "#000000", "linewidth": 1.8, "linestyle": "--", "dashes": (4, 2)}
GEODESIC: dict[str, Any] = {"color": LINE_COLOURS[1], "linewidth": 2.6}
ARROW = "#2B2B2B"
RAY: dict[str, Any] = {"color": LINE_COLOURS[2], "linewidth": 0.9}

Profile = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True, eq=False)
class Plane:
    """A density on a grid, and what lies in it.

    Args:
        x: abscissae, (w,).
        y: ordinates, (h,).
        log_density: log p, (h, w), nats.
        arrows: places and scores, (k, 4).
        ends: A and B, (2, 2).
        points: what the density was fitted to, (n, 2), or None.
    """

    x: np.ndarray
    y: np.ndarray
    log_density: np.ndarray
    arrows: np.ndarray
    ends: np.ndarray
    points: np.ndarray | None = None

    @property
    def shape(self) -> float:
        """Width over height."""
        return float((self.x[-1] - self.x[0]) / (self.y[-1] - self.y[0]))


def map_and_profile(
    plane: Plane,
    straight: np.ndarray,
    geodesic: np.ndarray,
    rays: Sequence[np.ndarray],
    profiles: Mapping[str, Profile],
    title: str,
    path: str | Path,
) -> None:
    """The density with both paths (m, 2) and the rays on it; beside it the density along the two.

    Args:
        plane: the density.
        straight: points of the straight line.
        geodesic: points of the geodesic.
        rays: points of the geodesics shot from A.
        profiles: what the straight line and the geodesic are called -> position u, log p relative to A in nats.
        title: of the map.
    """
    with drawing(path, [_width(plane, 3.6) + 1.3, 4.4], 4.6) as (panel, profile):
        filled = _map(panel, plane)
        _arrows(panel, plane)
        for index, ray in enumerate(rays):
            panel.plot(ray[:, 0], ray[:, 1], **RAY, label="geodesics shot from A" if index == 0 else None)
            panel.plot(ray[-1:, 0], ray[-1:, 1], "o", markersize=2.6, color=RAY["color"])
        panel.plot(straight[:, 0], straight[:, 1], **STRAIGHT_LINE, label="straight line")
        _haloed(panel, geodesic, list(profiles)[-1])
        _ends(panel, plane)
        panel.plot([], [], linestyle="none", marker=r"$\rightarrow$", markersize=13, color=ARROW, label="score ∇ log p")
        panel.set_title(title, fontsize=11, loc="left")
        bar = panel.figure.colorbar(filled, ax=panel, shrink=0.85, pad=0.02, aspect=28, ticks=[-8, -6, -4, -2, 0])
        bar.set_label("log p − max log p   [nats]")
        bar.outline.set_visible(False)
        for (name, (u, change)), style in zip(profiles.items(), (STRAIGHT_LINE, GEODESIC), strict=True):
            profile.plot(u, change, **style, label=name)
        dress(profile, "Density along the paths", "log p(u) − log p(A)   [nats]")
        _position(profile)


def evolution(
    u: np.ndarray, changes: np.ndarray, score_calls: Sequence[int], lengths: Sequence[float], path: str | Path
) -> None:
    """What the solver does to the path: the density along it, one curve per step, and the weighted length.

    Args:
        u: positions along the path, (m,).
        changes: log p relative to A at the positions after each step, (steps, m), nats.
        score_calls: score evaluations up to each step.
        lengths: the weighted length after each step, relative to that of the straight line.
    """
    import matplotlib
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import ListedColormap, Normalize
    from matplotlib.ticker import MaxNLocator

    with drawing(path, [5.4, 4.2], 4.0) as (panel, length):
        # Without the palest end, which does not show on white.
        shades = ListedColormap(matplotlib.colormaps["viridis_r"](np.linspace(0.12, 1, 256)))
        scale = Normalize(min(score_calls), max(*score_calls, min(score_calls) + 1))
        colours = shades(scale(np.asarray(score_calls, float)))
        for change, colour in zip(changes, colours, strict=True):
            panel.plot(u, change, color=colour, linewidth=1.4)
        panel.plot(u, changes[-1], color=colours[-1], linewidth=2.8)
        dress(panel, "Density along the path, after each step", "log p(u) − log p(A)   [nats]")
        _position(panel)
        bar = panel.figure.colorbar(
            ScalarMappable(scale, shades), ax=panel, pad=0.02, aspect=28, ticks=MaxNLocator(6, integer=True)
        )
        bar.set_label("score evaluations")
        bar.outline.set_visible(False)
        length.plot(score_calls, lengths, color="#BBBBBB", linewidth=1.2, zorder=1)
        length.scatter(score_calls, lengths, c=colours, s=34, zorder=2, edgecolors="white", linewidths=0.6)
        dress(length, "What the solver shortens", "length / that of the straight line")
        length.set_xlabel("score evaluations")
        length.set_xlim(left=0)
        finite = [value for value in lengths if np.isfinite(value) and value > 0]
        if finite and max(finite) > 20 * min(finite):
            length.set_yscale("log")
        else:
            length.set_ylim(0, 1.06 * max(finite, default=1.0))


def film(plane: Plane, straight: np.ndarray, paths: Sequence[np.ndarray], captions: Sequence[str]) -> np.ndarray:
    """Frames (n, h, w, 3) of bytes: a path (m, 2) on the density in each, with its caption above."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with plain_style():
        size = _width(plane, 3.7)
        figure = Figure(figsize=(size, 3.7 + 0.3), dpi=110)
        canvas = FigureCanvasAgg(figure)
        panel = figure.add_axes((0, 0, 1, 3.7 / 4.0))
        _map(panel, plane)
        panel.set_axis_off()
        panel.plot(straight[:, 0], straight[:, 1], **STRAIGHT_LINE)
        canvas.draw()
        ground = canvas.copy_from_bbox(figure.bbox)  # the map is drawn once: it takes longer than all the rest
        moving = [*_haloed(panel, paths[0], None), *_ends(panel, plane)]
        text = figure.text(0.02, 0.985, "", fontsize=10, va="top")
        frames = []
        for points, caption in zip(paths, captions, strict=True):
            canvas.restore_region(ground)
            for line in moving[:2]:
                line.set_data(points[:, 0], points[:, 1])
            text.set_text(caption)
            for artist in moving:
                panel.draw_artist(artist)
            figure.draw_artist(text)
            frames.append(np.asarray(canvas.buffer_rgba())[..., :3].copy())
    return np.stack(frames)


def _width(plane: Plane, height: float) -> float:
    """Inches for a map of this height; very wide and very high ones are kept to a page."""
    return height * float(np.clip(plane.shape, 0.6, 2.0))


def _map(panel: Any, plane: Plane) -> Any:
    from matplotlib.colors import LinearSegmentedColormap

    below = plane.log_density - plane.log_density.max()
    levels = DEPTH * np.linspace(-1, 0, CONTOURS + 1)
    shades = LinearSegmentedColormap.from_list("density", PALETTE)
    filled = panel.contourf(plane.x, plane.y, below, levels=levels, cmap=shades, extend="min")
    if plane.points is not None:
        panel.scatter(plane.points[:, 0], plane.points[:, 1], s=3, color="#22303C", alpha=0.35, linewidths=0)
    panel.set_aspect("equal")
    panel.set_xlim(plane.x[0], plane.x[-1])
    panel.set_ylim(plane.y[0], plane.y[-1])
    panel.spines[:].set_color("#BBBBBB")
    panel.tick_params(color="#BBBBBB", labelcolor=GRAY, labelsize=8)
    return filled


def _arrows(panel: Any, plane: Plane) -> None:
    if not len(plane.arrows):
        return
    x, y, across, up = plane.arrows.T
    size = np.hypot(across, up)
    length = 1 / np.maximum(size + np.median(size), 1e-300)
    panel.quiver(
        x, y, across * length, up * length, angles="xy", scale_units="width", scale=26, color=ARROW, alpha=0.75,
        width=0.0024, headwidth=4.5, headlength=5, headaxislength=4.5, pivot="mid",
    )  # fmt: skip


def _haloed(panel: Any, points: np.ndarray, name: str | None) -> list[Any]:
    """A path that stands out on any ground."""
    halo = panel.plot(points[:, 0], points[:, 1], color="white", linewidth=GEODESIC["linewidth"] + 2.2)
    return halo + panel.plot(points[:, 0], points[:, 1], **GEODESIC, label=name)


def _ends(panel: Any, plane: Plane) -> list[Any]:
    made = []
    for letter, (x, y) in zip("AB", plane.ends, strict=True):
        made += panel.plot([x], [y], "o", markersize=13, color="white", markeredgecolor="black", zorder=5)
        made.append(panel.text(x, y, letter, ha="center", va="center_baseline", fontsize=8.5, weight="bold", zorder=6))
    return made


def _position(panel: Any) -> None:
    panel.set_xlabel("position along the path, u")
    panel.set_xlim(0, 1)
    panel.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0 (A)", "¼", "½", "¾", "1 (B)"])
