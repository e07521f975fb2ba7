"""A sequence and its continuation over the number of the frame: how likely they are, and how fast they go."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from geodesic_cli.plots.figure import GRAY, LINE_COLOURS, drawing, dress


def continuation(
    known: tuple[Sequence[float], Sequence[float]],
    rays: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    steps: tuple[Sequence[float], Sequence[float]],
    last: int,
    floor: float,
    path: str | Path,
) -> None:
    """Two panels: log p relative to where a ray begins, and the distance of every frame from the one before.

    Args:
        known: positions in frames, and log p there in nats, on the frames that the velocity was taken from.
        rays: name -> the same on the new frames, their start included.
        steps: numbers of frames, and the distance of their encodings from those of the frames before.
        last: the number of the last known frame; frame 0 is the first known one.
        floor: log p at which a ray ends.
    """
    with drawing(path, [4.6] * 2, 3.6) as panels:
        panels[0].plot(*known, color=GRAY, linewidth=1.6, label="known")
        for index, (name, ray) in enumerate(rays.items()):
            panels[0].plot(*ray, color=LINE_COLOURS[index], marker="o", markersize=3, linewidth=1.8, label=name)
        low = min([0.0, *known[1], *(value for ray in rays.values() for value in ray[1])])
        if floor > 2 * low - 1:  # a floor far below would flatten everything
            panels[0].axhline(floor, color=LINE_COLOURS[1], linewidth=0.8, linestyle="--", label="the ray ends")
        new = [k > last or k <= 0 for k in steps[0]]
        colours = [LINE_COLOURS[0] if is_new else GRAY for is_new in new]
        panels[1].bar(list(steps[0]), list(steps[1]), color=colours)
        panels[1].set_ylim(bottom=0)
        dress(panels[0], "Density", "log p relative to the ray's start   [nats]")
        dress(panels[1], "Step from the frame before (new: blue)", "distance of the encodings")
        for panel in panels:
            panel.set_xlabel("frame")
            panel.xaxis.get_major_locator().set_params(integer=True)
