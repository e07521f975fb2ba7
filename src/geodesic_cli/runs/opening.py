"""From a verb's settings to its model."""

from dataclasses import replace
from pathlib import Path

from geodesic_cli.diffusion import LatentDiffusion, load
from geodesic_cli.diffusion.batching import Chunks
from geodesic_cli.diffusion.loading.load import require_text
from geodesic_cli.runs.observer import Observer
from geodesic_cli.settings import PlainModelOptions

AnyModel = str | Path | LatentDiffusion
"""A model's name or folder, or a model that is loaded already."""


def open_model(choice: PlainModelOptions, observer: Observer | None = None) -> LatentDiffusion:
    """Load the model that a verb's settings choose, with text or without; see `diffusion.load` for what may go wrong.

    Args:
        choice: the settings.
        observer: is told, once, if memory runs out and the batch is halved, and what of a prompt is not read as it may
            be meant; without one Python warns.

    Raises:
        GeodesicError: it cannot be had, or is told of text though it has none.
    """
    if choice.text_option is not None:
        require_text(choice.model, *choice.text_option)
    rest = {name: getattr(choice, name) for name in ("revision", "variant", "lora", "low_memory", "compile")}
    model = load(choice.model, choice.device, choice.dtype, **rest)
    if observer is None:
        return model
    chunks = Chunks(model.predict.chunks.most, notify=observer.warn)
    prompts = replace(model.prompts, notify=observer.warn)
    return replace(model, prompts=prompts, predict=replace(model.predict, chunks=chunks))
