"""What an interpolation is asked to do, read and refused before anything is written or computed at length."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from geodesic_cli import media
from geodesic_cli.diffusion import LatentDiffusion
from geodesic_cli.diffusion.loading.aliases import MODELS
from geodesic_cli.errors import InputError
from geodesic_cli.frames.canvas import Canvas, enough_for, fit, image_names, read_images
from geodesic_cli.frames.captioning import captions_in
from geodesic_cli.frames.keyframes import Coded, coded, prompt_of_each
from geodesic_cli.frames.pacing import frame_numbers
from geodesic_cli.runs.job import Job
from geodesic_cli.runs.observer import Observer
from geodesic_cli.runs.room import STORED_FRAME, frame_bytes, node_bytes, require_room
from geodesic_cli.settings import STEPS, InterpolateSettings, parse_timing
from geodesic_cli.settings.shared import PAD, ground_of

ENDS = "checkpoint/ends.safetensors"
FAITHFUL = 20.0
"""dB. An image that comes back from the autoencoder worse than this is not one that the model can draw."""

ONE_COLOUR = 2 / 255
"""The difference of values up to which an image has one colour."""


@dataclass(frozen=True, eq=False)
class Ready:
    """What an interpolation begins with, once nothing is left to be refused.

    Args:
        model: loaded.
        images: as the model sees them, (n, 3, h, w).
        canvas: crops frames.
        names: of the images.
        known: the images' latents, where they had to be encoded to see whether the model can draw them.
    """

    model: LatentDiffusion
    images: Tensor
    canvas: Canvas
    names: tuple[str, ...]
    known: Coded | None = None


def ready(job: Job[InterpolateSettings], given: Sequence[str | Path | Tensor]) -> Ready:
    """The model and the images.

    Raises:
        GeodesicError: something is not as the run needs it.
    """
    settings = job.settings
    if settings.captions is not None:
        captions_in(settings.captions, settings.model)  # asked for before any work
    read, names = _read(given or settings.images, settings, job.observer)
    model = job.load_model()
    whole_on = ground_of(settings.background) if settings.fit == PAD else None
    images, canvas = fit(read, names, settings.size, model, job.observer, alike=True, whole_on=whole_on)
    _require_room(settings, canvas, len(images), model, stored=job.command is not None)
    prompt_of_each(settings.prompt, len(images))
    keyframe_numbers(settings, [1.0] * settings.legs(len(images)))
    if len(images) == 2 and torch.equal(images[0], images[1]):
        job.observer.warn("The two images are the same; the path between them is one point.")
    padded, known = canvas.pad(images), None
    if not settings.force and not _begun(settings) and any(a.embedded and a.name == model.name for a in MODELS):
        known = coded(model, padded)
        _refuse_unfaithful(model, padded, known.psnr, names)
    return Ready(model, padded, canvas, names, known)


def _begun(settings: InterpolateSettings) -> bool:
    """Whether a run that goes on has its images encoded already."""
    return settings.resume and Path(settings.out or "", ENDS).is_file()


def _refuse_unfaithful(
    model: LatentDiffusion, images: Tensor, quality: tuple[float, ...], names: tuple[str, ...]
) -> None:
    """Refuse images that a model of one kind of pictures cannot draw, where another model can.

    A model of any pictures is not refused an image: that it brings one back badly, a warning says. Nor is an image of
    one colour, with which sizes are tried: it has nothing that could be drawn wrongly but that colour.
    """
    spans = (images.amax((2, 3)) - images.amin((2, 3))).amax(1).tolist()
    bad = [k for k, psnr in enumerate(quality) if psnr < FAITHFUL and spans[k] > ONE_COLOUR]
    if bad:
        other = next(alias.name for alias in MODELS if not alias.embedded)
        raise InputError(
            unfaithful(names[bad[0]], model.name, quality[bad[0]], len(bad) - 1),
            f"For photographs and the like pass --model {other}, or --force (in Python force=True) to go on anyway.",
        )


def unfaithful(name: str, model: str, psnr: float, more: int = 0) -> str:
    """The sentence on an image that a model brings back at so many dB, and on so many more like it."""
    others = f" (like {more} more of the images)" if more else ""
    return (
        f"{name} is not a picture that {model} can draw{others}: its autoencoder brings it back at {psnr:.1f} dB, and "
        f"{FAITHFUL:.0f} dB are needed for a likeness."
    )


def _require_room(s: InterpolateSettings, canvas: Canvas, images: int, model: LatentDiffusion, stored: bool) -> None:
    """Refuse more frames, nodes or samples than memory holds. Frames that are stored are not kept in memory."""
    frame = STORED_FRAME if stored else frame_bytes(canvas.height, canvas.width)
    node = node_bytes(math.prod(model.latent_shape(*canvas.padded)))
    require_room(
        {
            "frames": (s.frames, frame * len(s.methods)),
            "between": (s.between, frame * len(s.methods) * s.legs(images)),
            "nodes": (s.nodes, node),
            "pool_size": (s.pool_size if "global" in s.methods else None, node),
        }
    )


def keyframe_numbers(settings: InterpolateSettings, lengths: list[float]) -> tuple[int, ...]:
    """The numbers of the frames that are keyframes; the last is one past the last frame where the path is closed."""
    s, legs = settings, len(lengths)
    shares = list(parse_timing(s.timing) or (lengths if s.timing == "length" else [1.0] * legs))
    if len(shares) != legs:
        raise InputError(
            f"--timing needs one number for each of the {legs} stretches from image to image; got {len(shares)}.",
            f"Pass --timing {','.join(['1'] * legs)}, even or length.",
        )
    steps = s.frames - (not s.loop) if s.frames is not None else legs * (STEPS if s.between is None else s.between + 1)
    return frame_numbers(shares, steps + (not s.loop), s.loop)


def _read(
    images: Sequence[str | Path | Tensor], s: InterpolateSettings, observer: Observer
) -> tuple[Sequence[Tensor | media.Still], tuple[str, ...]]:
    """The keyframes and their names: images as they are, or the frames of the one film or folder."""
    ground = ground_of(s.background)
    if len(images) > 1:
        return read_images(images, observer, s.size, ground), image_names(images)
    source = images[0]
    if isinstance(source, Tensor):
        raise InputError("An interpolation needs two images; got one.", "Pass the first and the last one.")
    frames = media.read_frames(source, observer.warn, ground=ground, enough=enough_for(s.size))
    if len(frames) < 2:
        raise InputError(
            f"An interpolation needs two images; {source} holds {len(frames)}.",
            "Pass a second image, or a film, a GIF or a folder of at least two.",
        )
    stills, names = zip(*frames, strict=True)
    return stills, names
