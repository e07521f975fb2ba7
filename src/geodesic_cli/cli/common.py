"""What several verbs do alike: run a task under a progress display, and print what came out."""

import shlex
import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any

import typer

from geodesic_cli.cli.command import flag
from geodesic_cli.cli.signals import exit_code_of
from geodesic_cli.runs.plain import to_json

VERBOSE = flag("--verbose", "Print all numbers, too.")


@dataclass(frozen=True)
class Closing:
    """The last lines of a verb, in the order in which a person asks.

    Args:
        made: what was made.
        verdict: whether it is good, and what to do if it is not.
        files: which file to open for what.
        fine: whether it is good; if it is not, the verdict goes to standard error as a warning.
        numbers: the lines of a table, and what its columns mean, before all else.
    """

    made: str
    verdict: str
    files: str
    fine: bool = True
    numbers: Sequence[str] = ()


def watched(
    run: Callable[[Any], Any], settings: object, again: str | None = None, processes: int = 1, speaks: bool = True
) -> Any:
    """The result of a task whose progress is shown; an interruption ends the program with 130.

    Args:
        run: the task, of a job.
        again: for a verb that can resume, the folder of the run; an interruption then says how to go on with it.
        processes: how many run this command together.
        speaks: whether this is the one of them that shows anything.
    """
    from geodesic_cli.cli.progress import Display
    from geodesic_cli.runs.job import Job
    from geodesic_cli.runs.observer import Silent

    try:
        with Display() if speaks else nullcontext(Silent()) as display:
            return run(Job(settings, display, command=shlex.join(["geodesic", *sys.argv[1:]])))
    except KeyboardInterrupt as stop:
        if speaks:
            sys.stderr.write("Interrupted.\n" if again is None else f"Interrupted. {_go_on(again, processes)}\n")
        raise typer.Exit(exit_code_of(stop)) from None


def _go_on(folder: str, processes: int = 1) -> str:
    words = [word for word in sys.argv[1:] if word != "--overwrite"]
    if not any(word == "--out" or word.startswith("--out=") for word in words):
        words += ["--out", folder]
    if "--resume" not in words:
        words.append("--resume")
    how = "with: geodesic" if processes == 1 else "under the same launcher with: -m geodesic_cli"
    return f"What was finished is kept. Go on {how} {shlex.join(words)}"


def ran(verb: str, settings: Any, as_json: bool, table: Callable[[Any], str | Closing]) -> Any:
    """The result of a verb, run into its folder, or else the first free one at runs/STEM, and shown.

    Args:
        verb: its file below `verbs`, such as `latent.invert`.
        as_json: print one JSON object instead of the table.
        table: of a result.
    """
    module = import_module(f"geodesic_cli.verbs.{verb}")
    settings = in_its_folder(settings, module.stem)
    result = watched(module.run, settings, settings.out if hasattr(settings, "resume") else None)
    show(result, as_json, table)
    return result


def in_its_folder(settings: Any, stem: Callable[[Any], str]) -> Any:
    """The settings with the folder that was asked for, or else the first free one at runs/STEM."""
    from geodesic_cli.runs.folder import first_free

    return replace(settings, out=settings.out or first_free(f"runs/{stem(settings)}"))


def show(result: Any, as_json: bool, table: Callable[[Any], str | Closing]) -> None:
    """Print what came out of a run: as one JSON object, as a text, or as its closing lines."""
    closing = table(result)
    if as_json:
        typer.echo(to_json(result.metrics | {"folder": str(result.folder)}).rstrip())
    elif isinstance(closing, str):
        typer.echo(closing)
    else:
        typer.echo("\n".join([*closing.numbers, closing.made, *([closing.verdict] if closing.fine else [])]))
    if not (isinstance(closing, str) or closing.fine):
        sys.stdout.flush()
        sys.stderr.write(f"Warning: {closing.verdict}\n")
        sys.stderr.flush()
    if not (as_json or isinstance(closing, str)):
        typer.echo(closing.files)
