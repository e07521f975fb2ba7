"""What is to be measured: sequences on disk or in memory, read one at a time, with the images that they go between."""

import json
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from geodesic_cli import media
from geodesic_cli.errors import InputError
from geodesic_cli.layouts import FoundSequence, sequences_of
from geodesic_cli.runs.folder import METRICS
from geodesic_cli.settings import EvaluateSettings


@dataclass(frozen=True, eq=False)
class ToMeasure:
    """A sequence that is to be measured.

    Args:
        name: of what it goes between; sequences of one name are compared.
        method: that drew it.
        found: where it lies; None where it is in memory.
        memory: its frames (n, 3, h, w), where they are in memory.
    """

    name: str
    method: str
    found: FoundSequence | None = None
    memory: Tensor | None = None

    def frames(self) -> Tensor:
        """Its frames (n, 3, h, w) in [0, 1].

        Raises:
            InputError: they cannot be read, differ in size, or are fewer than three.
        """
        if self.memory is not None:
            frames = self.memory
        elif self.found is not None and self.found.strip:
            frames = _cut(self.found.source[0], self.found.strip)
        else:
            assert self.found is not None
            source = self.found.source
            frames = media.read_sequence(source[0] if len(source) == 1 else [str(path) for path in source]).frames
        if len(frames) < 3:
            raise InputError(
                f"A sequence needs three frames or more; {self.name} of {self.method} has {len(frames)}.",
                "Leave it out, or draw it with more frames.",
            )
        return frames

    def costs(self) -> dict[str, float]:
        """What our run took to draw it: evaluations, seconds, peak_gb; nothing of what is not known."""
        if self.found is None or self.found.run is None:
            return {}
        with suppress(OSError, ValueError, KeyError, AttributeError, TypeError):
            metrics = json.loads((self.found.run / METRICS).read_text("utf-8"))
            if len(metrics["paths"]) == 1:  # a comparison has one count for all
                spent = {"evaluations": float(sum(int(count) for count in metrics["evaluations"].values()))}
                return spent | {key: float(metrics[key]) for key in ("seconds", "peak_gb") if key in metrics}
        return {}

    def inputs(self, height: int, width: int) -> Tensor | None:
        """The two images that it goes between, (2, 3, h, w) at its size; None where they are not known."""
        if self.found is None or self.found.inputs is None:
            return None
        return torch.stack([media.resize(media.read_image(path), height, width) for path in self.found.inputs])


def sequences_to_measure(
    settings: EvaluateSettings, sources: Sequence[str | Path | Tensor]
) -> tuple[str, tuple[ToMeasure, ...]]:
    """The layout in words and the sequences, in natural order; of several sources each is a method.

    Raises:
        InputError: nothing to measure; two sequences of one name and method.
    """
    s, layouts, found = settings, list[str](), list[ToMeasure]()
    inputs = None if s.inputs is None else Path(s.inputs)
    files = [Path(source) for source in sources if not isinstance(source, Tensor)]
    for source in files:
        layout, some = sequences_of(source, s.layout, s.strip or 0, inputs)
        layouts.append(layout)
        found += [ToMeasure(each.name, each.method, each) for each in _told_apart(some, source, files)]
    tensors = [source for source in sources if isinstance(source, Tensor)]
    found += [ToMeasure("sequence", f"method {k}", memory=frames) for k, frames in enumerate(tensors, 1)]
    twice = [key for key, count in Counter((each.name, each.method) for each in found).items() if count > 1]
    if twice:
        raise InputError(
            f"Two sequences are called {twice[0][0]} and drawn by {twice[0][1]}.",
            "Pass them apart, or rename one of the folders.",
        )
    layouts += ["in memory"] if tensors else []
    if s.limit is not None:
        kept = list(dict.fromkeys(each.name for each in found))[: s.limit]
        found = [each for each in found if each.name in kept]
    return " and ".join(dict.fromkeys(layouts)), tuple(found)


def _told_apart(found: Sequence[FoundSequence], source: Path, files: Sequence[Path]) -> Sequence[FoundSequence]:
    """The sequences of one source; where there are several, each is a method, and single sequences are compared."""
    if len(files) == 1:
        return found
    label = _label(source, files)
    several, one = len({each.method for each in found}) > 1, len({each.name for each in found}) == 1
    return [
        replace(each, method=f"{label} {each.method}" if several else label, name="sequence" if one else each.name)
        for each in found
    ]


def _label(source: Path, files: Sequence[Path]) -> str:
    """The name of a source as that of a method: its last part, or as much of it as tells it from the others."""
    parts = source.resolve().parts
    for count in range(1, len(parts) + 1):
        ends = [other.resolve().parts[-count:] for other in files]
        if ends.count(parts[-count:]) == 1:
            return "/".join(parts[-count:])
    return str(source)


def _cut(path: Path, count: int) -> Tensor:
    """The frames of a strip.

    Raises:
        InputError: its width is no multiple of their number.
    """
    strip = media.read_image(path)
    width = strip.shape[2]
    if width % count:
        raise InputError(
            f"A strip of {count} frames has a width that is a multiple of {count}; {path} is {width} pixels wide.",
            "Pass another --strip, or cut off what lies between the frames.",
        )
    return torch.stack(strip.split(width // count, dim=2))
