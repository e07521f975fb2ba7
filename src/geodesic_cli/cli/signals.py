"""A program that is asked to stop ends as with Ctrl-C: what was finished is kept, and the user is told how to go on."""

import signal
from types import FrameType


class StopSignal(KeyboardInterrupt):
    """A signal that asks the program to stop; its first argument is the number of the signal."""


def _stop(number: int, frame: FrameType | None) -> None:
    raise StopSignal(number)


def heed_stop_signals() -> None:
    """From now on SIGTERM and SIGHUP, where the system has them, stop the program as Ctrl-C does."""
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        # A signal that is ignored, as under nohup, stays ignored.
        if number is not None and signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, _stop)


def exit_code_of(stop: KeyboardInterrupt) -> int:
    """128 and the number of the signal, as shells have it: 130 for Ctrl-C, 143 for SIGTERM, 129 for SIGHUP."""
    return 128 + (stop.args[0] if isinstance(stop, StopSignal) else signal.SIGINT)
