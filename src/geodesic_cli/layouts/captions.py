"""Captions that lie beside images: which file they came from, and a digest, because every number changes with them."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from geodesic_cli import media
from geodesic_cli.errors import InputError

NAMES = ("captions.json", "caption.json", "prompts.json", "captions.csv", "prompts.csv", "metadata.jsonl")
"""Files that are looked for, the first that is there."""
_TEXT_KEYS = (("prompt_a", "prompt_b"), ("prompt_0", "prompt_1"), ("caption_0", "caption_1"), ("text_0", "text_1"))
_LIST_KEYS = ("prompts", "captions", "prompt", "caption", "text", "exp")
_NAME_KEYS = ("name", "pair", "pair_id", "id", "file_name", "image")


@dataclass(frozen=True)
class Captions:
    """What a file of captions says.

    Args:
        file: its name.
        digest: the first twelve digits of its SHA-256.
        by_name: the captions of a pair, or of an image, by its name or the name of its file.
        in_order: captions that have no names, in the order of the pairs.
    """

    file: str
    digest: str
    by_name: Mapping[str, tuple[str, ...]]
    in_order: tuple[tuple[str, ...], ...] = ()

    def of(self, number: int, name: str, files: tuple[Path, Path]) -> tuple[str, ...]:
        """The two captions of a pair of images; none where the file has none for it."""
        for key in (name, name.rpartition("/")[2]):
            if len(self.by_name.get(key, ())) >= 2:
                return self.by_name[key][:2]
            if len(self.by_name.get(key, ())) == 1:
                return self.by_name[key] * 2
        each = [self.by_name.get(file.name) or self.by_name.get(file.stem) or () for file in files]
        if all(each):
            return (each[0][0], each[1][0])
        return self.in_order[number][:2] if number < len(self.in_order) else ()


def captions_beside(place: Path, named: str | None = None) -> Captions | None:
    """The captions in a folder, or in a file that was named; None where there are none.

    Raises:
        InputError: the file cannot be read, or holds no captions.
    """
    path = Path(named) if named else next((place / name for name in NAMES if (place / name).is_file()), None)
    if path is None:
        return None
    try:
        text = media.read_text(path)
        by_name, in_order = _read(path, text)
    except (OSError, ValueError) as error:
        raise InputError(
            f"The captions in {path} cannot be read ({error}).",
            'Write JSON such as {"castle": ["a castle", "a ruin"]}, a table name,prompt_a,prompt_b, or metadata.jsonl.',
        ) from error
    if not by_name and not in_order:
        raise InputError(
            f"A file of captions is needed, and {path} holds none.",
            'Write JSON such as {"castle": ["a castle", "a ruin"]}.',
        )
    return Captions(path.name, hashlib.sha256(text.encode()).hexdigest()[:12], by_name, in_order)


def _read(path: Path, text: str) -> tuple[dict[str, tuple[str, ...]], tuple[tuple[str, ...], ...]]:
    if path.suffix.lower() == ".csv":
        rows: list[Any] = media.read_table(path)[1]
    elif path.suffix.lower() == ".jsonl":
        rows = [json.loads(line) for line in text.splitlines() if line.strip()]
    else:
        found = json.loads(text)
        if isinstance(found, dict):
            return {str(key): _texts(value) for key, value in found.items() if _texts(value)}, ()
        rows = found if isinstance(found, list) else []
    named, free = dict[str, tuple[str, ...]](), list[tuple[str, ...]]()
    for row in rows:
        name = next((str(row[key]) for key in _NAME_KEYS if key in row), "") if isinstance(row, dict) else ""
        if name and _texts(row):
            named[name] = _texts(row)
        elif _texts(row):
            free.append(_texts(row))
    return named, tuple(free)


def _texts(value: Any) -> tuple[str, ...]:
    """The captions in a text, a list of texts, or an object with a key that means them."""
    if isinstance(value, str):
        return (value,)
    if isinstance(value, list):
        return tuple(value) if all(isinstance(each, str) for each in value) else ()
    if not isinstance(value, dict):
        return ()
    for pair in _TEXT_KEYS:
        if all(isinstance(value.get(key), str) for key in pair):
            return tuple(value[key] for key in pair)
    return next((_texts(value[key]) for key in _LIST_KEYS if key in value), ())
