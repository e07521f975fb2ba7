"""What an interpolation will cost, before it is run: network evaluations of each stage, time and memory.

Evaluations are counted from the settings (`stages`). The time is that of one timed call of the score at the batch that
the solver will use, times the evaluations; an evaluation with a gradient counts as three. Of a large model nothing
is loaded or timed: the operations of an evaluation are counted, and the speed is that of a small product of matrices.
Memory is the weights and the larger of what the network takes for a chunk and what the autoencoder takes for the pixels
that go through it at once.
"""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from geodesic_cli.diffusion import LatentDiffusion
from geodesic_cli.diffusion.batching import fitting, free_memory, item_cost
from geodesic_cli.diffusion.loading.outline import Outline
from geodesic_cli.frames.paths import MEASURED
from geodesic_cli.geometry import Surrogate
from geodesic_cli.runs.plain import aligned
from geodesic_cli.settings import InterpolateSettings
from geodesic_cli.verbs.interpolate.legs import score_of
from geodesic_cli.verbs.interpolate.stages import Stage, score_evaluations, stages

PICTURE_MAPS = 6
"""Bytes of the autoencoder for an image pixel, in units of its widest map at full size."""
SIDE, EFFICIENCY = 512, 0.7
"""Of the matrices whose product is timed, and the share of that speed that a network reaches."""
HEADS = ("stage", "evaluations", "about")


