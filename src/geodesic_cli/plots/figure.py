"""What every picture has in common: the colours, the dress of a panel, and how a figure becomes a file.

The drawing uses Matplotlib's figure objects alone, never pyplot, so it needs no display and leaves no global state.
The same numbers give the same bytes.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from io import BytesIO
from os import getpid
from pathlib import Path
from typing import Any

from geodesic_cli.errors import OutputError

# Okabe and Ito's colours, ordered to keep neighbours apart for every kind of colour vision; dashes say it again.
LINE_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
DASHES = ("-", "--", "-.", ":")
GRAY = "#666666"


@contextmanager
def plain_style() -> Iterator[None]:
    """Matplotlib as it comes, whatever the user's matplotlibrc says."""
    from matplotlib import rc_context, rcParamsDefault

    with rc_context({key: value for key, value in rcParamsDefault.items() if key != "backend"}):
        yield


@contextmanager
def drawing(path: str | Path, widths: Sequence[float], height: float) -> Iterator[list[Any]]:
    """Panels side by side to draw on; the figure is written, with one legend below, when the block ends.

    Args:
        widths: of the panels, in inches.
        height: of the figure, in inches.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    with plain_style():
        figure = Figure(
            figsize=(sum(widths), height), dpi=150, layout=ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.06, wspace=0.06)
        )
        FigureCanvasAgg(figure)
        panels = list(figure.subplots(1, len(widths), squeeze=False, width_ratios=widths)[0])
        yield panels
        handles, names = panels[0].get_legend_handles_labels()
        if names:
            # As many side by side as fit: a letter takes about 0.08 inches, the line before it and the gap 0.8.
            fit = int(sum(widths) / (0.8 + 0.08 * max(map(len, names))))
            columns = max(1, min(len(names), 5, fit))
            figure.legend(handles, names, loc="outside lower center", ncols=columns, frameon=False, handlelength=3)
        buffer = BytesIO()
        figure.savefig(buffer, format="png", dpi=150, metadata={"Software": None})
    _write(Path(path), buffer.getvalue())


def dress(panel: Any, title: str, y: str, grid: bool = True) -> None:
    """A title, a label for the ordinate, a quiet frame."""
    panel.set_title(title, fontsize=11, loc="left")
    panel.set_ylabel(y)
    if grid:
        panel.grid(color="#DDDDDD", linewidth=0.6)
        panel.set_axisbelow(True)
    panel.spines[["top", "right"]].set_visible(False)
    panel.spines[["left", "bottom"]].set_color(GRAY)
    panel.tick_params(color=GRAY, which="both")


def _write(path: Path, data: bytes) -> None:
    """Whole or not at all."""
    temporary = path.with_name(f".{path.name}.{getpid()}.tmp")
    try:
        temporary.write_bytes(data)
        temporary.replace(path)
    except OSError as error:
        raise OutputError(f"{path} cannot be written ({error.strerror or error}).", "Choose another place.") from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
