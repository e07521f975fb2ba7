"""Pictures of a clip over the number of the frame: what its analysis found, and how it goes on after its last frame."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from math import nan
from pathlib import Path
from textwrap import fill
from typing import Any

from geodesic_cli.plots.figure import DASHES, GRAY, LINE_COLOURS, drawing, dress

ClipRow = Mapping[str, Any]


def clip_analysis(
    rows: Sequence[ClipRow], names: Mapping[str, str], mark: tuple[int, int, str] | None, path: str | Path
) -> None:
    """Four panels over the frames: gradient norms of the paths, the clip's two terms, density, and segment scores.

    Args:
        rows: one mapping a frame with the columns of clip.csv; None where a frame has no such number.
        names: of the paths by the ends of their columns, as the legend shows them; that of the clip itself is `clip`.
        mark: first and last frame of the worst segment and what it is, which is shaded in all panels.
    """
    frames = [row["frame"] for row in rows]
    with drawing(path, [4.4, 4.0, 4.0, 4.0], 4.0) as panels:
        for index, (name, shown) in enumerate(names.items()):
            key = "gradient" if name == "clip" else f"gradient_{name}"
            if any(row.get(key) is not None for row in rows):
                style: dict[str, Any] = {"color": LINE_COLOURS[index], "linestyle": DASHES[index % len(DASHES)]}
                panels[0].plot(
                    frames, _column(rows, key), label=shown, linewidth=2.4 if name == "clip" else 1.5, **style
                )
        panels[0].set_yscale("log")
        dress(panels[0], "Geodesic gradient (0: a geodesic)", "norm, per unit of latent distance")
        panels[1].plot(frames, _column(rows, "curvature_term"), color=LINE_COLOURS[0], label="_")
        panels[1].plot(frames, _column(rows, "score_term"), color=LINE_COLOURS[1], linestyle="--", label="_")
        panels[1].legend(["curvature", "alpha times score"], frameon=False, fontsize=8)
        panels[1].set_ylim(bottom=0)
        dress(panels[1], "The clip's two terms", "norm")
        panels[2].plot(frames, _column(rows, "log_density"), color=LINE_COLOURS[0])
        dress(panels[2], "Density along the clip (high: plausible)", "log p − log p(first frame)   [nats]")
        starts = [(a["frame"] + b["frame"]) / 2 for a, b in pairwise(rows)]
        panels[3].bar(
            starts,
            _column(rows[1:], "segment_score"),
            width=[0.85 * (b - a) for a, b in pairwise(frames)],
            color=LINE_COLOURS[5],
        )
        dress(panels[3], "Departure of each segment (low: good)", "in the clip's own steps")
        for panel in panels:
            panel.set_xlabel("frame")
            panel.set_xlim(frames[0], frames[-1])
            if mark is not None:
                panel.axvspan(mark[0], mark[1], color=LINE_COLOURS[1], alpha=0.15, linewidth=0)
        if mark is not None:
            panels[3].set_title(
                f"Departure of each segment (low: good)\n{fill(mark[2], 42)}", fontsize=9, loc="left", color=GRAY
            )


def continuation(
    known: tuple[Sequence[float], Sequence[float]],
    rays: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    steps: tuple[Sequence[float], Sequence[float]],
    drifts: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    bounds: tuple[int, float, float],
    path: str | Path,
) -> None:
    """Three panels: log p relative to where a ray begins, the distance of every frame from the one before, and drift.

    Args:
        known: positions in frames, and log p there in nats, on the frames that the velocity was taken from.
        rays: name -> the same on the new frames, their start included.
        steps: numbers of frames, and the distance of their encodings from those of the frames before.
        drifts: name -> numbers of the new frames, and how far their colours or shapes have drifted.
        bounds: the number of the last known frame, where frame 0 is the first known one; log p at which a ray ends; the
            drift from which a frame is marked, or before which the ray ends.
    """
    last, floor, limit = bounds
    with drawing(path, [4.6] * 3, 3.6) as panels:
        panels[0].plot(*known, color=GRAY, linewidth=1.6, label="known")
        for index, (name, ray) in enumerate(rays.items()):
            style: dict[str, Any] = {"color": LINE_COLOURS[index], "marker": "o", "markersize": 3, "linewidth": 1.8}
            panels[0].plot(*ray, label=f"{name} them", **style)
            panels[2].plot(*drifts[name], **style)
        low = min([0.0, *known[1], *(value for ray in rays.values() for value in ray[1])])
        if floor > 2 * low - 1:  # a floor far below would flatten everything
            panels[0].axhline(floor, color=LINE_COLOURS[1], linewidth=0.8, linestyle="--", label="the ray ends")
        new = [k > last or k <= 0 for k in steps[0]]
        colours = [LINE_COLOURS[0] if is_new else GRAY for is_new in new]
        panels[1].bar(list(steps[0]), list(steps[1]), color=colours)
        panels[1].set_ylim(bottom=0)
        panels[2].axhline(limit, color=LINE_COLOURS[1], linewidth=0.8, linestyle="--")
        highest = max([limit, *(value for drift in drifts.values() for value in drift[1])])
        panels[2].set_ylim(0, 1.1 * highest)
        dress(panels[0], "Density (high: plausible)", "log p − log p(ray's start)   [nats]")
        dress(panels[1], "Step from the frame before (new: blue)", "distance of the encodings")
        dress(panels[2], "Drift of colours or shapes (dashed: the limit)", "in spreads of the last known frame")
        for panel in panels:
            panel.set_xlabel("frame")
            panel.xaxis.get_major_locator().set_params(integer=True)


def _column(rows: Sequence[ClipRow], key: str) -> list[float]:
    return [nan if row.get(key) is None else row[key] for row in rows]
