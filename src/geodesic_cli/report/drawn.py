"""A plot as vector paths: a square of 1000 units that the page stretches, its ticks, and a dot for each frame."""

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from geodesic_cli.report.story import Film, Plot, Trace, shown

_Place = Callable[[float, float], tuple[int, int]]
"""From a point of a plot to the square."""
UNITS = 1000
"""Of the square on either side."""
TICKS = 4
ROOM = 0.06
"""Share of the height that is left free above and below the lines."""


@dataclass(frozen=True)
class DrawnTrace:
    """A line of a plot: its name, its path, and for each frame of the slider the place of its dot and its value."""

    name: str
    path: str
    colour: int
    dots: list[tuple[int, int, str] | None]


@dataclass(frozen=True)
class DrawnPlot:
    """A plot that the template can write down.

    Args:
        plot: what is drawn.
        traces: its lines.
        ticks_x: place from the left in thousandths, and text.
        ticks_y: place from the top in thousandths, and text.
        says: the plot in words.
    """

    plot: Plot
    traces: list[DrawnTrace]
    ticks_x: list[tuple[int, str]]
    ticks_y: list[tuple[int, str]]
    says: str


def drawn_plot(plot: Plot, film: Film, colours: Sequence[str]) -> DrawnPlot:
    """A plot over the frames of a film.

    Args:
        colours: names of lines in the order of their colours, which are the same in all plots of a page.
    """
    traces = [_finite(trace, plot.logarithmic) for trace in plot.traces]
    traces = [trace for trace in traces if trace.x]
    xs = [value for trace in traces for value in trace.x]
    ys = [value for trace in traces for value in trace.y if value is not None]
    left, right = (min(xs), max(xs)) if xs else (0.0, 1.0)
    low, high = (min(ys), max(ys)) if ys else (0.0, 1.0)
    if plot.good == "even is 1":  # an even pace looks even
        low, high = min(low, 0.8), max(high, 1.2)
    if high - low < 1e-9 * max(abs(low), abs(high), 1e-9):
        low, high = low - 0.5 * (abs(low) or 1), high + 0.5 * (abs(high) or 1)
    low, high = low - ROOM * (high - low), high + ROOM * (high - low)

    def place(x: float, y: float) -> tuple[int, int]:
        across = (x - left) / (right - left) if right > left else 0.5
        return round(UNITS * across), round(UNITS * (high - y) / (high - low))

    made = []
    for trace in traces:
        points = [place(x, y) for x, y in zip(trace.x, trace.y, strict=True) if y is not None]
        path = "M" + "L".join(f"{x} {y}" for x, y in points)
        made.append(DrawnTrace(trace.name, path, colours.index(trace.name) % 7, _dots(trace, film, place, plot)))
    steps_y = _decades(low, high) if plot.logarithmic else _ticks(low, high)
    texts = [(place(left, y)[1], _label(y, plot.logarithmic)) for y in steps_y]
    steps_x = [(place(x, low)[0], shown(x)) for x in _ticks(left, right, whole=right - left >= TICKS)]
    ranges = "; ".join(f"{trace.name} from {_said(trace, plot, min)} to {_said(trace, plot, max)}" for trace in traces)
    return DrawnPlot(plot, made, steps_x, texts, f"{plot.title}, {plot.unit}: {ranges}")


def _said(trace: Trace, plot: Plot, which: Callable[[list[float]], float]) -> str:
    return _label(which([value for value in trace.y if value is not None]), plot.logarithmic)


def _finite(trace: Trace, logarithmic: bool) -> Trace:
    """The points that can be drawn; on a logarithmic axis their logarithms."""
    kept = [(x, y) for x, y in zip(trace.x, trace.y, strict=False) if y is not None and (y > 0 or not logarithmic)]
    values = [math.log10(y) if logarithmic else float(y) for _, y in kept]
    return Trace(trace.name, [float(x) for x, _ in kept], values, trace.reel)


def _dots(trace: Trace, film: Film, place: _Place, plot: Plot) -> list[tuple[int, int, str] | None]:
    """Where the line is at each frame of its reel; None where the frame is beyond its ends."""
    own = film.reels[trace.reel].places if 0 <= trace.reel < len(film.reels) else ()
    dots: list[tuple[int, int, str] | None] = []
    for x in own:
        y = _at(trace, x)
        dots.append(None if y is None else (*place(x, y), _label(y, plot.logarithmic)))
    return dots


def _at(trace: Trace, x: float) -> float | None:
    """The height of a line at x, straight between its points."""
    if not trace.x[0] - 1e-9 <= x <= trace.x[-1] + 1e-9:
        return None
    k = min(max(bisect_right(list(trace.x), x), 1), len(trace.x) - 1) if len(trace.x) > 1 else 0
    if k == 0:
        return trace.y[0]
    before, after, y0, y1 = trace.x[k - 1], trace.x[k], trace.y[k - 1], trace.y[k]
    assert y0 is not None and y1 is not None
    share = min(max((x - before) / (after - before), 0.0), 1.0) if after > before else 0.0
    return y0 + share * (y1 - y0)


def _ticks(low: float, high: float, whole: bool = False) -> list[float]:
    """Round numbers within the bounds, four or so."""
    rough = (high - low) / TICKS
    if rough <= 0:
        return [low]
    base = 10 ** math.floor(math.log10(rough))
    step = next(base * k for k in ((1, 2, 5, 10) if whole else (1, 2, 2.5, 5, 10)) if base * k >= rough * 0.999)
    step = max(step, 1.0) if whole else step
    first = math.ceil(low / step - 1e-9)
    return [round(k * step, 12) for k in range(first, math.floor(high / step + 1e-9) + 1)]


def _decades(low: float, high: float) -> list[float]:
    """Logarithms of powers of ten within the bounds, or where these are few of numbers between them."""
    for digits in ((1,), (1, 3), (1, 2, 5), tuple(range(1, 10))):
        found = [k + math.log10(d) for k in range(math.floor(low), math.ceil(high) + 1) for d in digits]
        inside = [value for value in found if low <= value <= high]
        if len(inside) > 2:
            step = -(-len(inside) // (TICKS + 2))
            return inside[::step]
    return [math.log10(value) for value in _ticks(10**low, 10**high) if value > 0]


def _label(value: float, logarithmic: bool) -> str:
    return shown(10**value if logarithmic else value)
