"""The picture of a clip's analysis: what the five paths and the clip itself do from frame to frame."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from math import nan
from pathlib import Path
from textwrap import fill
from typing import Any

from geodesic_cli.plots.figure import DASHES, GRAY, LINE_COLOURS, drawing, dress

ClipRow = Mapping[str, Any]

NAMES = ("clip", "optimised", "perturbed", "smoothed", "straight")


def clip_analysis(rows: Sequence[ClipRow], mark: tuple[int, int, str] | None, path: str | Path) -> None:
    """Four panels over the frames: gradient norms of the paths, the clip's two terms, density, and segment scores.

    Args:
        rows: one mapping a frame with the columns of clip.csv; None where a frame has no such number.
        mark: first and last frame of the worst segment and what it is, which is shaded in all panels.
    """
    frames = [row["frame"] for row in rows]
    with drawing(path, [4.4, 4.0, 4.0, 4.0], 4.0) as panels:
        for index, name in enumerate(NAMES):
            key = "gradient" if name == "clip" else f"gradient_{name}"
            if any(row.get(key) is not None for row in rows):
                style: dict[str, Any] = {"color": LINE_COLOURS[index], "linestyle": DASHES[index % len(DASHES)]}
                panels[0].plot(
                    frames, _column(rows, key), label=name, linewidth=2.4 if name == "clip" else 1.5, **style
                )
        panels[0].set_yscale("log")
        dress(panels[0], "Geodesic gradient", "norm, per unit of latent distance")
        panels[1].plot(frames, _column(rows, "curvature_term"), color=LINE_COLOURS[0], label="_")
        panels[1].plot(frames, _column(rows, "score_term"), color=LINE_COLOURS[1], linestyle="--", label="_")
        panels[1].legend(["curvature", "alpha times score"], frameon=False, fontsize=8)
        panels[1].set_ylim(bottom=0)
        dress(panels[1], "The clip's two terms", "norm")
        panels[2].plot(frames, _column(rows, "log_density"), color=LINE_COLOURS[0])
        dress(panels[2], "Density along the clip", "log p − log p(first frame)   [nats]")
        starts = [(a["frame"] + b["frame"]) / 2 for a, b in pairwise(rows)]
        panels[3].bar(
            starts,
            _column(rows[1:], "segment_score"),
            width=[0.85 * (b - a) for a, b in pairwise(frames)],
            color=LINE_COLOURS[5],
        )
        dress(panels[3], "Departure of each segment", "in the clip's own steps")
        for panel in panels:
            panel.set_xlabel("frame")
            panel.set_xlim(frames[0], frames[-1])
            if mark is not None:
                panel.axvspan(mark[0], mark[1], color=LINE_COLOURS[1], alpha=0.15, linewidth=0)
        if mark is not None:
            panels[3].set_title(f"Departure of each segment\n{fill(mark[2], 42)}", fontsize=9, loc="left", color=GRAY)


def _column(rows: Sequence[ClipRow], key: str) -> list[float]:
    return [nan if row.get(key) is None else row[key] for row in rows]
