"""One way to run a verb: in memory for Python, into a folder for the command line.

    run(in_memory(InvertSettings, "invert", model, options, observer, images=...))     nothing is written
    run(Job(settings, observer, command="geodesic invert a.png"))                       into the folder of the settings

A verb is one function of a job, `run`. It opens the model when it needs it, refuses what must be refused, and only then
opens the folder, which is None for a job in memory.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from torch import Tensor

from geodesic_cli.errors import InputError
from geodesic_cli.report import REPORT, page
from geodesic_cli.runs.folder import RunDirectory
from geodesic_cli.runs.manifest import MANIFEST, require_same
from geodesic_cli.runs.names import claimed
from geodesic_cli.runs.observer import Observer, Silent
from geodesic_cli.runs.plain import to_json
from geodesic_cli.runs.result import RunResult
from geodesic_cli.settings import PlainModelOptions, from_options
from geodesic_cli.settings.option import free_in

if TYPE_CHECKING:
    from geodesic_cli.diffusion import LatentDiffusion

Settings = TypeVar("Settings")
"""The settings of one verb."""
Chosen = TypeVar("Chosen", covariant=True)
"""The same, of a job that only reads them."""
Result = TypeVar("Result", bound="RunResult")
"""What one verb gives back."""


@dataclass(frozen=True, eq=False)
class Job(Generic[Chosen]):
    """What a verb is asked to do.

    Args:
        given: a model that is loaded already; without one the settings say which to load.
        command: the command line, for the manifest; None where nothing is to be written.
        directory: where it is written, once that is open.
        opened: the models that it loaded while the folder was not open yet.
    """

    settings: Chosen
    observer: Observer
    given: "LatentDiffusion | None" = None
    command: str | None = None
    directory: RunDirectory | None = None
    opened: "list[LatentDiffusion]" = field(default_factory=list)

    def load_model(self: "Job[PlainModelOptions]") -> "LatentDiffusion":
        """The model. A notice that memory ran out and the batch was halved goes to the observer.

        Raises:
            GeodesicError: it cannot be had, or not with these settings.
        """
        from geodesic_cli.runs.opening import open_model  # its libraries are loaded by verbs that have a model

        model = self.given or open_model(self.settings, self.observer)
        if self.directory is not None:
            self.directory.follow(model.predict.chunks)
        else:
            model.predict.chunks.follow()  # no longer the run before, where one model serves many
            self.opened[:] = [model, *(other for other in self.opened if other is not model)]
        return model

    def load_second(self: "Job[Any]", given: "LatentDiffusion | None" = None) -> "LatentDiffusion | None":
        """The model of --against, a plain one: revision and variant belong to the first. None where none is asked for.

        Args:
            given: it, loaded already.

        Raises:
            GeodesicError: it cannot be had.
        """
        s = self.settings
        if s.against is None or given is not None:
            return given
        other = {"model": s.against, "lora": s.against_lora, "against": None, "against_lora": ()}
        return replace(self, settings=replace(s, **other, revision=None, variant=None), given=None).load_model()

    @contextmanager
    def in_folder(self, stem: str) -> Iterator["Job[Chosen]"]:
        """The job with its folder, the settings in it: the one that was asked for, or a free one at runs/STEM.

        Args:
            stem: of the name of a folder that nobody asked for.

        Raises:
            OutputError: it cannot be used; nothing in it has been touched.
        """
        if self.command is None:
            yield self
            return
        settings: Any = self.settings  # a dataclass with a folder, which the type checker does not see
        with nullcontext(settings.out) if settings.out else claimed(f"runs/{stem}") as folder:
            stored = asdict(settings) | {"out": folder}
            with open_folder(folder, stored, self.observer, self.command, free=free_in(settings)) as directory:
                for model in self.opened:
                    directory.follow(model.predict.chunks)
                yield replace(self, directory=directory)

    def begun_with(
        self, images: Tensor, model: "LatentDiffusion", prompts: Sequence[str] | None = None
    ) -> dict[str, str]:
        """What a checkpoint says of the images, the model and the prompts that it is of; nothing where none is written.

        Prompts are to be given where they do not follow from the settings alone, but from a file.
        """
        if self.directory is None:
            return {}
        about = {"images": hashlib.sha256(images.numpy().tobytes()).hexdigest(), "model": model.fingerprint}
        if prompts is not None:
            about["prompts"] = hashlib.sha256(json.dumps(list(prompts)).encode()).hexdigest()
        return about

    def kept(
        self, name: str, make: Callable[[], Mapping[str, Tensor]], about: Mapping[str, str] | None = None
    ) -> Mapping[str, Tensor]:
        """The tensors of a checkpoint: those of an earlier session, or made now and written.

        Raises:
            InputError: they are of other images or of another model than `begun_with` says.
        """
        if self.directory is None:
            return make()
        if self.directory.has(name):
            tensors, saved = self.directory.read_tensors(name)
            require_same(saved, about or {})
            return tensors
        made = make()
        self.directory.write_tensors(name, made, about)
        return made

    def done(self, result: Result, evaluations: int | None = None) -> Result:
        """The result, with the page and the end of the run in its folder where there is one."""
        result = replace(result, settings=self.settings)
        if self.directory is None:
            return result
        manifest = self.directory.manifest | {"status": result.status, "evaluations": evaluations}
        metrics = json.loads(to_json(result.metrics))  # as `geodesic report` will read them
        self.directory.write_text(REPORT, page(self.directory.folder, manifest, metrics))
        self.directory.finish(result.status, result.metrics, evaluations=evaluations)
        return replace(result, folder=self.directory.folder)


def open_folder(
    folder: str,
    stored: Mapping[str, Any],
    observer: Observer,
    command: str,
    resume: bool | None = None,
    free: Sequence[str] = (),
) -> RunDirectory:
    """Open the folder of a run, and warn where a run is to go on that is not there.

    Args:
        folder: where.
        stored: the settings, which are written there; they say whether to go on or to overwrite.
        observer: warned.
        command: the command line, for the manifest.
        resume: whether to go on, where the settings alone do not say it.
        free: settings that may be others than those that the run was begun with.
    """
    resume = bool(stored.get("resume")) if resume is None else resume
    if resume and not Path(folder, MANIFEST).is_file():
        observer.warn(f"There is no run in {folder} to go on with: starting one.")
    overwrite = stored["overwrite"]
    directory = RunDirectory.open(folder, stored, command=command, resume=resume, overwrite=overwrite, free=free)
    if directory.changed:
        observer.warn(
            f"The run in {folder} was begun otherwise ({directory.changed}): the last digits of what it makes may "
            "differ from those of a run in one piece."
        )
    return directory


def in_memory(
    kind: type[Settings],
    verb: str,
    model: object,
    options: Mapping[str, Any],
    observer: Observer | None,
    **fixed: Any,
) -> Job[Settings]:
    """The job of a verb that is called as a Python function.

    Args:
        kind: of its settings.
        verb: the function's name, for messages.
        model: a name or a folder, or a model that is loaded already.
        options: what it was given beside its own arguments.
        observer: told of the progress; None tells nobody.
        fixed: settings that are its own arguments.

    Raises:
        InputError: an option that the verb does not have, or a value of the wrong type.
    """
    name, given = told_model(model, verb)
    settings = from_options(kind, verb, options, {**fixed, "model": name})
    return Job(settings, observer or Silent(), given)


def told_model(model: object, verb: str) -> "tuple[str, LatentDiffusion | None]":
    """The name of a model, and the model where it is loaded already.

    Raises:
        InputError: it is neither.
    """
    from geodesic_cli.diffusion import LatentDiffusion

    if isinstance(model, str | PurePath):
        return str(model), None
    if isinstance(model, LatentDiffusion):
        return model.name, model
    raise InputError(
        f"{verb}() takes the name of a model, its folder, or one that `geodesic_cli.diffusion.load` returned; got a "
        f"value of the type {type(model).__name__}.",
        'Pass model="clevr-mini", for example.',
    )