@dataclass(frozen=True)
class Plan:
    """What a run will cost.

    Args:
        stages: in their order; those that cost nothing are left out.
        per_evaluation: seconds, as timed.
        device: of the network.
        dtype: of the network.
        chunk: latents that go through the network at once.
        weights: bytes of all parts.
        working: bytes beside the weights, about.
        free: bytes that are free on the device now, the weights being there; of a large model, without them.
        timed: whether an evaluation was timed; otherwise its time is an estimate.
    """

    stages: tuple[Stage, ...]
    per_evaluation: float
    device: str
    dtype: str
    chunk: int
    weights: int
    working: int
    free: int
    timed: bool = True

    @property
    def evaluations(self) -> int:
        """Of the network, in all."""
        return sum(stage.evaluations or 0 for stage in self.stages)

    @property
    def seconds(self) -> float:
        """In all, about."""
        return sum(stage.seconds for stage in self.stages)

    @property
    def metrics(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {
            "stages": [vars(stage) for stage in self.stages],
            "seconds_per_evaluation": self.per_evaluation,
            "memory": {name: getattr(self, name) for name in ("weights", "working", "free")},
            **{name: getattr(self, name) for name in ("evaluations", "seconds", "device", "dtype", "chunk", "timed")},
        }

    @property
    def rows(self) -> tuple[tuple[str, ...], ...]:
        """The stages and their sum as texts, in the order of `HEADS`."""
        lines = [
            (
                stage.name,
                "-" if stage.evaluations is None else f"{'up to ' if stage.most else ''}{stage.evaluations}",
                in_words(stage.seconds),
            )
            for stage in self.stages
        ]
        most = "up to " if any(stage.most for stage in self.stages) else ""
        return (*lines, ("in all", f"{most}{self.evaluations}", in_words(self.seconds)))

    @property
    def legend(self) -> str:
        """A sentence on device, speed and memory."""
        return (
            f"On {self.device} in {self.dtype}, {self.chunk} latents at once, {_each(self.per_evaluation)} an "
            f"evaluation. Memory: weights {_size(self.weights)}, beside them about {_size(self.working)}; "
            f"{_size(self.free)} free."
            + ("" if self.timed else " Estimated from the size of the model: nothing was loaded or timed.")
        )

    @property
    def text(self) -> str:
        """The table and the sentence."""
        return "\n".join([*aligned(HEADS, self.rows, str.ljust), self.legend])


def plan(settings: InterpolateSettings, model: LatentDiffusion, images: int, height: int, width: int) -> Plan:
    """What an interpolation of so many images will cost; makes one timed call of the score, after one to warm up.

    Args:
        model: the model, loaded.
        images: how many keyframes there are.
        height: of the pictures that the model sees, in pixels.
        width: of the same.
    """
    s = settings
    shape = model.latent_shape(height, width)
    device, dtype = model.predict.place
    cost = item_cost(model.predict.unet, shape, dtype)
    chunk = model.predict.chunks.size(cost, device)
    score = score_of(s, model, shape, model.prompts.along(s.prompt[:2]))
    batch = s.nodes if s.solver == "relaxation" else Surrogate().batch
    x = torch.randn(batch, torch.Size(shape).numel(), generator=torch.Generator().manual_seed(0)).to(device)
    u = torch.linspace(0, 1, batch, device=device)
    seconds = 0.0
    for _ in range(2):  # the first one warms up
        began = time.perf_counter()
        score(x, u).sum().item()  # waits for the device
        seconds = time.perf_counter() - began
    each = seconds / (batch * score.evaluations)
    most = max(s.nodes, MEASURED) * score.evaluations
    return Plan(
        stages=tuple(stages(s, images, score.evaluations, each)),
        per_evaluation=each,
        device=str(device),
        dtype=str(dtype).removeprefix("torch."),
        chunk=min(chunk, most),
        weights=_weights((model.predict.unet, model.codec.vae, *model.prompts.encoders)),
        working=max(cost * min(chunk, most), bytes_of_pictures(model, height, width)),
        free=free_memory(device),
    )


def plan_without_weights(
    settings: InterpolateSettings, outlined: Outline, device: torch.device, images: int, height: int, width: int
) -> Plan:
    """The same for a large model, of which nothing but its shapes is needed, and nothing large is timed.

    Args:
        outlined: the model without weights.
        device: where it would compute.
    """
    s, model = settings, outlined.model
    shape, dtype = model.latent_shape(height, width), model.predict.place[1]
    score = score_evaluations(s)
    each = outlined.operations(shape) / (EFFICIENCY * speed_of(device, dtype))
    cost, free = item_cost(model.predict.unet, shape, dtype), free_memory(device)
    weights = outlined.weights * dtype.itemsize
    chunk = min(fitting(cost, free - weights), max(s.nodes, MEASURED) * score)
    return Plan(
        stages=tuple(stages(s, images, score, each)),
        per_evaluation=each,
        device=str(device),
        dtype=str(dtype).removeprefix("torch."),
        chunk=chunk,
        weights=weights,
        working=max(cost * chunk, bytes_of_pictures(model, height, width)),
        free=free,
        timed=False,
    )


def speed_of(device: torch.device, dtype: torch.dtype) -> float:
    """Floating-point operations a second in products of small matrices: the fastest of some hundredths of a second."""
    square = torch.ones(SIDE, SIDE, device=device, dtype=dtype)
    fastest, stop = math.inf, time.perf_counter() + 0.1
    while fastest == math.inf or time.perf_counter() < stop:
        began = time.perf_counter()
        float((square @ square)[0, 0])  # waits for the device
        fastest = min(fastest, time.perf_counter() - began)
    return 2 * SIDE**3 / fastest


def bytes_of_pictures(model: LatentDiffusion, height: int, width: int) -> int:
    """What the autoencoder takes for the pixels that go through it at once."""
    pixels, vae = min(model.codec.pixels, 64 * height * width), model.codec.vae
    return max(pixels, height * width) * int(vae.config.block_out_channels[0]) * PICTURE_MAPS * vae.dtype.itemsize


def _weights(parts: Sequence[Any]) -> int:
    return sum(tensor.numel() * tensor.element_size() for part in parts for tensor in part.state_dict().values())


def in_words(seconds: float) -> str:
    """A time that a person reads: 0.3 s, 42 s, 5 min, 3.1 h."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def _each(seconds: float) -> str:
    return f"{1e3 * seconds:.1f} ms" if seconds < 1 else in_words(seconds)


def _size(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"
