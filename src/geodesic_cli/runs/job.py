"""One way to run a verb: in memory for Python, into a folder for the command line.

    in_memory(InterpolateSettings, "interpolate", model, options, observer, images=...)  ->  Job
    into_folder(settings, observer, command)                                             ->  Job

A verb is one function of a job. It opens the model when it needs it, refuses what must be refused, and only then opens
the folder, which is None for a job in memory.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from geodesic_cli.runs.folder import MANIFEST, RunDirectory, first_free
from geodesic_cli.runs.observer import Observer, Silent
from geodesic_cli.settings import PlainModelOptions, from_options
from geodesic_cli.settings.shared import FolderOptions

if TYPE_CHECKING:
    from geodesic_cli.diffusion import LatentDiffusion

Settings = TypeVar("Settings")
"""The settings of one verb."""
Chosen = TypeVar("Chosen", covariant=True)
"""The same, of a job that only reads them."""


@dataclass(frozen=True, eq=False)
class Job(Generic[Chosen]):
    """What a verb is asked to do.

    Args:
        settings: of the verb.
        observer: told of the progress.
        given: a model that is loaded already; without one the settings say which to load.
        command: the command line, for the manifest; None where nothing is to be written.
    """

    settings: Chosen
    observer: Observer
    given: "LatentDiffusion | None" = None
    command: str | None = None

    def model(self: "Job[PlainModelOptions]") -> "LatentDiffusion":
        """The model. A notice that memory ran out and the batch was halved goes to the observer.

        Raises:
            GeodesicError: it cannot be had, or not with these settings.
        """
        from geodesic_cli.runs.opening import open_model  # its libraries are loaded by verbs that have a model

        return self.given or open_model(self.settings, self.observer)

    @contextmanager
    def folder(self: "Job[FolderOptions]", stem: str) -> Iterator[RunDirectory | None]:
        """The folder of the run, with the settings in it: the one that was asked for, or a free one at runs/STEM.

        Raises:
            OutputError: it cannot be used; nothing in it has been touched.
        """
        if self.command is None:
            yield None
            return
        settings: Any = self.settings  # a dataclass, which the type checker does not see
        stored = asdict(settings)
        folder = self.settings.out or first_free(f"runs/{stem}")
        with open_folder(folder, stored | {"out": folder}, self.observer, self.command) as directory:
            yield directory


def open_folder(
    folder: str, stored: Mapping[str, Any], observer: Observer, command: str, resume: bool | None = None
) -> RunDirectory:
    """Open the folder of a run, and warn where a run is to go on that is not there.

    Args:
        folder: where.
        stored: the settings, which are written there; they say whether to go on or to overwrite.
        observer: warned.
        command: the command line, for the manifest.
        resume: whether to go on, where the settings alone do not say it.
    """
    resume = bool(stored.get("resume")) if resume is None else resume
    if resume and not Path(folder, MANIFEST).is_file():
        observer.warn(f"There is no run in {folder} to go on with: starting one.")
    return RunDirectory.open(folder, stored, command=command, resume=resume, overwrite=stored["overwrite"])


def in_memory(
    kind: type[Settings],
    verb: str,
    model: "str | LatentDiffusion",
    options: Mapping[str, Any],
    observer: Observer | None,
    **fixed: Any,
) -> Job[Settings]:
    """The job of a verb that is called as a Python function.

    Args:
        kind: of its settings.
        verb: the function's name, for messages.
        model: a name, or a model that is loaded already.
        options: what it was given beside its own arguments.
        observer: told of the progress; None tells nobody.
        fixed: settings that are its own arguments.

    Raises:
        InputError: an option that the verb does not have.
    """
    given = None if isinstance(model, str) else model
    name = model if isinstance(model, str) else model.name
    settings = from_options(kind, verb, options, {**fixed, "model": name})
    return Job(settings, observer or Silent(), given)


def into_folder(settings: Settings, observer: Observer, command: str) -> Job[Settings]:
    """The job of a verb that is called from the command line."""
    return Job(settings, observer, None, command)
