"""What several verbs do alike: run a task under a progress display, and print a plain table."""

import shlex
import sys
from collections.abc import Callable, Sequence
from typing import Any

import typer


def watched(run: Callable[..., Any], settings: object) -> Any:
    """The result of a task whose progress is shown; an interruption ends the program with 130."""
    from geodesic_cli.cli.progress import Display

    try:
        with Display() as display:
            return run(settings, display, shlex.join(["geodesic", *sys.argv[1:]]))
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted.\n")
        raise typer.Exit(130) from None


def aligned(heads: Sequence[str], rows: Sequence[Sequence[str]], align: Callable[[str, int], str]) -> list[str]:
    """Lines of a table with columns of equal width; `align` is `str.ljust` or `str.rjust`."""
    lines = [heads, *rows]
    widths = [max(len(row[k]) for row in lines) for k in range(len(heads))]
    return ["  ".join(align(cell, width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in lines]
