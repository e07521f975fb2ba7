"""Progress on stderr: bars on a terminal, plain lines elsewhere; both with the rate and the time left."""

import sys
import time
from types import TracebackType
from typing import Any, Self

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
            self._bars.update(self._bar, advance=amount, note=self._note, rate=f"{self._rate():.0f}/s")
        elif time.monotonic() - self._said > QUIET_SECONDS:
            self._said = time.monotonic()
            left = (self._total - self._done) / max(self._rate(), 1e-9)
            of, end = (
                (f"/{self._total}", f", at most {left:.0f} s left") if left > 0 else ("", "")
            )  # the total was a guess
            self._line(f"{self._done}{of} {self._unit}, {self._rate():.0f}/s{end}")

    def warn(self, message: str) -> None:
        """Show a warning at once."""
        if self._bars is not None:
            self._bars.console.print(f"Warning: {message}", markup=False, highlight=False)
        else:
            sys.stderr.write(f"Warning: {message}\n")

    def _rate(self) -> float:
        return self._done / max(time.monotonic() - self._began, 1e-9)

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
            self._line(f"{self._done} {self._unit} in {seconds:.1f} s ({self._rate():.0f}/s)")
        self._name = ""
