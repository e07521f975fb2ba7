"""What a model is trained on: images with captions, each a function of the seed and its place in the training alone.

A training takes N examples a step, of all processes and accumulated batches together. Example k of step s is the same
whoever asks for it and however often the training was stopped before: no order is kept anywhere. A folder is gone
through without replacement, in a new order each time; scenes are drawn afresh for every step.
"""

import hashlib
import json
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from geodesic_cli import media
from geodesic_cli.errors import InputError
from geodesic_cli.filing import parsed_json
from geodesic_cli.scenes import Scene, render, sample
from geodesic_cli.verbs.finetune.deck import Deck, generator

METADATA = ("metadata.jsonl", "metadata.csv")
"""Files with captions, the first of them that is there."""
BYTES_LOOKED_AT = 65_536
"""Bytes at either end of a file that tell it from another."""
HELD_OUT = "held out"
"""Scenes drawn under this word are never trained on."""


class Data(Protocol):
    """Examples by their step and place."""

    def batch(self, step: int, total: int, places: Sequence[int]) -> tuple[Tensor, list[str]]:
        """Images (n, 3, h, w) in [0, 1] and captions of the given places, in range(total), of a step 0, 1, ..."""
        ...

    def prompts(self, count: int) -> list[str]:
        """Captions for previews, the same ones always."""
        ...


# --- scenes ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Scenes:
    """Rendered scenes of one solid.

    Args:
        size: side of the images in pixels.
        seed: of the scenes and of the choice of words.
        empty: share of captions that are left out.
    """

    size: int
    seed: int
    empty: float = 0.1

    @property
    def digest(self) -> str:
        """Tells other examples apart. Scenes follow from the settings, which a run compares by themselves."""
        return "scenes"

    def batch(self, step: int, total: int, places: Sequence[int]) -> tuple[Tensor, list[str]]:
        """See `Data`. Drawing costs next to nothing, so all scenes are drawn, and those asked for are rendered."""
        source = generator(self.seed, "scenes", step)
        scenes = sample(total, source)
        choices = torch.rand(total, 2, generator=source, dtype=torch.float64).tolist()
        captions = [caption(scenes[k], choices[k][1]) if choices[k][0] >= self.empty else "" for k in places]
        return render([scenes[k] for k in places], self.size), captions

    def prompts(self, count: int) -> list[str]:
        """See `Data`."""
        return [scene.caption for scene in sample(count, generator(self.seed, "previews"))]


def caption(scene: Scene, choice: float) -> str:
    """A caption in one of the forms that `clevr-mini` was trained on and that a user may type.

    Args:
        scene: with one solid; any other has its own full caption.
        choice: in [0, 1).
    """
    if len(scene.solids) != 1:
        return scene.caption
    solid = scene.solids[0]
    forms = (
        (0.44, f"a {solid.caption}"),
        (0.84, f"a {solid.colour} {solid.shape}"),
        (0.90, f"a {solid.colour} object"),
        (0.95, f"a {solid.shape}"),
        (1.00, f"a {solid.material} {solid.shape}"),
    )
    return next(text for bound, text in forms if choice < bound)


# --- a folder --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ImageFolder:
    """Images of a folder, with captions from a file of them where there is one. `read_folder` makes it.

    Args:
        paths: of the images.
        captions: one each; empty texts where there are none.
        size: side of the square that is cut from the middle of each image.
        seed: of the order, the flips and the captions left out.
        flip: mirror every second image at random.
        empty: share of captions that are left out.
    """

    paths: tuple[Path, ...]
    captions: tuple[str, ...]
    size: int
    seed: int
    flip: bool = False
    empty: float = 0.1

    @cached_property
    def digest(self) -> str:
        """Tells other examples apart by the captions and by the size and both ends of each file, which is quick."""
        found = hashlib.sha256(json.dumps(self.captions).encode())
        for path in self.paths:
            size = path.stat().st_size
            with path.open("rb") as file:
                found.update(f"{path.name} {size} ".encode() + file.read(BYTES_LOOKED_AT))
                file.seek(max(0, size - BYTES_LOOKED_AT))
                found.update(file.read())
        return found.hexdigest()

    @property
    def deck(self) -> Deck:
        """Captions and order."""
        return Deck(self.captions, self.seed, self.flip, self.empty)

    def batch(self, step: int, total: int, places: Sequence[int]) -> tuple[Tensor, list[str]]:
        """See `Data`."""
        return self.deck.batch(step, total, places, self.read)

    def prompts(self, count: int) -> list[str]:
        """See `Data`."""
        return self.deck.prompts(count)

    def only(self, which: Sequence[int]) -> "ImageFolder":
        """Some of the images, by their numbers."""
        captions = tuple(self.captions[k] for k in which)
        return replace(self, paths=tuple(self.paths[k] for k in which), captions=captions)

    def read(self, index: int) -> Tensor:
        """A picture (3, h, w) by its number."""
        return media.read_image(self.paths[index], size=(self.size, self.size))


