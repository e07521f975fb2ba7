"""One sequence to its numbers and its features, kept on disk as soon as they exist."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from geodesic_cli import media
from geodesic_cli.diffusion import LatentDiffusion
from geodesic_cli.errors import InputError
from geodesic_cli.evaluation.ruler.protocols import DENSITY_NUMBERS, EVALUATIONS, PIXEL_NUMBERS, TRUTH_NUMBERS, Protocol
from geodesic_cli.evaluation.ruler.sequence_numbers import distance_numbers, ends_of, input_numbers, pixel_numbers
from geodesic_cli.runs.folder import RunDirectory
from geodesic_cli.scenes import Fit
from geodesic_cli.verbs.evaluate.density import density_numbers
from geodesic_cli.verbs.evaluate.networks import Networks
from geodesic_cli.verbs.evaluate.reading import ToMeasure
from geodesic_cli.verbs.evaluate.truth import truth_numbers


@dataclass(frozen=True, eq=False)
class Sequenced:
    """What is known of one measured sequence.

    Args:
        name: of what it goes between.
        method: that drew it.
        frames: how many.
        size: width and height in pixels.
        ends: whether its ends are the inputs: `given`, `drawn` or `not known`.
        numbers: by the keys of the catalogue.
        features: (frames, d) by the word of their network; those of the inputs under the word with `, inputs`.
        inputs: digests of the two images that it goes between; images that several sequences share count once.
        costs: what our run took to draw it.
    """

    name: str
    method: str
    frames: int
    size: tuple[int, int]
    ends: str
    numbers: dict[str, float]
    features: dict[str, Tensor]
    inputs: tuple[str, ...] = ()
    costs: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Measurer:
    """Measures sequences by one protocol.

    Args:
        protocol: which numbers.
        networks: that they need.
        model: whose density is asked; None asks none.
        directory: where what is measured is kept; None keeps nothing.
        fits: of the frames of scenes that were seen, as all methods have the same ends.
    """

    protocol: Protocol
    networks: Networks
    model: LatentDiffusion | None
    directory: RunDirectory | None
    fits: dict[bytes, Fit] = field(default_factory=dict)

    def kept(self, sequence: ToMeasure) -> Sequenced:
        """What an earlier session has measured, or what is measured now and kept under the sequence's own name."""
        own = hashlib.sha256(json.dumps([sequence.name, sequence.method]).encode()).hexdigest()
        name = f"measured/{own[:16]}.safetensors"
        if self.directory is None or not self.directory.has(name):
            made = self.measure(sequence)
            if self.directory is not None:
                plain = {key: value for key, value in vars(made).items() if key != "features"}
                self.directory.write_tensors(name, made.features, {"measured": json.dumps(plain, sort_keys=True)})
            return made
        features, saved = self.directory.read_tensors(name)
        about: dict[str, Any] = json.loads(saved["measured"])
        about |= {key: tuple(about[key]) for key in ("size", "inputs")}
        return Sequenced(**about, features=features)

    def measure(self, sequence: ToMeasure) -> Sequenced:
        """Read a sequence and measure it."""
        frames = sequence.frames()
        height, width = frames.shape[2:]
        inputs = sequence.inputs(height, width)
        asked, numbers = set(self.protocol.numbers), dict[str, float]()
        for word, distance in self.networks.distances.items():
            numbers |= distance_numbers(frames, distance, word)
        if asked & set(PIXEL_NUMBERS):
            numbers |= pixel_numbers(frames)
        if asked & set(TRUTH_NUMBERS):
            numbers |= truth_numbers(frames, self.fits)
        if inputs is not None:
            numbers |= input_numbers(frames, inputs, dict(self.networks.distances))
        if self.networks.quality is not None:
            quality = self.networks.quality(frames[1:-1])
            numbers |= {"topiq_mean": float(quality.mean()), "topiq_min": float(quality.min())}
        if self.model is not None and asked & set(DENSITY_NUMBERS):
            numbers |= density_numbers(self.model, frames)
        costs = sequence.costs()
        numbers |= {EVALUATIONS: costs["evaluations"]} if costs else {}
        features = {word: of(frames) for word, of in self.networks.features.items()}
        ends = frames[[0, -1]] if inputs is None else inputs
        features |= {f"{word}, inputs": of(ends) for word, of in self.networks.features.items()}
        return Sequenced(
            sequence.name,
            sequence.method,
            len(frames),
            (width, height),
            ends_of(frames, inputs),
            {key: value for key, value in numbers.items() if key in asked and value == value},
            features,
            tuple(hashlib.sha256(end.contiguous().numpy().tobytes()).hexdigest()[:16] for end in ends),
            costs,
        )


def thumbnails(sequence: ToMeasure, most: int, side: int) -> Tensor:
    """Frames of a sequence at even distances, square, for a sheet: (n, 3, side, side), so many at most."""
    frames = sequence.frames()
    chosen = torch.linspace(0, len(frames) - 1, min(most, len(frames))).round().long()
    return torch.stack([media.resize(frames[int(k)], side, side) for k in chosen])


def images_of_set(folder: Path) -> list[Path]:
    """The images of a folder.

    Raises:
        InputError: the folder holds fewer than two images.
    """
    files = sorted(media.image_files(folder)[0]) if folder.is_dir() else []
    if len(files) < 2:
        raise InputError(f"A set of two images or more is needed, and {folder} holds {len(files)}.", "Check the path.")
    return files


def features_of_set(files: Sequence[Path], networks: Networks) -> dict[str, Tensor]:
    """The features of images, each at its own size, by the word of their network."""
    parts: dict[str, list[Tensor]] = {word: [] for word in networks.features}
    for path in files:
        image = media.read_image(path)[None]
        for word, of in networks.features.items():
            parts[word].append(of(image))
    return {word: torch.cat(rows) for word, rows in parts.items()}
