"""From a verb's settings to its model, and to the folder of its run."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from geodesic_cli.diffusion import LatentDiffusion, load
from geodesic_cli.diffusion.batching import Chunks
from geodesic_cli.diffusion.loading.load import require_text
from geodesic_cli.runs.folder import MANIFEST, RunDirectory
from geodesic_cli.runs.observer import Observer
from geodesic_cli.settings import PlainModelOptions


def open_model(choice: PlainModelOptions, observer: Observer | None = None) -> LatentDiffusion:
    """Load the model that a verb's settings choose, with text or without; see `diffusion.load` for what may go wrong.

    Args:
        choice: the settings.
        observer: is told, once, if memory runs out and the batch is halved; without one Python warns.

    Raises:
        GeodesicError: it cannot be had, or is told of text though it has none.
    """
    if choice.text_option is not None:
        require_text(choice.model, *choice.text_option)
    model = load(
        choice.model,
        choice.device,
        choice.dtype,
        revision=choice.revision,
        variant=choice.variant,
        lora=choice.lora,
        low_memory=choice.low_memory,
        compile=choice.compile,
    )
    if observer is None:
        return model
    chunks = Chunks(model.predict.chunks.most, notify=observer.warn)
    return replace(model, predict=replace(model.predict, chunks=chunks))


def open_run(settings: Any, folder: str, observer: Observer, command: str) -> RunDirectory:
    """Open the folder of a run of a verb that can go on with one, and store the settings there.

    Args:
        settings: of the verb, a dataclass with `out`, `resume` and `overwrite`.
        folder: the folder, whether the user named it or not.
        observer: warned if there is nothing to go on with.
        command: the command line, for the manifest.

    Raises:
        OutputError: the folder cannot be used; nothing in it has been touched.
    """
    if settings.resume and not Path(folder, MANIFEST).is_file():
        observer.warn(f"There is no run in {folder} to go on with: starting one.")
    stored = asdict(settings) | {"out": folder}
    return RunDirectory.open(folder, stored, command=command, resume=settings.resume, overwrite=settings.overwrite)
