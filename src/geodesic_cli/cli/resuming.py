"""`--resume FOLDER`: a run goes on with what its manifest says. Standard library only, so that it answers at once."""

import json
import os
import shlex
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import typer

from geodesic_cli.cli.saying import say
from geodesic_cli.errors import InputError
from geodesic_cli.filing import parsed_json
from geodesic_cli.runs.plain import plain, to_json

MANIFEST, METRICS = "manifest.json", "metrics.json"
UNFINISHED = ("running", "Interrupted.", "Stopped: ")
"""How the status of a run begins that has not come to its end."""
NOT_COMPARED = ("out", "resume", "overwrite")
"""Settings that say where a run is written, and not what."""
FOLDER_WORDS = ("--out", "--output-dir")


def with_manifest(context: Any, words: Sequence[str]) -> list[str]:
    """The words of a command; where they are `--resume FOLDER`, the manifest there becomes the source of defaults.

    The run goes on where it was begun: paths in its settings may be relative.

    Raises:
        InputError: there is no such run, or it is one of another verb.
    """
    words = list(words)
    at = next((k for k, word in enumerate(words) if word == "--resume" or word.startswith("--resume=")), None)
    if at is None or any(word.partition("=")[0] in FOLDER_WORDS for word in words):
        return words
    name = words[at].partition("=")[2]
    if not name and at + 1 < len(words) and not words[at + 1].startswith("-"):
        name = words.pop(at + 1)
    if not name:
        return words  # the settings say what is missing
    folder, manifest = Path(name), read(Path(name))
    if manifest is None:
        raise InputError(f"There is no run in {name} to go on with.", "Pass the folder of one: it holds manifest.json.")
    verb = _words_of(context)
    command = shlex.split(manifest["command"])[1:]
    if command[: len(verb)] != verb:
        begun = " ".join(command[: 2 if command[:1] in (["latent"], ["bench"]) else 1])
        raise InputError(
            f"{name} holds a run of {f'geodesic {begun}' if begun else manifest['command']}, not of geodesic "
            f"{' '.join(verb)}.",
            f"Run geodesic {begun} --resume {name}." if begun else "Pass another folder.",
        )
    words[at] = "--resume"
    place = Path(str(manifest.get("begun_in", "")))
    if place.is_absolute() and place.is_dir() and place != Path.cwd():
        folder = folder.absolute()
        os.chdir(place)
    stored = {name: value for name, value in manifest["settings"].items() if name not in NOT_COMPARED}
    context.default_map = {**(context.default_map or {}), **stored, "out": str(folder)}
    return words


def _words_of(context: Any) -> list[str]:
    """The words of a command after the program's name, such as `latent direction`."""
    return [*_words_of(context.parent), str(context.info_name)] if context.parent is not None else []


def stop_if_complete(settings: Any, as_json: bool) -> None:
    """End the program with 0 where the run that is to go on has come to its end with these settings."""
    if not (getattr(settings, "resume", False) and settings.out):
        return
    folder = Path(settings.out)
    manifest = read(folder)
    if manifest is None or str(manifest.get("status", "running")).startswith(UNFINISHED):
        return
    asked, had = (
        {name: value for name, value in values.items() if name not in NOT_COMPARED}
        for values in (plain(asdict(settings)), manifest["settings"])
    )
    files = manifest.get("files", [])
    if asked != had or METRICS not in files or not all((folder / str(name)).is_file() for name in files):
        return
    if as_json:
        metrics = json.loads((folder / METRICS).read_text("utf-8"))
        typer.echo(to_json(metrics | {"folder": str(folder)}).rstrip())
    else:
        say(f"{folder} was already complete: {manifest['status']}")
    raise typer.Exit


def read(folder: Path) -> dict[str, Any] | None:
    """The manifest of a run; None where there is none that can be read."""
    try:
        found = parsed_json((folder / MANIFEST).read_text("utf-8"))
    except (OSError, ValueError):
        return None
    kinds = {"settings": dict, "command": str}
    good = isinstance(found, dict) and all(isinstance(found.get(key), kind) for key, kind in kinds.items())
    return found if good else None
