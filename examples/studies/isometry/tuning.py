"""The models that the studies of this folder look at: tuned once, kept on disk, and found again by both of them."""

from pathlib import Path
from typing import Any

from shared import kept

from geodesic_cli.diffusion import LatentDiffusion, load
from geodesic_cli.verbs.finetune.run import finetune


def tuned(options: Any, regulariser: str, weight: float, seed: int) -> tuple[LatentDiffusion, dict[str, Any]]:
    """A model after its training, and what the training said of it.

    Args:
        options: a study's: model, data, steps, batch, rate, device, and models, the folder that keeps them.
        regulariser: one of `geodesic finetune`, or `none`.
        weight: its lambda.
        seed: of the training.
    """
    recipe = f"{options.steps}x{options.batch}-{options.rate:g}"
    name = f"{Path(options.model).name}-{regulariser}-{weight:g}-{recipe}-{seed}"
    folder = options.models / name
    options.models.mkdir(parents=True, exist_ok=True)

    def make() -> dict[str, Any]:
        result = finetune(
            options.model,
            data=options.data or "scenes",
            regulariser=regulariser,
            iso_lambda=weight,
            max_train_steps=options.steps,
            train_batch_size=options.batch,
            learning_rate=options.rate,
            seed=seed,
            device=options.device,
        )
        result.save(folder, overwrite=True)
        return {key: result.metrics[key] for key in ("before", "after", "seconds")}

    about = kept(options.models / f"{name}.json", make)
    return load(str(folder), options.device, "fp32"), about
