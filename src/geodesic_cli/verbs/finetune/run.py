"""`geodesic finetune`: tune a denoiser, with a regulariser on its bottleneck if wanted, to a model like the one before.

    open -> data -> steps (checkpoints, previews) -> averaged weights -> model folder or adapter, curves, numbers

The folder of the run is the tuned model: every other verb takes it with --model or, for an adapter, with --lora. The
training can be stopped at any moment and goes on from its last checkpoint to the same weights.
"""

import time
from contextlib import ExitStack, closing
from copy import deepcopy
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from geodesic_cli.diffusion import LatentDiffusion
from geodesic_cli.diffusion.tuning.trainee import Trainee, prepare
from geodesic_cli.errors import GeodesicError, InputError
from geodesic_cli.runs.calling import called_from_python
from geodesic_cli.runs.folder import RunDirectory
from geodesic_cli.runs.job import Job, RunResult, open_folder, told_model
from geodesic_cli.runs.manifest import require_same
from geodesic_cli.runs.observer import Observer, Silent
from geodesic_cli.runs.opening import AnyModel, open_model
from geodesic_cli.settings import FinetuneSettings, from_options
from geodesic_cli.settings.option import free_in
from geodesic_cli.verbs.finetune import checkpoints
from geodesic_cli.verbs.finetune.data import Data, ImageFolder, Scenes, left_out, metadata_of
from geodesic_cli.verbs.finetune.measuring import measure_trainee
from geodesic_cli.verbs.finetune.processes import Processes, common_folder, start
from geodesic_cli.verbs.finetune.publishing import push_model, refuse_hub, write_card
from geodesic_cli.verbs.finetune.starting import (
    asked_for_early,
    check_start,
    going_on,
    require_data,
    training_data,
    with_steps,
)
from geodesic_cli.verbs.finetune.training import Training
from geodesic_cli.verbs.finetune.watching import TrainingWatch
from geodesic_cli.verbs.finetune.writing import (
    progress_made,
    progress_note,
    write_curves,
    write_model,
    write_preview,
    write_sheet,
)

MEASURED_EXAMPLES = 64
"""Examples on which the model is measured before and after."""
PORTION = 50
"""Steps over which the note of the progress is averaged."""


@dataclass(frozen=True, eq=False, repr=False)
class Finetuned(RunResult):
    """The result of a training.

    Args:
        model: with the averaged weights in it.
        history: one row of `training.HISTORY` a step.
        trainee: what was trained, as it is saved.
        main: whether this is the process that reports.
    """

    model: LatentDiffusion
    history: tuple[tuple[float, ...], ...]
    trainee: Trainee
    main: bool = True

    def _write_into(self, directory: RunDirectory) -> None:
        write_curves(directory, self.history)
        write_model(directory, self.trainee)


@called_from_python(FinetuneSettings)
def finetune(
    model: AnyModel = "clevr-mini",
    *,
    data: str | Path | Data | None = None,
    observer: Observer | None = None,
    **options: Any,
) -> Finetuned:
    """Tune a model in memory; nothing is written.

    Args:
        model: a name, or a model in fp32 that is loaded already, which is left as it is.
        data: `scenes`, a folder of images, or an object like `training_data.Data`; None takes scenes for the models
            of scenes, and is refused for others.
        options: any setting of `settings.FinetuneSettings` but out, resume and overwrite; `regulariser="iso"` tunes
            towards an isometric bottleneck.
    """
    name, given = told_model(model, "finetune")
    data = str(data) if isinstance(data, Path) else data
    fixed = {"model": name}
    if data is not None:
        fixed["data"] = data if isinstance(data, str) else type(data).__name__
    settings, observer = from_options(FinetuneSettings, "finetune", options, fixed), observer or Silent()
    refuse_hub(settings)
    require_data(settings)
    processes = start(settings.device)
    if given is None:
        loaded = _open(settings, processes, observer)
    else:
        loaded = replace(given, predict=replace(given.predict, unet=deepcopy(given.predict.unet)))
    source = training_data(settings, loaded) if data is None or isinstance(data, str) else data
    settings = with_steps(settings, source, processes)
    return _Work(settings, observer, processes=processes).run(_prepare(settings, loaded), source)


