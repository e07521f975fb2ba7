"""Textual inversion of the images of a run: paid for once for each image and prompt, and resumed where it was stopped.

An embedding is kept under what decides it: the bytes of the image as the network sees it, the embedding that it starts
from (so the prompt and the text encoder), the model's fingerprint, the descent and its seed. Another image or another
prompt is another file. While a descent runs, its state is written every few steps beside the place of the result.
"""

import hashlib
from contextlib import suppress
from dataclasses import astuple
from pathlib import Path

import torch
from torch import Tensor

from geodesic_cli.diffusion import Embedding, LatentDiffusion
from geodesic_cli.diffusion.tuning.textual_inversion import QUICK, Inverted, TextDescent, invert_text
from geodesic_cli.frames.keyframes import prompt_of_each
from geodesic_cli.runs.cache import remember_tensors, remembered_tensors
from geodesic_cli.runs.observer import Observer, Silent

TEXTS = "text"
"""The name of the cache of fitted embeddings."""
EVERY = 10
"""Steps from one state on disk to the next: what a stopped descent loses at most."""


def inverted_conditioning(
    model: LatentDiffusion,
    images: Tensor,
    prompts: tuple[str, ...] = (),
    *,
    descent: TextDescent = QUICK,
    seed: int = 0,
    folder: Path | None = None,
    observer: Observer | None = None,
) -> tuple[Embedding, ...]:
    """For each image the embedding that textual inversion reaches from its prompt.

    Args:
        images: (n, 3, h, w) in [0, 1], at the size of the run.
        prompts: none, one for all images, or one for each.
        descent: how the embedding is optimised; see `diffusion.textual_inversion`.
        seed: of its times and noise.
        folder: where embeddings are kept, for example `cache_folder(TEXTS)`; None keeps nothing.
        observer: told of every step, those read from the folder included.

    Raises:
        InputError: another number of prompts.
        ModelError: the gradient is not finite.
    """
    count = len(images)
    each = prompt_of_each(prompts, count)
    watch = observer or Silent()
    watch.stage("Inverting text", count * descent.evaluations)
    latents = model.codec.encode(images)
    fingerprint = model.fingerprint
    made: dict[str, Embedding] = {}
    found: list[Embedding] = []
    for image, z, prompt in zip(images, latents, each, strict=True):
        start = model.prompts.embed(prompt)
        key = _key(image, start, fingerprint, descent, seed)
        if key in made:
            watch.advance(descent.evaluations)
        else:
            path = None if folder is None else folder / f"{key}.safetensors"
            made[key] = _inverted(model, z, start, descent, seed, path, watch)
        found.append(made[key])
    return tuple(found)


def _key(image: Tensor, start: Embedding, fingerprint: str, descent: TextDescent, seed: int) -> str:
    about = f"1 {fingerprint} {tuple(image.shape)} {astuple(descent)} {seed} ".encode()
    pixels = image.detach().to("cpu", torch.float32).contiguous().numpy().tobytes()
    return hashlib.sha256(about + pixels + start.content).hexdigest()


def _inverted(
    model: LatentDiffusion,
    z: Tensor,
    start: Embedding,
    descent: TextDescent,
    seed: int,
    path: Path | None,
    watch: Observer,
) -> Embedding:
    state = _read(path, start)
    reached = 0 if state is None else state.step
    watch.advance(reached * descent.batch)

    def keep(now: Inverted) -> None:
        watch.advance(descent.batch, f"loss {now.loss:.4f}")
        if now.step % EVERY == 0 or now.step == descent.steps:
            remember_tensors(path, _tensors(now))

    return invert_text(model.predict, z, start, descent, seed=seed, state=state, on_step=keep)


def _read(path: Path | None, start: Embedding) -> Inverted | None:
    """The state in a file of the cache; None where there is none, or none that fits."""
    found = remembered_tensors(path) or {}
    with suppress(KeyError):
        tokens, mean, square = found["tokens"], found["mean"], found["square"]
        if tokens.shape == mean.shape == square.shape == start.tokens.shape[1:]:
            return Inverted(int(found["step"]), tokens, mean, square, float(found["loss"]))
    return None


def _tensors(now: Inverted) -> dict[str, Tensor]:
    numbers = {"step": torch.tensor(now.step), "loss": torch.tensor(now.loss, dtype=torch.float64)}
    return {"tokens": now.tokens, "mean": now.mean, "square": now.square} | numbers
