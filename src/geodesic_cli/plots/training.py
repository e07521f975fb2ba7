"""What a training does over its steps: the denoising loss, the regulariser, and the length of the gradient."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from geodesic_cli.plots.figure import GRAY, LINE_COLOURS, drawing, dress

PANELS = (
    ("denoising", "Denoising", "mean squared error"),
    ("regulariser", "Regulariser", "loss before its weight"),
    ("gradient_norm", "Gradient", "norm before clipping"),
)
SMOOTH = 25
"""Steps in the running mean of a long training; a short one takes a twelfth of its steps."""


def loss_curves(history: Mapping[str, Sequence[float]], path: str | Path) -> None:
    """Three panels over the steps: each value as a dot, and their running mean.

    Args:
        history: lists `step`, `denoising`, `regulariser`, `gradient_norm`; NaN is left out, and so is a panel of it.
    """
    shown = [panel for panel in PANELS if any(math.isfinite(value) for value in history[panel[0]])]
    with drawing(path, [4.2] * max(1, len(shown)), 3.4) as panels:
        for panel, (name, title, label) in zip(panels, shown, strict=False):
            pairs = [(k, v) for k, v in zip(history["step"], history[name], strict=True) if math.isfinite(v)]
            steps, values = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
            panel.plot(steps, values, ".", color=GRAY, alpha=0.35, markersize=3, markeredgewidth=0)
            width = max(1, min(SMOOTH, len(values) // 12))
            means = [sum(values[max(0, k + 1 - width) : k + 1]) / min(width, k + 1) for k in range(len(values))]
            panel.plot(
                steps, means, color=LINE_COLOURS[0], linewidth=1.8, label=f"mean of {width}" if width > 1 else ""
            )
            dress(panel, title, label)
            panel.set_xlabel("step")
            if min(values) > 0 and max(values) / min(values) > 20:
                panel.set_yscale("log")
