"""What several verbs do alike: run a task under a progress display, and print what came out."""

import shlex
import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import typer

from geodesic_cli.cli.command import flag
from geodesic_cli.cli.resuming import FOLDER_WORDS, MANIFEST, stop_if_complete
from geodesic_cli.cli.saying import say
from geodesic_cli.cli.signals import exit_code_of
from geodesic_cli.errors import OutputError
from geodesic_cli.runs.plain import to_json

VERBOSE = flag("--verbose", "Print all numbers, too.")


@dataclass(frozen=True)
class Closing:
    """The last lines of a verb, in the order in which a person asks.

    Args:
        made: what was made.
        verdict: whether it is good, and what to do if it is not.
        files: what lies beside the page of the run: the files, and in brackets what they show.
        fine: whether it is good; if it is not, the verdict goes to standard error as a warning.
        numbers: the lines of a table, and what its columns mean, before all else.
    """

    made: str
    verdict: str
    files: str
    fine: bool = True
    numbers: Sequence[str] = ()


def begun() -> None:
    """A first line, before the libraries are loaded, which takes seconds."""
    sys.stderr.write("Loading PyTorch and the model ...\n")
    sys.stderr.flush()


def watched(
    run: Callable[[Any], Any], settings: Any, resumes: bool = False, processes: int = 1, speaks: bool = True
) -> Any:
    """The result of a task whose progress is shown; an interruption ends the program with 130.

    Args:
        run: the task, of a job.
        resumes: whether the verb can go on with a run; an interruption then says how.
        processes: how many run this command together.
        speaks: whether this is the one of them that shows anything.
    """
    from geodesic_cli.runs.job import Job
    from geodesic_cli.runs.observer import Silent
    from geodesic_cli.runs.progress import Display

    try:
        with Display() if speaks else nullcontext(Silent()) as display:
            return run(Job(settings, display, command=shlex.join(["geodesic", *sys.argv[1:]])))
    except KeyboardInterrupt as stop:
        if speaks:
            # A run that was stopped in its folder says where that is; the last to say so holds all others.
            folder = _noted(stop) or (settings.out if resumes else None)
            say(f"Interrupted. {_go_on(folder, processes)}" if resumes and folder else "Interrupted.", err=True)
        raise typer.Exit(exit_code_of(stop)) from None
    except OutputError as error:  # a full disk, for example: what it has written before is there
        folder = _noted(error)
        if not (resumes and speaks and folder and Path(folder, MANIFEST).is_file()):
            raise
        raise OutputError(error.message, f"{error.hint} {_go_on(folder, processes)}") from error


def _noted(error: BaseException) -> str | None:
    return next(reversed(getattr(error, "__notes__", [])), None)


def _go_on(folder: str, processes: int = 1) -> str:
    words = [word for word in sys.argv[1:] if word not in ("--overwrite", "--resume")]
    if Path(folder, MANIFEST).is_file():  # all settings are there
        names = words[: 2 if words[0] == "latent" else 1]
        words = [*names, "--resume", folder]
    else:
        named = any(word.partition("=")[0] in FOLDER_WORDS for word in words)
        words += ["--resume"] if named else ["--out", folder, "--resume"]
    how = "with: geodesic" if processes == 1 else "under the same launcher with: -m geodesic_cli"
    return f"What was finished is kept. Go on {how} {shlex.join(words)}"


def ran(verb: str, settings: Any, as_json: bool, table: Callable[[Any], str | Closing]) -> Any:
    """The result of a verb, run into its folder, or else the first free one at runs/STEM, and shown.

    A run that is complete is not run again: that is said, and the program ends with 0.

    Args:
        verb: its file below `verbs`, such as `latent.invert`, or one of `many`.
        as_json: print one JSON object instead of the table.
        table: of a result.
    """
    stop_if_complete(settings, as_json)
    begun()
    result = watched(_module(verb).run, settings, hasattr(settings, "resume"))
    show(result, as_json, table)
    return result


def planned(verb: str, settings: Any, as_json: bool) -> None:
    """Print what a run would cost, by the `dry_run` of a file of `verbs`, such as `interpolate.run`, or of `many`."""
    begun()
    show_plan(watched(_module(verb).dry_run, settings), as_json)


def show_plan(plan: Any, as_json: bool) -> None:
    """Print what a run would cost."""
    say(to_json(plan.metrics).rstrip() if as_json else plan.text)


def _module(verb: str) -> Any:
    return import_module(f"geodesic_cli.{verb if verb.startswith('many.') else f'verbs.{verb}'}")


def of_each_model(metrics: dict[str, Any], numbers: Callable[[dict[str, Any]], list[str]]) -> list[str]:
    """The lines of numbers of a run's model or, where there is a second one, of both, each under its name."""
    if "against" not in metrics:
        return numbers(metrics)
    both = metrics, metrics["against"]
    return [line for one in both for line in (f"{one['name']}:", *numbers(one))]


def show(result: Any, as_json: bool, table: Callable[[Any], str | Closing]) -> None:
    """Print what came out of a run: as one JSON object, as a text, or as its closing lines."""
    closing = table(result)
    if as_json:
        typer.echo(to_json(result.metrics | {"folder": str(result.folder)}).rstrip())
    elif isinstance(closing, str):
        say(closing)
    else:
        say("\n".join([*closing.numbers, closing.made, *([closing.verdict] if closing.fine else [])]))
    if not (isinstance(closing, str) or closing.fine):
        sys.stdout.flush()
        say(f"Warning: {closing.verdict}", err=True)
    if not (as_json or isinstance(closing, str)):
        say(f"Open {result.folder}/report.html, one page with all of it. Beside it: {closing.files}")
