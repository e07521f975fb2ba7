"""A sequence at the size of a run, and what of it a continuation needs: encodings, and points at noise level tau.

Two embeddings. `ridge` takes x = sqrt(alpha_bar) z, where the density at level tau puts the frame z itself: the clip
runs along a ridge of that density, sigma wide. `flow` takes the point that the probability flow leads to, with the
noise that the model sees in the frame; the path of a clip is rougher there, the more so the higher tau.
"""

import hashlib
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor
from torch.nn.functional import pad

from geodesic_cli import media
from geodesic_cli.diffusion import Conditioning, LatentDiffusion
from geodesic_cli.errors import ModelError
from geodesic_cli.frames.canvas import Canvas
from geodesic_cli.frames.keyframes import widest
from geodesic_cli.frames.pictures import frames_in_memory
from geodesic_cli.runs.observer import Observer
from geodesic_cli.settings import ExtrapolateSettings

ORANGE = (0.835, 0.369, 0.0)
SHOWN = 8
"""Known frames on the sheet, at most."""


@dataclass(frozen=True, eq=False)
class Known:
    """The frames of a sequence (n, 3, h, w) at the size of the run, their rate, and the canvas that pads them."""

    frames: Tensor
    fps: float
    canvas: Canvas

    @cached_property
    def digest(self) -> str:
        """Tells other pictures apart."""
        return hashlib.sha256(self.frames.numpy().tobytes()).hexdigest()


@dataclass(frozen=True, eq=False)
class Points:
    """Frames on their way to the geometry.

    Args:
        z: (k, d), clean encodings.
        x: (k, d), the same at noise level tau.
        shape: (C, H, W) of a latent.
    """

    z: Tensor
    x: Tensor
    shape: tuple[int, int, int]


def read(settings: ExtrapolateSettings, model: LatentDiffusion, observer: Observer) -> Known:
    """Read the sequence; each frame is brought to the size of the run at once."""
    s = settings
    side = model.image_size
    height, width = (side, side) if s.size is None else media.parse_size(s.size)
    source = s.source[0] if len(s.source) == 1 else s.source
    choice = {"start": s.start, "stop": s.stop, "stride": s.stride, "max_frames": s.max_frames}
    first = next(media.stream_sequence(source, **(choice | {"max_frames": 1})), None)  # type: ignore[arg-type]
    if first is not None:
        h, w = first.image.shape[1:]
        if abs(h / w - height / width) > 0.01:
            hint = " Pass --size WIDTHxHEIGHT for another shape." if s.size is None else ""
            observer.warn(f"The frames are {w}x{h}; their middle is used at {width}x{height}.{hint}")
    clip = media.read_sequence(source, **choice, size=(height, width), least=2, warn=observer.warn)  # type: ignore[arg-type]
    return Known(
        clip.frames,
        min(max(clip.fps, 0.1), 240.0),
        Canvas(height, width, model.codec.step),
    )


def known_from(frames: Tensor, settings: ExtrapolateSettings, model: LatentDiffusion) -> Known:
    """Frames in memory (n, 3, h, w) at the size of the run."""
    rows = frames_in_memory(frames, settings, least=2)
    side = model.image_size
    height, width = (side, side) if settings.size is None else media.parse_size(settings.size)
    resized = torch.stack([media.resize(image, height, width) for image in rows])
    return Known(resized, 8.0, Canvas(height, width, model.codec.step))


def encode(
    settings: ExtrapolateSettings, model: LatentDiffusion, canvas: Canvas, frames: Tensor, conditioning: Conditioning
) -> Points:
    """Frames (k, 3, h, w) to points, in float64 where there is one; k x ``steps`` evaluations for `flow`, else none."""
    s = settings
    padded = canvas.pad(frames)
    shape = model.latent_shape(*padded.shape[2:])
    z = model.encode(padded).to(model.device)
    if not bool(torch.isfinite(z).all()):
        raise ModelError(f"The autoencoder of {model.name} gives NaN or infinity.", "Pass --dtype fp32.")
    if s.embedding == "ridge":
        x = z * model.predict.schedule.level(s.tau)[0]
    else:
        x = model.lift(z, shape, conditioning(torch.zeros(len(z))), s.tau, s.steps, s.guidance)
    return Points(z, widest(x), shape)


def clean(
    settings: ExtrapolateSettings,
    model: LatentDiffusion,
    x: Tensor,
    u: Tensor,
    shape: tuple[int, int, int],
    conditioning: Conditioning,
) -> Tensor:
    """Points (m, d) at positions u (m,) back to clean encodings; m x (``steps`` + 1) evaluations for `flow`."""
    s = settings
    if s.embedding == "ridge":
        return (x / model.predict.schedule.level(s.tau)[0]).float()
    return model.drop(x, shape, conditioning(u), s.tau, s.steps, s.guidance)


def strip(before: Tensor, known: Tensor, after: Tensor) -> Tensor:
    """A row of the sheet: the new frames before and after, with an orange border, around the nearest known ones."""
    if len(known) > SHOWN:
        near = SHOWN // 2 if len(before) else 0
        known = torch.cat([known[:near], known[-(SHOWN - near) :]])
    edge = max(1, min(known.shape[-2:]) // 24)

    def framed(frames: Tensor, colour: tuple[float, float, float]) -> Tensor:
        canvas = torch.tensor(colour)[:, None, None].expand(len(frames), 3, *frames.shape[-2:])
        wide = pad(canvas, (edge,) * 4, mode="replicate").clone() if len(frames) else canvas
        if len(frames):
            wide[..., edge:-edge, edge:-edge] = frames
        return wide

    white = (1.0, 1.0, 1.0)
    parts = [(before, ORANGE), (known, white), (after, ORANGE)]
    return torch.cat([framed(frames, colour) for frames, colour in parts if len(frames)])
