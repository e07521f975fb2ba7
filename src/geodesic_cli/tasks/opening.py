"""From a verb's settings to its model."""

from geodesic_cli.diffusion import LatentDiffusion, load
from geodesic_cli.settings import ModelChoice


def open_model(choice: ModelChoice) -> LatentDiffusion:
    """Load the model that a verb's settings choose; see `diffusion.load` for what may go wrong."""
    return load(
        choice.model,
        choice.device,
        choice.dtype,
        revision=choice.revision,
        variant=choice.variant,
        lora=choice.lora,
        low_memory=choice.low_memory,
        compile=choice.compile,
    )
