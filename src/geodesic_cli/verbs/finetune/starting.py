"""Where a training begins and how long it is: passes counted in steps, and the checkpoint that it starts from."""

from dataclasses import replace
from pathlib import Path

from geodesic_cli.diffusion.tuning.trainee import Trainee
from geodesic_cli.errors import InputError
from geodesic_cli.settings import SCENES, FinetuneSettings
from geodesic_cli.verbs.finetune import checkpoints
from geodesic_cli.verbs.finetune.data import Data, ImageFolder
from geodesic_cli.verbs.finetune.processes import Processes
from geodesic_cli.verbs.finetune.tables import ImageTable


def with_steps(settings: FinetuneSettings, data: Data, processes: Processes) -> FinetuneSettings:
    """The settings with the steps that so many passes through the data take, where these were asked for."""
    s, count = settings, len(data.deck.captions) if isinstance(data, ImageFolder | ImageTable) else None
    if s.num_train_epochs is None or s.max_train_steps is not None:
        return s
    if count is None:
        raise InputError(
            f"--num-train-epochs counts passes through a folder of images; {SCENES} are drawn anew for each step.",
            "Pass --max-train-steps, or --data FOLDER.",
        )
    total = s.train_batch_size * s.gradient_accumulation_steps * processes.count
    return replace(s, max_train_steps=s.num_train_epochs * -(-count // total))


def going_on(settings: FinetuneSettings) -> bool:
    """Whether a run goes on in its own folder."""
    return settings.resume or settings.resume_from_checkpoint == "latest"


def check_start(settings: FinetuneSettings, trainee: Trainee) -> None:
    """Refuse a checkpoint to start from that cannot be one."""
    place, steps = settings.resume_from_checkpoint, settings.max_train_steps
    last = checkpoints.saved(Path(settings.out or ""))[-1:] if going_on(settings) else []
    if last and last[0] > steps:
        raise InputError(
            f"{settings.out} has done {last[0]} steps, and --max-train-steps, which counts them, is {steps}.",
            f"Pass --max-train-steps {last[0]} or more.",
        )
    if place in (None, "latest") or last:
        return
    found = checkpoints.shapes(Path(str(place)))
    checkpoints.require_shapes(found, trainee.weights)
    done = found["history"][0]
    if done >= steps:
        raise InputError(
            f"{place} has done {done} steps, and --max-train-steps, which counts them, is {steps}.",
            f"Pass --max-train-steps {2 * done}, for example.",
        )
