"""What a person sees while waiting: bars on a terminal, plain lines elsewhere."""

import io
import sys

import pytest

from geodesic_cli.cli.progress import Display


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
    monkeypatch.setattr("geodesic_cli.cli.progress.QUIET_SECONDS", 0.0)
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