def run(job: Job[FinetuneSettings]) -> Finetuned:
    """Tune and write the run directory. See the module's text and `FinetuneSettings`."""
    settings, observer = job.settings, job.observer
    repository = asked_for_early(settings)
    processes = start(settings.device)
    model = _open(settings, processes, observer)
    data = training_data(settings, model)
    settings = with_steps(settings, data, processes)
    trainee = _prepare(settings, model)  # all that may be refused comes before the folder is touched
    check_start(settings, trainee)
    with ExitStack() as stack:
        folder = common_folder(settings.out, stem(settings), processes, stack)
        settings = replace(settings, out=folder)
        if not processes.main:
            if processes.agree(""):  # process 0 may not use the folder, and has said so
                raise SystemExit(1)
            return _Work(settings, Silent(), processes=processes).run(trainee, data)
        if not isinstance(data, Scenes) and trainee.reads_text and not any(data.prompts(64)):
            source = settings.dataset_name or settings.data
            observer.warn(f"{source} has no captions: every image is trained with the empty prompt.")
        whole = settings.max_train_samples is None
        if whole and isinstance(data, ImageFolder) and (count := left_out(settings.data, data)):
            named = metadata_of(Path(settings.data))
            observer.warn(f"{named} names {len(data.paths)} of the images there; {count} more are left out.")
        stored = asdict(settings)
        if stored["resume_from_checkpoint"] == "latest":  # another word for --resume: it changes nothing that is made
            stored["resume_from_checkpoint"] = None
        try:
            free = free_in(settings)
            opened = open_folder(folder, stored, observer, job.command or "", resume=going_on(settings), free=free)
        except GeodesicError as error:
            processes.agree(str(error))
            raise
        processes.agree("")
        stack.enter_context(opened).follow(model.predict.chunks)
        result = _Work(settings, observer, directory=opened, processes=processes).run(trainee, data)
        if repository is not None:
            push_model(opened, repository, observer)
        return result


def stem(settings: FinetuneSettings) -> str:
    """What the folder of a run is called below runs/."""
    return f"finetune-{Path(settings.model).stem}"


def _open(settings: FinetuneSettings, processes: Processes, observer: Observer) -> LatentDiffusion:
    device = settings.device if processes.device is None else str(processes.device)
    # Memory and compilation are the training's own affair; the weights are trained in fp32.
    return open_model(replace(settings, device=device, dtype="fp32", low_memory=False, compile=False), observer)


def _prepare(settings: FinetuneSettings, model: LatentDiffusion) -> Trainee:
    s = settings
    if s.mixed_precision == "fp16" and model.device.type != "cuda":
        raise InputError(
            f"--mixed-precision fp16 needs a CUDA device; this one is {model.device.type}.",
            "Pass bf16, or leave it out.",
        )
    less = s.gradient_checkpointing or s.low_memory
    with torch.random.fork_rng(devices=[]):  # a fresh adapter is random
        torch.manual_seed(s.seed)
        return prepare(model, rank=s.lora_rank, alpha=s.lora_alpha, checkpointing=less, compile=s.compile)


