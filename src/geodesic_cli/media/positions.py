"""Positions in a sequence: the number of a frame, counted from 0, or a time in seconds."""

import re

from geodesic_cli.errors import InputError

Position = int | float | str


def parse_position(text: str) -> int | float:
    """A position in a sequence: `12` is frame 12, counted from 0, and `1.5s` is the time 1.5 s (a float)."""
    match = re.fullmatch(r"\s*(?:([0-9]{1,9})|([0-9]*\.?[0-9]+|[0-9]+\.)\s*s)\s*", text)
    if match is None:
        raise InputError(
            f"A position is the number of a frame or a time in seconds, not {text!r}.", "Write 12 or 1.5s."
        )
    return int(match[1]) if match[1] else float(match[2])


def place_of(position: Position | None, name: str) -> int | float | None:
    """A position as a number of a frame (int) or a time (float); the name is that of its option.

    Raises:
        InputError: a text that is none, or a negative number.
    """
    value = parse_position(position) if isinstance(position, str) else position
    if value is not None and not value >= 0:
        raise InputError(f"--{name} takes positions from 0 on; got {value}.", "Write 12 or 1.5s.")
    return value


def range_in_words(start: Position | None, stop: Position | None, stride: int) -> str:
    """What a message says of the range that was asked for; nothing of all."""
    parts = [
        *([f"from {_told(start)}"] if start is not None else []),
        *([f"before {_told(stop)}"] if stop is not None else []),
        *([f"with a stride of {stride}"] if stride > 1 else []),
    ]
    return f" {' '.join(parts)}" if parts else ""


def _told(position: Position) -> str:
    value = parse_position(position) if isinstance(position, str) else position
    return f"{value:g} s" if isinstance(value, float) else f"frame {value}"
