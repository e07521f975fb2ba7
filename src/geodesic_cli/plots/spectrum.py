"""Spectra of Jacobians: what an isometry would flatten."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from geodesic_cli.plots.figure import DASHES, LINE_COLOURS, drawing, dress

Spectra = Mapping[str, tuple[Sequence[float], Sequence[float], Sequence[float]]]
"""Model -> the mean singular values in descending order, and the lowest and highest of each over the points."""


def spectra(levels: Mapping[str, Spectra], path: str | Path, whole: bool) -> None:
    """A panel for each noise level, a line for each model: singular values over their index, and their range.

    Args:
        levels: title of a panel -> its spectra.
        whole: the spectra are complete, and are drawn relative to their root mean square, where an isometry is 1.
            Otherwise they are the largest values alone, relative to the first.
    """
    with drawing(path, [3.4] * len(levels), 3.8) as panels:
        for panel, (title, models) in zip(panels, levels.items(), strict=True):
            for index, (name, (mean, low, high)) in enumerate(models.items()):
                unit = (sum(value * value for value in mean) / len(mean)) ** 0.5 if whole else mean[0]
                unit = unit or 1.0
                place = range(1, len(mean) + 1)
                colour = LINE_COLOURS[index % len(LINE_COLOURS)]
                style = {"color": colour, "linestyle": DASHES[index % len(DASHES)], "linewidth": 1.8}
                panel.plot(place, [value / unit for value in mean], label=name.lstrip("_"), **style)
                panel.fill_between(
                    place, [v / unit for v in low], [v / unit for v in high], color=colour, alpha=0.2, linewidth=0
                )
            if whole:
                panel.axhline(1, color="#000000", linewidth=0.8, linestyle=":")
            dress(panel, title, "singular value / r.m.s." if whole else "singular value / largest")
            panel.set_yscale("log")
            panel.set_xlabel("index")
        lows, highs = zip(*(panel.get_ylim() for panel in panels), strict=True)
        for panel in panels:
            panel.set_ylim(min(lows), max(highs))  # one scale, so that noise levels can be compared