@dataclass(frozen=True, eq=False, kw_only=True)
class _Work(Job[FinetuneSettings]):
    processes: Processes

    def run(self, trainee: Trainee, data: Data) -> Finetuned:
        began = time.monotonic()
        s = self.settings
        training = Training.begin(trainee, data, s, self.processes)
        before = self._measure(trainee, data)  # of the model as it came
        self._preview(trainee, data, 0)
        self._go_on(training, data)
        self._steps(training, data)
        with training.average.in_place_of(trainee.weights):
            after = self._measure(trainee, data)
        metrics = {
            "steps": training.done,
            "examples": training.done * training.total,
            **{name: getattr(s, name) for name in ("regulariser", "iso_lambda", "gamma")},
            "trained_parameters": sum(weight.numel() for weight in trainee.weights.values()),
            "adapter": trainee.adapter,
            "measured_examples": MEASURED_EXAMPLES,
            "before": before,
            "after": after,
            "seconds": round(time.monotonic() - began, 3),
        }
        status = self.processes.agree(progress_made(before, after, s.regulariser) if self.processes.main else "")
        # From here on the model is the averaged one.
        with torch.no_grad():
            for name, weight in trainee.weights.items():
                weight.copy_(training.average.weights[name])
        trainee.model.predict.unet.requires_grad_(False)
        if self.directory is not None:
            write_curves(self.directory, training.history)
            write_sheet(self.directory, s.num_validation_images)
            write_model(self.directory, trainee)
            write_card(self.directory, s, metrics, status)
        rows, main = tuple(training.history), self.processes.main
        result = self.done(
            Finetuned(trainee.model, rows, trainee, main, metrics=metrics, status=status),
            training.done * training.total,
        )
        self.processes.wait()
        return result

    def _steps(self, training: Training, data: Data) -> None:
        s, begun = self.settings, training.done
        name = f"Training from step {begun}" if begun else "Training"
        self.observer.stage(name, s.max_train_steps - begun, "steps")  # the rate and the time left are of what is left
        with closing(training.reader), closing(TrainingWatch(self.directory, s)) as watch:
            while training.done < s.max_train_steps:
                training.step()
                step = training.done
                self.observer.advance(1, progress_note(training.history[-PORTION:]))
                watch.step(training.history)
                if step % s.checkpointing_steps == 0 or step == s.max_train_steps:
                    self._checkpoint(training)
                self._due(training, data)

    def _measure(self, trainee: Trainee, data: Data) -> dict[str, float]:
        if not self.processes.main:
            return {}
        s = self.settings
        return measure_trainee(trainee, data, s.seed, MEASURED_EXAMPLES, s.gamma, batch=s.train_batch_size)

    # --- checkpoints

    def _checkpoint(self, training: Training) -> None:
        if self.directory is None:
            return
        self.directory.write_tensors(checkpoints.name(training.done), *training.pack())
        self.directory.log(f"Checkpoint at step {training.done}: {progress_note(training.history[-PORTION:])}")
        self._keep_few()  # only now that the new one is whole

    def _keep_few(self) -> None:
        if self.directory is not None:
            for step in checkpoints.saved(self.directory.folder)[: -self.settings.checkpoints_total_limit]:
                checkpoints.remove(self.directory.folder, step)

    def _due(self, training: Training, data: Data) -> None:
        """The preview after this step, where there is one."""
        every = self.settings.validation_steps
        if every and training.done % every == 0:
            with training.average.in_place_of(training.trainee.weights):
                self._preview(training.trainee, data, training.done)

    def _go_on(self, training: Training, data: Data) -> None:
        s = self.settings
        place = None if s.resume_from_checkpoint == "latest" else s.resume_from_checkpoint
        own = False  # whether it is a checkpoint of this very run
        if going_on(s):
            steps = self.processes.agree(" ".join(map(str, checkpoints.saved(Path(s.out or ""))))).split()
            own = bool(steps)
            place = str(Path(s.out or "", f"checkpoint-{steps[-1]}")) if own else place
        if place is not None:
            tensors, about = checkpoints.read(Path(place))
            if own:
                require_same(about, training.about)
            training.unpack(tensors, about)
            if own:  # what a kill may have left undone after this checkpoint was written
                self._keep_few()
                self._due(training, data)

    def _preview(self, trainee: Trainee, data: Data, step: int) -> None:
        if self.directory is not None:
            write_preview(self.directory, self.settings, trainee, data, step)
