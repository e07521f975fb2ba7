"""What a person sees while waiting: bars on a terminal, plain lines elsewhere."""

import io
import sys
from types import SimpleNamespace

import pytest

from geodesic_cli.runs.observer import Silent
from geodesic_cli.runs.progress import Display, NotebookLine, rate, watched_from_python
from helpers import Recorder


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def work(display: Display) -> None:
    with display:
        display.stage("Solving", 40)
        display.advance(17, "residual 0.5")
        display.warn("[odd] name.png is odd")
        display.advance(15, "residual 0.004")
        display.stage("Drawing", 3, "frames")
        display.advance(3)


def test_without_a_terminal_every_stage_is_one_plain_line(capsys: pytest.CaptureFixture[str]) -> None:
    work(Display())
    said = capsys.readouterr()
    assert said.out == ""
    lines = said.err.splitlines()
    assert lines[0] == "Warning: [odd] name.png is odd"
    assert lines[1].startswith("Solving: 32 evaluations in ")
    assert lines[1].endswith("/s), residual 0.004")
    assert lines[2].startswith("Drawing: 3 frames in ")
    assert "\x1b" not in said.err


def test_a_long_stage_says_how_it_stands(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("geodesic_cli.runs.progress.QUIET_SECONDS", 0.0)
    with Display() as display:
        display.stage("Solving", 100)
        display.advance(25)
    assert "Solving: 25/100 evaluations" in capsys.readouterr().err


def test_on_a_terminal_there_is_a_bar_that_ends_full(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    work(Display())
    shown = screen.getvalue()
    assert "Solving" in shown
    assert "32/32" in shown  # a solver that stops early is done
    assert "residual 0.004" in shown
    assert "[odd] name.png is odd" in shown


def test_a_failure_inside_leaves_no_bar_behind_and_is_not_swallowed(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    display = Display()
    with pytest.raises(ZeroDivisionError), display:
        display.stage("Solving", 5)
        raise ZeroDivisionError
    assert not display._bars.live.is_started


@pytest.mark.parametrize(
    ("done", "seconds", "unit", "words"),
    [
        (0, 5, "steps", "0/s"),
        (240, 2, "steps", "120/s"),
        (17, 5, "steps", "3.4/s"),
        (5, 5, "steps", "1.0/s"),
        (2, 5, "steps", "2.5 s/step"),
        (3, 600, "evaluations", "200.0 s/evaluation"),
    ],
)
def test_what_takes_longer_than_a_second_is_told_in_seconds(done: int, seconds: float, unit: str, words: str) -> None:
    assert rate(done, seconds, unit) == words


def test_a_function_shows_its_progress_on_a_terminal_and_not_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    mine = Recorder()
    with watched_from_python(mine, None) as watch:
        assert watch is mine
    with watched_from_python(None, None) as watch:
        assert isinstance(watch, Silent)
    with watched_from_python(None, True) as watch:
        assert isinstance(watch, Display)
    monkeypatch.setattr(sys, "stderr", Terminal())
    with watched_from_python(None, None) as watch:
        assert isinstance(watch, Display)
    with watched_from_python(None, False) as watch:
        assert isinstance(watch, Silent)


def test_in_a_notebook_one_line_changes_and_warnings_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []

    def show(data: dict[str, str], **how: bool) -> SimpleNamespace:
        shown.append(data["text/html"])
        return SimpleNamespace(update=show)

    shell = SimpleNamespace(get_ipython=lambda: SimpleNamespace(kernel=1), display=SimpleNamespace(display=show))
    monkeypatch.setitem(sys.modules, "IPython", shell)
    with watched_from_python(None, None) as watch:
        assert isinstance(watch, NotebookLine)
        watch.stage("Solving", 40)
        watch.warn("<odd> is odd")
        watch._said -= 1
        watch.advance(10, "residual 0.5")
    assert "Solving ..." in shown[0]
    assert "&lt;odd&gt; is odd" in shown[1]
    assert "Solving: 10/40 evaluations" in shown[2] and "residual 0.5" in shown[2]
    assert "Solving" not in shown[-1] and "odd" in shown[-1]  # what is over is cleared away
