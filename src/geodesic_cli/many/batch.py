"""Runs one after the other with one model: what is complete is left as it is, what fails is told, the rest is done.

Nothing that several processes share is held open. The list of rows, `rows.json`, is written first. It may grow at its
end, and never changes otherwise: a folder begun with other rows or options is refused. Each run has a folder, a
manifest and a lock of its own.
"""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, cast

from geodesic_cli import media
from geodesic_cli.diffusion import LatentDiffusion
from geodesic_cli.errors import GeodesicError, OutputError
from geodesic_cli.filing import parsed_json
from geodesic_cli.many.rows import Row
from geodesic_cli.runs.folder import METRICS
from geodesic_cli.runs.job import Job
from geodesic_cli.runs.manifest import MANIFEST, settings_hash
from geodesic_cli.runs.observer import Observer
from geodesic_cli.runs.plain import plain, to_json
from geodesic_cli.settings import InterpolateSettings
from geodesic_cli.verbs.interpolate.run import run as interpolate_run

OPTION_NAMES = frozenset(each.name for each in fields(cast(Any, InterpolateSettings)))
ROWS, INPUTS = "rows.json", "inputs"
UNFINISHED = ("running", "Interrupted.", "Stopped: ")
"""How the status of a run begins that has not come to its end."""


class Quiet(Observer):
    """An observer that hands on warnings and says which run is under way; the stages within a run are not told."""

    def __init__(self, observer: Observer, name: str) -> None:
        self._observer, self._name = observer, name

    def warn(self, message: str) -> None:
        """A warning with the name of the pair before it."""
        self._observer.warn(f"{self._name}: {message}")


@dataclass(frozen=True)
class Ended:
    """How the rows of this process ended: names and sentences of those that failed, and how many were there already."""

    failed: Mapping[str, str]
    done: int
    kept: int


def begin(root: Path, rows: Sequence[Row], go_on: bool) -> None:
    """Write the list of rows, or refuse a folder that holds something else.

    Where it is gone on with, there may be more rows than at first, or fewer, after the same first ones.

    Args:
        root: of all runs.
        rows: in their order.
        go_on: whether what is there may be gone on with.

    Raises:
        OutputError: the folder is not empty, or was begun with other rows.
    """
    text = to_json([{"name": row.name, "folder": row.folder, "options": plain(row.options)} for row in rows])
    there = root / ROWS
    if there.is_file():
        begun, listed = _rows_in(there), parsed_json(text)
        both = min(len(begun), len(listed))
        if begun[:both] != listed[:both] or not (go_on or len(begun) == len(listed)):
            raise OutputError(
                f"{root} was begun with other pairs or other options.", "Pass the same ones, or another --out."
            )
        if go_on and len(begun) >= len(listed):
            return
    if not (go_on and there.is_file()) and root.is_dir() and any(path.name != INPUTS for path in root.iterdir()):
        raise OutputError(f"{root} is not empty.", "Pass --resume to go on, or another --out.")
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise media.cannot_write(root, error) from error
    with media.replacing(there) as part:
        part.write_text(text, "utf-8")


def _rows_in(file: Path) -> list[Any]:
    try:
        found = parsed_json(file.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise OutputError(f"{file} cannot be read ({error}).", "Pass another --out.") from error
    return found if isinstance(found, list) else []


def run_rows(root: Path, rows: Sequence[Row], observer: Observer, command: str) -> Ended:
    """Do these rows.

    Args:
        root: of all runs.
        rows: of this process.
        observer: told of every run.
        command: the command line, for the manifests.
    """
    failed, done, kept = dict[str, str](), 0, 0
    models: dict[str, LatentDiffusion] = {}
    observer.stage("Drawing pairs", len(rows), "pairs")
    for row in rows:
        if row.wrong:
            failed[row.folder] = row.wrong
        elif metrics_of(root, row) is not None:
            kept += 1
        else:
            try:
                _one(root, row, observer, command, models)
                done += 1
            except GeodesicError as error:
                failed[row.folder] = str(error)
            except KeyboardInterrupt as stop:
                stop.add_note(str(root))  # where to go on: not with this one run
                raise
        observer.advance(1, row.folder)
    for name, sentence in failed.items():
        observer.warn(f"{name} could not be drawn. {sentence}")
    return Ended(failed, done, kept)


def _one(root: Path, row: Row, observer: Observer, command: str, models: dict[str, LatentDiffusion]) -> None:
    settings = row.settings(root, (root / row.folder / MANIFEST).is_file())
    job = Job(settings, Quiet(observer, row.name), command=command)
    key = json.dumps({name: value for name, value in asdict(settings).items() if name in MODEL_FIELDS})
    if key not in models:
        models.clear()  # one at a time
        models[key] = job.load_model()
    interpolate_run(replace(job, given=models[key]), plots=False)


MODEL_FIELDS = (
    "model", "revision", "variant", "lora", "vae", "text_embedding", "device", "dtype", "low_memory", "compile",
)  # fmt: skip
"""Settings of which a change needs another model to be loaded."""


def metrics_of(root: Path, row: Row) -> dict[str, Any] | None:
    """The metrics of a run that has come to its end with these settings; None of any other."""
    if row.wrong:
        return None
    folder = root / row.folder
    with suppress(OSError, ValueError, KeyError, AttributeError):
        manifest = json.loads((folder / MANIFEST).read_text("utf-8"))
        same = manifest["settings_hash"] == settings_hash(asdict(row.settings(root, False)))
        if same and not str(manifest["status"]).startswith(UNFINISHED):
            found = json.loads((folder / METRICS).read_text("utf-8"))
            return found if isinstance(found, dict) else None
    return None


def typed(given: Mapping[str, Any]) -> dict[str, Any]:
    """Options for all pairs as values of the settings: those that are settings, and were given."""
    known = {name: value for name, value in given.items() if name in OPTION_NAMES and value is not None}
    return {name: tuple(value) if isinstance(value, list) else value for name, value in known.items()}
