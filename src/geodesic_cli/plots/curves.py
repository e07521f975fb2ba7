"""Pictures of what a curve does and of how the solver found it.

A geodesic of ds = p^(-alpha) |dx| is told by three functions of the position u along the path: how log p changes, how
evenly the path is walked, |v| / mean |v|, and how far each node is from solving the geodesic equation. While it is
being solved two numbers matter: the residual, which goes to zero, and the weighted length, which goes down.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from geodesic_cli.plots.figure import DASHES, GRAY, LINE_COLOURS, drawing, dress

Series = Mapping[str, Sequence[float]]


def density_and_speed(curves: Mapping[str, Series], path: str | Path) -> None:
    """Three panels over u, one line per method: relative log density, relative speed, residual of the equation.

    Args:
        curves: method -> lists `u`, `log_density` (nats, up to a constant), `speed`, and at positions of their own,
            which leave out the ends, `node_u` and `residual`.
    """
    with drawing(path, [4.2] * 3, 3.8) as panels:
        for index, (name, curve) in enumerate(curves.items()):
            style = _style(index, name, len(curve["u"]))
            u, residual = list(curve["u"]), curve["residual"]
            first, mean = curve["log_density"][0], sum(curve["speed"]) / len(u)
            panels[0].plot(u, [value - first for value in curve["log_density"]], **style)
            panels[1].plot(u, [value / mean if mean else math.nan for value in curve["speed"]], **style)
            panels[2].plot(curve["node_u"], _positive(residual), **style)
        dress(panels[0], "Density along the path (high: plausible)", "log p(u) − log p(0)   [nats]")
        dress(panels[1], "Pace (1: even)", "speed / mean speed")
        dress(panels[2], "Distance from a geodesic (low: good)", "residual per node")
        _logarithmic(panels[2])
        low, high = panels[1].get_ylim()
        panels[1].set_ylim(min(low, 0.8), max(high, 1.2))  # an even pace looks even
        panels[1].axhline(1, color=GRAY, linewidth=0.8, zorder=0)
        for panel in panels:
            panel.set_xlabel("position along the path, u")
            panel.set_xlim(0, 1)
            panel.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "¼", "½", "¾", "1"])


def length_history(history: Mapping[str, Series], path: str | Path) -> None:
    """Two panels over score evaluations, one line per solver: relative residual and weighted length.

    Args:
        history: solver -> lists `score_calls`, `residual`, `length`, one entry per step.
    """
    with drawing(path, [4.2] * 2, 3.8) as panels:
        for index, (name, steps) in enumerate(history.items()):
            calls = list(steps["score_calls"])
            style = _style(index, name, len(calls))
            panels[0].plot(calls, _positive(steps["residual"]), **style)
            panels[1].plot(calls, list(steps["length"]), **style)
        dress(panels[0], "Convergence (0: a geodesic)", "relative residual")
        dress(panels[1], "What the solver shortens (short: good)", "length")
        _logarithmic(panels[0])
        for panel in panels:
            panel.set_xlabel("score evaluations")


def _style(index: int, name: str, points: int) -> dict[str, Any]:
    return {
        "label": name.lstrip("_"),  # Matplotlib hides labels that begin with an underscore
        "color": LINE_COLOURS[index % len(LINE_COLOURS)],
        "linestyle": DASHES[index % len(DASHES)],
        "linewidth": 1.8,
        "marker": "o" if points <= 40 else None,
        "markersize": 3,
    }


def _positive(values: Sequence[float]) -> list[float]:
    """Values for a logarithmic axis; a zero, as at the ends of a path, is left out."""
    return [value if value > 0 else math.nan for value in values]


def _logarithmic(panel: Any) -> None:
    """A logarithmic axis wherever there is something to show on one."""
    if any(math.isfinite(value) for line in panel.get_lines() for value in line.get_ydata()):
        panel.set_yscale("log")
