"""From a verb's settings to its model."""

from dataclasses import replace

from geodesic_cli.diffusion import LatentDiffusion, load
from geodesic_cli.diffusion.batching import Chunks
from geodesic_cli.settings import ModelChoice
from geodesic_cli.tasks.progress import Observer


def open_model(choice: ModelChoice, observer: Observer | None = None) -> LatentDiffusion:
    """Load the model that a verb's settings choose; see `diffusion.load` for what may go wrong.

    Args:
        choice: the settings.
        observer: is told, once, if memory runs out and the batch is halved; without one Python warns.
    """
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
