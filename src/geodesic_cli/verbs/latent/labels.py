"""Images with one of two labels: rendered scenes that differ in nothing else, or files listed in a CSV.

A word names an attribute of a scene and one of its values: a colour, a shape, a material, or one of left, right, near,
far, small, large. Scenes come in pairs, the same scene with the one value and with the other, so that a direction
between them owes nothing to chance in the rest. Files have no partners.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from geodesic_cli.errors import InputError
from geodesic_cli.evaluation import Pyramid
from geodesic_cli.evaluation.path_length import pair_distances
from geodesic_cli.evaluation.shares import share_interval
from geodesic_cli.layouts import labelled_images
from geodesic_cli.scenes import COLOURS, MATERIALS, MIDDLE, SHAPES, Fit, Scene, Solid, fit_all, render, sample
from geodesic_cli.settings.option import did_you_mean

SIDES = {"left": -1, "right": 1, "near": -1, "far": 1, "small": -1, "large": 1}
NUMBERS = {"left": "x", "right": "x", "near": "y", "far": "y", "small": "size", "large": "size"}
APART = {"x": (0.4, 1.3), "y": (0.3, 1.1), "size": (0.05, 0.16)}
"""How far from the middle solids of either side are drawn."""
MOVED = {"x": 0.25, "y": 0.25, "size": 0.1}
"""By how much a solid may move or grow and still be called the same."""


@dataclass(frozen=True, eq=False)
class Labelled:
    """Images in two classes.

    Args:
        source: (n, 3, h, w), with the first label.
        target: (m, 3, h, w), with the second one.
        paired: row i of both shows the same but for the label; then n = m.
        held_out: (k, 3, h, w), with the first label, and in neither.
    """

    source: Tensor
    target: Tensor
    paired: bool
    held_out: Tensor


@dataclass(frozen=True)
class Attribute:
    """What two words tell apart in a scene.

    Args:
        name: colour, shape, material, x, y or size.
        source: the first word.
        target: the second word.
    """

    name: str
    source: str
    target: str

    def having(self, scene: Scene, word: str) -> Scene:
        """The scene with its first solid as the word says; numbers are mirrored about the middle."""
        changed: dict[str, Any] = {self.name: word}
        solid = scene.solids[0]
        if self.name in MIDDLE:
            low, high = APART[self.name]
            middle = MIDDLE[self.name]
            offset = min(max(abs(getattr(solid, self.name) - middle), low), high)
            changed = {self.name: middle + SIDES[word] * offset}
        return Scene((replace(solid, **changed), *scene.solids[1:]))

    def has_target(self, solid: Solid) -> bool:
        """Whether a solid is as the second word says."""
        value = getattr(solid, self.name)
        if self.name in MIDDLE:
            return bool((value - MIDDLE[self.name]) * SIDES[self.target] > 0)
        return bool(value == self.target)

    def kept(self, before: Solid, after: Solid) -> bool:
        """Whether everything else is as it was."""
        same = all(getattr(before, k) == getattr(after, k) for k in ("colour", "shape", "material") if k != self.name)
        near = all(abs(getattr(before, k) - getattr(after, k)) <= MOVED[k] for k in MOVED if k != self.name)
        return same and near


def attribute(source: str, target: str) -> Attribute:
    """The attribute that two words name.

    Raises:
        InputError: an unknown word, or words of two attributes.
    """
    kinds = {word: name for name, words in _vocabulary().items() for word in words}
    for word in (source, target):
        if word not in kinds:
            raise InputError(
                f"Scenes have no label {word!r}; they have {', '.join(kinds)}.",
                did_you_mean(word, kinds, "For labels of your own pass --labels FILE.csv."),
            )
    if kinds[source] != kinds[target]:
        raise InputError(
            f"Both labels must be of one kind: {source} is a {kinds[source]}, {target} a {kinds[target]}.",
            f"{source} goes with {', '.join(w for w in _vocabulary()[kinds[source]] if w != source)}.",
        )
    return Attribute(kinds[source], source, target)


def of_scenes(what: Attribute, pairs: int, held_out: int, size: int, seed: int) -> Labelled:
    """Rendered scenes of one solid, ``size`` pixels wide."""
    scenes = sample(pairs + held_out, torch.Generator().manual_seed(seed))
    source = render([what.having(scene, what.source) for scene in scenes], size)
    target = render([what.having(scene, what.target) for scene in scenes[:pairs]], size)
    return Labelled(source[:pairs], target, True, source[pairs:])


def of_files(
    table: str, source: str, target: str, held_out: int, seed: int, fit_in: Callable[[list[str]], Tensor]
) -> Labelled:
    """The files of a table or a folder with labels, see `layouts.labelled_images`.

    Args:
        table: the table or the folder.
        source: the first label.
        target: the second label; rows with other labels are left out.
        held_out: images with the first label to put aside, drawn by the seed.
        seed: of that draw.
        fit_in: reads images by their names, as a batch of one size.

    Raises:
        InputError: the table or an image cannot be read, or a label has too few images.
    """
    read_in = labelled_images(table)
    if "label" not in read_in.labels:
        raise InputError(
            f"{table} needs the columns image and label; it has {', '.join(read_in.labels)} in the place of label.",
            "Its first line names the columns: image,label",
        )
    found = list(zip(read_in.files, read_in.labels["label"], strict=True))
    kinds = {label for _, label in found}
    for label in (source, target):
        if label not in kinds:
            some = ", ".join(sorted(kinds)[:12]) or "none"
            raise InputError(
                f"{table} has no image with the label {label!r}; its labels are {some}.",
                did_you_mean(label, kinds, "Pass two of these."),
            )
    names = {label: [name for name, own in found if own == label] for label in (source, target)}
    if len(names[source]) < held_out + 2 or len(names[target]) < 2:
        raise InputError(
            f"A direction needs two images with each label and {held_out} more to try it on; {table} has "
            f"{len(names[source])} of {source!r} and {len(names[target])} of {target!r}.",
            "Add images, or pass a smaller --held-out.",
        )
    order = torch.randperm(len(names[source]), generator=torch.Generator().manual_seed(seed)).tolist()
    aside, rest = (sorted(order[:held_out]), sorted(order[held_out:]))
    chosen = [[names[source][k] for k in rest], names[target], [names[source][k] for k in aside]]
    read = [fit_in(part) for part in chosen]
    return Labelled(read[0], read[1], False, read[2])


def shares(what: Attribute, before: list[Fit], after: list[Fit]) -> dict[str, list[bool]]:
    """For each image, whether the label flipped, whether all else was kept, and whether both."""
    solids = [(a.scene.solids[0], b.scene.solids[0]) for a, b in zip(before, after, strict=True)]
    flipped = [what.has_target(b) for _, b in solids]
    kept = [what.kept(a, b) for a, b in solids]
    return {"flipped": flipped, "kept": kept, "both": [f and k for f, k in zip(flipped, kept, strict=True)]}


def judged(judge: tuple[Attribute, list[Fit]] | None, before: Tensor, images: Tensor) -> dict[str, float]:
    """What became of the held-out images: shares of flipped and kept ones, validity, and how far they look."""
    found = {"distance": float(pair_distances(before, images, Pyramid()).mean())}
    if judge is None:
        return found
    what, fits = judge
    after = fit_all(images)
    table = shares(what, fits, after)
    found |= {name: sum(values) / len(values) for name, values in table.items()} | {"fit_error": median_error(after)}
    for name in ("flipped", "kept", "both"):
        found[f"{name}_low"], found[f"{name}_high"] = share_interval(round(sum(table[name])), len(table[name]))
    return found


def median_error(fits: list[Fit]) -> float:
    """The median of the errors of fits."""
    return float(torch.tensor([one.error for one in fits]).median())


def turned(tables: dict[str, list[dict[str, float]]], source: str, target: str, count: int) -> str:
    """How many images turned from the one label into the other, beside what chance makes of them."""
    rows = tables["direction"]
    if "both" not in rows[0]:
        return f"The direction from {source} to {target} was applied to {count} images."
    best = max(range(len(rows)), key=lambda k: rows[k]["both"])
    row, chance = rows[best], tables["random"][best]
    told = (
        f"At strength {row['strength']:g}, {row['flipped']:.0%} of {count} other images turned from {source} to "
        f"{target}, {row['both']:.0%} ({row['both_low']:.0%} to {row['both_high']:.0%}) with all else kept; along "
        f"random directions {chance['flipped']:.0%} and {chance['both']:.0%}."
    )
    if row["both"] <= chance["both"]:
        return f"{told} That is no better than chance: pass more --pairs, or larger --strengths."
    if row["both_low"] <= chance["both_high"]:
        return f"{told} So few images do not tell that from chance: pass more --held-out."
    return told


def _vocabulary() -> dict[str, tuple[str, ...]]:
    plain: dict[str, tuple[str, ...]] = {"colour": tuple(COLOURS), "shape": SHAPES, "material": MATERIALS}
    return plain | {name: tuple(w for w in NUMBERS if NUMBERS[w] == name) for name in MIDDLE}
