"""Progress: bars on a terminal, a line that changes in a notebook, plain lines elsewhere; with rate and time left."""

import html
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

from geodesic_cli.errors import escaped
from geodesic_cli.runs.observer import Observer, Silent

QUIET_SECONDS = 10.0  # a stage that takes longer says how it stands this often where there is no terminal


class Display:
    """An observer of tasks that shows what it sees. Use it as a context."""

    def __init__(self) -> None:
        self._bars: Any = None
        self._bar: Any = None
        self._name, self._unit, self._total, self._done = "", "", 0, 0
        self._began = self._said = time.monotonic()
        self._note = ""

    def __enter__(self) -> Self:
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

            self._bars = Progress(
                TextColumn("{task.description:<18}"),
                BarColumn(bar_width=24),
                MofNCompleteColumn(),
                TextColumn("{task.fields[unit]}"),
                TextColumn("{task.fields[rate]}"),
                TimeRemainingColumn(compact=True),
                TextColumn("{task.fields[note]}"),
                console=Console(stderr=True),
            )
            self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._end()
        if self._bars is not None:
            self._bars.stop()

    def stage(self, name: str, total: int, unit: str = "evaluations") -> None:
        """Begin a bar, or remember when the stage began."""
        self._end()
        self._name, self._unit, self._total, self._done, self._note = name, unit, total, 0, ""
        self._began = self._said = time.monotonic()
        if self._bars is not None:
            self._bar = self._bars.add_task(name, total=total, unit=unit, rate="", note="")

    def advance(self, amount: int, note: str = "") -> None:
        """Move the bar; without a terminal say something every ten seconds."""
        self._done += amount
        self._note = note or self._note
        if self._bars is not None:
            self._bars.update(self._bar, advance=amount, note=self._note, rate=self._rate)
        elif time.monotonic() - self._said > QUIET_SECONDS:
            self._said = time.monotonic()
            left = (self._total - self._done) * self._each
            of, end = (
                (f"/{self._total}", f", at most {left:.0f} s left") if left > 0 else ("", "")
            )  # the total was a guess
            self._line(f"{self._done}{of} {self._unit}, {self._rate}{end}")

    def warn(self, message: str) -> None:
        """Show a warning at once."""
        if self._bars is not None:
            self._bars.console.print(f"Warning: {escaped(message)}", markup=False, highlight=False)
        else:
            sys.stderr.write(f"Warning: {escaped(message)}\n")

    @property
    def _each(self) -> float:
        """Seconds for one unit so far."""
        return (time.monotonic() - self._began) / max(self._done, 1e-9)

    @property
    def _rate(self) -> str:
        return rate(self._done, time.monotonic() - self._began, self._unit)

    def _line(self, text: str) -> None:
        sys.stderr.write(f"{self._name}: {text}{', ' + self._note if self._note else ''}\n")
        sys.stderr.flush()

    def _end(self) -> None:
        if not self._name:
            return
        if self._bars is not None:
            # A solver may stop early: the stage is done all the same.
            self._bars.update(self._bar, total=self._done)
        else:
            seconds = time.monotonic() - self._began
            self._line(f"{self._done} {self._unit} in {seconds:.1f} s ({self._rate})")
        self._name = ""


class NotebookLine(Observer):
    """An observer that shows what it sees below the cell of a notebook, in one line that changes. Use it as a context.

    Args:
        show: IPython's `display`.
    """

    def __init__(self, show: Any) -> None:
        self._show, self._handle = show, None
        self._name, self._unit, self._total, self._done, self._note = "", "", 0, 0, ""
        self._began = self._said = time.monotonic()
        self._warnings: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._draw("Interrupted." if kind is KeyboardInterrupt else "Stopped." if kind else "")

    def stage(self, name: str, total: int, unit: str = "evaluations") -> None:
        """Begin another line in place of the last."""
        self._name, self._unit, self._total, self._done, self._note = name, unit, total, 0, ""
        self._began = time.monotonic()
        self._draw(f"{name} ...")

    def advance(self, amount: int, note: str = "") -> None:
        """Change the line, a few times a second at most."""
        self._done, self._note = self._done + amount, note or self._note
        if time.monotonic() - self._said > 0.25:
            speed = rate(self._done, time.monotonic() - self._began, self._unit)
            note = f", {self._note}" if self._note else ""
            self._draw(f"{self._name}: {self._done}/{self._total} {self._unit}, {speed}{note}")

    def warn(self, message: str) -> None:
        """Show a warning that stays."""
        self._warnings.append(message)
        self._draw(f"{self._name} ...")

    def _draw(self, line: str) -> None:
        self._said = time.monotonic()
        lines = [*(f"Warning: {escaped(text)}" for text in self._warnings), *([line] if line else [])]
        pictured = {
            "text/plain": "\n".join(lines),
            "text/html": "".join(f"<div><small>{html.escape(text)}</small></div>" for text in lines),
        }
        if self._handle is None:
            self._handle = self._show(pictured, raw=True, display_id=True)
        else:
            self._handle.update(pictured, raw=True)


def rate(done: float, seconds: float, unit: str) -> str:
    """How fast it goes: `12/s`, `3.4/s`, and what takes longer as `4.2 s/step`."""
    if done <= 0 or done >= seconds:
        each = done / max(seconds, 1e-9)
        return f"{each:.0f}/s" if each >= 10 or done <= 0 else f"{each:.1f}/s"
    return f"{seconds / done:.1f} s/{unit.removesuffix('s')}"


@contextmanager
def watched_from_python(observer: Observer | None, progress: bool | None) -> Iterator[Observer]:
    """What watches a function that is called from Python.

    Args:
        observer: the one that was given, which comes first.
        progress: whether to show any; None does so in a notebook and on a terminal.
    """
    if observer is not None or progress is False:
        yield observer or Silent()
        return
    show = _display_of_notebook()
    if show is not None:
        with NotebookLine(show) as line:
            yield line
    elif progress or sys.stderr.isatty():
        with Display() as display:
            yield display
    else:
        yield Silent()


def _display_of_notebook() -> Any:
    """IPython's `display` where this runs in a notebook's kernel; None elsewhere."""
    shell = sys.modules.get("IPython")  # a notebook has imported it
    if shell is None or getattr(shell.get_ipython(), "kernel", None) is None:
        return None
    return shell.display.display