def read_folder(
    folder: str | Path, size: int, seed: int, *, column: str = "text", flip: bool = False, empty: float = 0.1
) -> ImageFolder:
    """A folder in the layout of Hugging Face's imagefolder: images, and captions in metadata.jsonl or metadata.csv.

    Each line of metadata.jsonl is an object with `file_name`, relative to the folder, and the caption under `column`;
    metadata.csv has columns of these names. Without such a file every image below the folder is taken, with an empty
    caption.

    Raises:
        InputError: there is no such folder or no image in it; a line that is no such object or row; a file that it
            names and that is not there; a file that is no image, as far as its first bytes tell.
    """
    root = Path(folder)
    if not root.is_dir():
        raise InputError(f"A folder of images is needed; there is none at {folder}.", "Pass --data FOLDER or scenes.")
    metadata = metadata_of(root)
    if metadata is not None:
        pairs = _from_metadata(root, metadata, column)
    else:
        found = sorted(_images(root), key=lambda path: _natural(str(path.relative_to(root))))
        pairs = [(path, "") for path in found]
    if not pairs:
        raise InputError(f"{folder} holds no images.", "Put files there that end in .png, .jpg, .webp or the like.")
    for path, _ in pairs:
        media.require_image(path)  # now, and not in the middle of the training
    paths, captions = zip(*pairs, strict=True)
    return ImageFolder(paths, captions, size, seed, flip, empty)


def left_out(folder: str | Path, data: ImageFolder) -> int:
    """How many images below a folder its file of captions does not name, so that they are not trained on."""
    root = Path(folder)
    return len(set(_images(root)) - set(data.paths)) if metadata_of(root) is not None else 0


def metadata_of(root: Path) -> Path | None:
    """The file with the captions of a folder, if it has one."""
    return next((root / name for name in METADATA if (root / name).is_file()), None)


def _images(root: Path) -> list[Path]:
    return media.image_files(root, deep=True)[0]


def _from_metadata(root: Path, metadata: Path, column: str) -> list[tuple[Path, str]]:
    pairs = []
    for number, name, text in (_rows if metadata.suffix == ".csv" else _objects)(metadata, column):
        path = _named(root, name)
        if not isinstance(text, str):
            raise InputError(f"Line {number} of {metadata} has a caption that is no text: {text!r}.", "Mend it.")
        if not path.is_file():
            raise InputError(f"Line {number} of {metadata} names {path}, which does not exist.", "Mend the line.")
        pairs.append((path, text))
    return pairs


def _objects(metadata: Path, column: str) -> Iterator[tuple[int, str, object]]:
    """Number, name and caption of each line of JSON."""
    try:
        lines = media.read_text(metadata).split("\n")  # the other ends of lines of Unicode may stand in a caption
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{metadata} cannot be read ({error}).", "It is UTF-8, one JSON object a line.") from error
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            entry = parsed_json(line)
            name, text = entry["file_name"], entry[column]
            if not isinstance(name, str):
                raise ValueError("the name of a file is a text")
        except (ValueError, TypeError, KeyError) as error:
            raise InputError(
                f"Line {number} of {metadata} is not a JSON object with file_name and {column}.",
                "Mend it, or name the key of the captions with --caption-column.",
            ) from error
        yield number, name, text


def _rows(metadata: Path, column: str) -> Iterator[tuple[int, str, object]]:
    """Number, name and caption of each row of a table."""
    try:
        columns, rows = media.read_table(metadata)
    except (OSError, ValueError) as error:
        raise InputError(f"{metadata} cannot be read ({error}).", "Save it as CSV in UTF-8.") from error
    missing = [name for name in ("file_name", column) if name not in columns]
    if missing:
        raise InputError(
            f"{metadata} needs the columns file_name and {column}; it lacks {' and '.join(missing)}.",
            f"Its first line names the columns: file_name,{column}. Another one of captions is --caption-column.",
        )
    for number, row in enumerate(rows, 2):
        yield number, row["file_name"], row[column]


def _named(root: Path, name: str) -> Path:
    """A file of the folder by its name; Windows parts folders by a backslash, and macOS writes accents in two signs."""
    names = (name, name.replace("\\", "/"))
    every = [root / unicodedata.normalize(form, one) for form in ("NFC", "NFD") for one in names]
    return next((path for path in [root / name, *every] if path.is_file()), root / name)


def _natural(name: str) -> list[tuple[int, str]]:
    """Digits compare as numbers: 2.png before 10.png."""
    return [(int(part), "") if part.isdigit() else (0, part) for part in re.split(r"(\d+)", name.lower())]
