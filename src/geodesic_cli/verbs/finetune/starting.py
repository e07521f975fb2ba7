"""Where a training begins and how long it is: its data, passes counted in steps, the checkpoint that it starts from."""

from dataclasses import replace
from pathlib import Path

import torch

from geodesic_cli.diffusion import LatentDiffusion
from geodesic_cli.diffusion.batching import free_memory, item_cost
from geodesic_cli.diffusion.room import require_size
from geodesic_cli.diffusion.tuning.trainee import Trainee
from geodesic_cli.errors import InputError
from geodesic_cli.runs.room import frame_bytes, require_room
from geodesic_cli.settings import SCENES, FinetuneSettings
from geodesic_cli.verbs.finetune import checkpoints
from geodesic_cli.verbs.finetune.data import Data, ImageFolder, Scenes, read_folder
from geodesic_cli.verbs.finetune.optimiser import require_optimiser
from geodesic_cli.verbs.finetune.processes import Processes
from geodesic_cli.verbs.finetune.publishing import repository_of
from geodesic_cli.verbs.finetune.tables import ImageTable, parquet_files, read_rows, require_library
from geodesic_cli.verbs.finetune.watching import require_trackers

TRAINED = 3
"""Memory of a picture in training, in units of what it takes without gradients; more where nothing is checkpointed."""


def asked_for_early(settings: FinetuneSettings) -> str | None:
    """Ask for all packages and accounts before any work; returns the repository that the model is to go to, if any.

    Raises:
        InputError: what is missing, and what to do.
    """
    require_data(settings)
    require_trackers(settings)
    require_optimiser(settings)
    if settings.dataset_name or parquet_files(settings.data):
        require_library()
    return repository_of(settings)


def require_data(settings: FinetuneSettings) -> None:
    """Refuse to tune a model of other pictures on rendered scenes, unless they are asked for."""
    if not settings.data and not settings.dataset_name:
        raise InputError(
            f"Images to learn from are needed; rendered scenes are for clevr-mini, and not for {settings.model}.",
            f"Pass --data FOLDER or --dataset-name NAME; --data {SCENES} takes the scenes all the same.",
        )


def training_data(settings: FinetuneSettings, model: LatentDiffusion) -> Data:
    """What the settings say to learn from, at the model's size.

    Raises:
        InputError: the model cannot take the size, a batch has no room in memory, or there are no such images.
    """
    s = settings
    size = s.resolution or model.image_size
    shape = model.latent_shape(size, size)  # refuses a size that the model cannot take
    require_size(model.codec, model.predict, size, size)
    each = TRAINED * item_cost(model.predict.unet, shape, torch.float32) + frame_bytes(size, size)
    require_room(
        {
            "train_batch_size": (s.train_batch_size, each),
            "num_validation_images": (s.num_validation_images, frame_bytes(size, size)),
        },
        free_memory(model.device),
    )
    empty = s.proportion_empty_prompts
    if s.data == SCENES and not s.dataset_name:
        return Scenes(size, s.seed, empty)
    if s.dataset_name or parquet_files(s.data):
        return read_rows(s, size)
    folder = read_folder(s.data, size, s.seed, column=s.caption_column, flip=s.random_flip, empty=empty)
    return folder if s.max_train_samples is None else folder.only(folder.deck.some(s.max_train_samples))


def with_steps(settings: FinetuneSettings, data: Data, processes: Processes) -> FinetuneSettings:
    """The settings with the steps that so many passes through the data take, where these were asked for."""
    s = settings
    if s.num_train_epochs is not None and s.max_train_steps is None:
        s = replace(s, max_train_steps=s.num_train_epochs * _steps_of_a_pass("num-train-epochs", s, data, processes))
    if s.validation_epochs is not None and s.validation_steps is None:
        s = replace(s, validation_steps=s.validation_epochs * _steps_of_a_pass("validation-epochs", s, data, processes))
    return s


def _steps_of_a_pass(option: str, s: FinetuneSettings, data: Data, processes: Processes) -> int:
    if not isinstance(data, ImageFolder | ImageTable):
        raise InputError(
            f"--{option} counts passes through a folder of images; {SCENES} are drawn anew for each step.",
            f"Pass --{'max-train' if option.startswith('num') else 'validation'}-steps, or --data FOLDER.",
        )
    total = s.train_batch_size * s.gradient_accumulation_steps * processes.count
    return -(-len(data.deck.captions) // total)


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
