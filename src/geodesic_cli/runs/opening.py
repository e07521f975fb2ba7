"""From a verb's settings to its model."""

import warnings
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from geodesic_cli.diffusion import LatentDiffusion, load
from geodesic_cli.diffusion.batching import Chunks
from geodesic_cli.diffusion.loading.accounts import ModelRemark
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
    files = {name: getattr(choice, name) for name in ("revision", "variant", "lora", "vae")}
    files |= {"embedding": choice.text_embedding, "low_memory": choice.low_memory, "compile": choice.compile}
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", ModelRemark)
        model = load(choice.model, choice.device, choice.dtype, **files)
    for one in told:
        if observer is None or not issubclass(one.category, ModelRemark):
            warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)
        else:
            observer.warn(str(one.message))
    if observer is None:
        return model
    for word in _unused(model, getattr(choice, "prompt", None), getattr(choice, "negative_prompt", None)):
        observer.warn(f"No prompt has the word {word!r} of the text embedding: it changes nothing.")
    chunks = Chunks(model.predict.chunks.most, notify=observer.warn)
    prompts = replace(model.prompts, notify=observer.warn)
    return replace(model, prompts=prompts, predict=replace(model.predict, chunks=chunks))


def told_apart(models: Iterable[LatentDiffusion]) -> list[str]:
    """Short names of models, the last part of a folder each, with numbers where they would be the same."""
    names = [model.name for model in models]
    short = [Path(name).name or name for name in names]
    return short if len(set(short)) == len(short) else [f"{name} ({k})" for k, name in enumerate(short, 1)]


def _unused(model: LatentDiffusion, prompts: Iterable[str] | str | None, negative: str | None) -> list[str]:
    """The words of one's own that stand in no prompt; none where prompts come from elsewhere."""
    if prompts is None:
        return []
    said = [*((prompts,) if isinstance(prompts, str) else prompts), negative or ""]
    own = list(dict.fromkeys(word for word, _ in model.prompts.words))
    if not own:
        return []
    reader = model.prompts.readers[0]
    return [word for word in own if not any(reader.says(word, text) for text in said)]
