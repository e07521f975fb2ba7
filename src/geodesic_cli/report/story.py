"""What a page shows, in plain values: the film, its curves, its tables, and what made it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from geodesic_cli.report.album import Shot

GIVEN, DOUBTFUL, NEW, EVENT = "given", "doubtful", "new", "event"
"""What a frame may be marked as: put in, not to be trusted, going on, or where a clip departs most."""
RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
LOWER, HIGHER = "lower is better", "higher is better"


@dataclass(frozen=True)
class Reel:
    """The frames of one path, shown at the position of the slider.

    Args:
        name: what the path is called.
        shots: of the pictures.
        places: where each frame is on the curves' axis; none for a reel that has no curves.
        main: whether these are the frames that the run was asked for.
    """

    name: str
    shots: Sequence[Shot]
    places: Sequence[float] = ()
    main: bool = False


@dataclass(frozen=True)
class Mark:
    """A frame that is something else than the others: its number, what kind of thing, and in words."""

    frame: int
    kind: str
    words: str


@dataclass(frozen=True)
class Film:
    """Reels under one slider.

    Args:
        reels: side by side.
        marks: of the frames.
        captions: of the frames; what they are beyond their number.
        fps: frames a second.
        unit: what the slider counts.
        wide: whether a picture takes the whole width of the page, as one of several strips does.
    """

    reels: Sequence[Reel] = ()
    marks: Sequence[Mark] = ()
    captions: Sequence[str] = ()
    fps: float = 8.0
    unit: str = "frame"
    wide: bool = False

    @property
    def length(self) -> int:
        """How many frames the longest reel has."""
        return max((len(reel.shots) for reel in self.reels), default=0)


@dataclass(frozen=True)
class Trace:
    """A line of a plot; it belongs to the reel of this number, whose frames it is marked at."""

    name: str
    x: Sequence[float]
    y: Sequence[float | None]
    reel: int = 0


@dataclass(frozen=True)
class Plot:
    """Lines over the position along a film.

    Args:
        title: what is plotted.
        unit: of the ordinate.
        good: which way is good, in words.
        axis: what the abscissa is.
        logarithmic: whether the ordinate is.
    """

    title: str
    unit: str
    good: str
    axis: str
    traces: Sequence[Trace]
    logarithmic: bool = False


@dataclass(frozen=True)
class Line:
    """A line of a table: what was measured, its unit, which way is good, the numbers, and which of them is best."""

    name: str
    unit: str
    good: str
    cells: Sequence[str]
    best: int | None = None


@dataclass(frozen=True)
class Grid:
    """A table of numbers with a column for each thing that was measured."""

    title: str
    heads: Sequence[str]
    lines: Sequence[Line]
    note: str = ""


@dataclass(frozen=True)
class Story:
    """What a verb has to show beyond what every run has."""

    film: Film = Film()
    plots: Sequence[Plot] = ()
    grids: Sequence[Grid] = ()
    instead: Sequence[str] = ()
    """Names of pictures of the run that the plots take the place of."""


def shown(value: float | None) -> str:
    """A number as a person reads it: three digits, and no exponent where none is needed."""
    if value is None or not math.isfinite(value):
        return "–"
    if value == 0:
        return "0"
    size = abs(value)
    if size >= 1e6 or size < 1e-4:
        base, exponent = f"{value:.2e}".split("e")
        return f"{base} × 10{str(int(exponent)).translate(RAISED)}".replace("-", "−")
    digits = max(0, 2 - math.floor(math.log10(size)))
    text = f"{value:,.{digits}f}"
    return (text.rstrip("0").rstrip(".") if "." in text else text).replace("-", "−")


def line(name: str, unit: str, good: str, values: Sequence[float | None]) -> Line | None:
    """A line of a table, the best of several values marked; None where there is no value."""
    known = [value for value in values if value is not None]
    if not known:
        return None
    best = None
    if len(known) > 1 and good in (LOWER, HIGHER):
        first = min(known) if good == LOWER else max(known)
        best = list(values).index(first) if known.count(first) == 1 else None
    return Line(name, unit, good, [shown(value) for value in values], best)


def grid(title: str, heads: Sequence[str], lines: Sequence[Line | None], note: str = "") -> list[Grid]:
    """A table, or none where it has no lines."""
    full = [each for each in lines if each is not None]
    return [Grid(title, heads, full, note)] if full else []
