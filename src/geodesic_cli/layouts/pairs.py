"""Pairs of images to go between: folders of X_0 and X_1, tables with a row for each pair, images of a class."""

import random
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from geodesic_cli import media
from geodesic_cli.errors import InputError
from geodesic_cli.layouts.captions import captions_beside

_ENDS = re.compile(r"(.*[^_-])([_-]?)([0-9]+)", re.DOTALL)
_PROMPTS = ("prompt_a", "prompt_b")


Near = Callable[[Path, Path], bool]
"""Whether two images may be a pair."""


@dataclass(frozen=True)
class ImagePair:
    """Two images, and what is said of them.

    Args:
        name: unlike that of every other pair; may have strokes, one for each subset.
        a: the first image.
        b: the second.
        prompts: none, or one for each.
        options: options of `geodesic interpolate` for this pair, as a table has them.
    """

    name: str
    a: Path
    b: Path
    prompts: tuple[str, ...] = ()
    options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class PairsFound:
    """Pairs, and in words how they were found.

    Args:
        layout: in words, for the user.
        pairs: in natural order.
        captions: the file of their captions and its digest; empty where they have none.
    """

    layout: str
    pairs: tuple[ImagePair, ...]
    captions: str = ""


def pairs_of(source: Path, captions: str | None = None, seed: int = 0, near: Near | None = None) -> PairsFound:
    """The pairs in a table or a folder.

    Args:
        source: a table with the columns a and b, or a folder.
        captions: a file of captions; without it one that lies in the folder is taken.
        seed: of the pairs that are drawn from a class of images.
        near: whether two images of a class may be a pair; None takes all.

    Raises:
        InputError: there is nothing, or it is no such table, or it is no class where `near` is given.
    """
    if source.is_file():
        _refuse_near(near, source)
        return _of_table(source)
    if not source.is_dir():
        raise InputError(
            f"A folder of pairs or a table is needed, and {source} does not exist.",
            "Pass a folder with castle_0.png and castle_1.png, or a table with the columns a and b.",
        )
    found: list[tuple[str, Path, Path]] = []
    images = dict[Path, list[Path]]()
    for folder in (source, *sorted(path for path in source.rglob("*") if path.is_dir())):
        images[folder] = sorted(media.image_files(folder)[0], key=lambda path: media.natural_key(path.name))
        subset = folder.relative_to(source).as_posix()
        found += [(name if subset == "." else f"{subset}/{name}", *pair) for name, pair in _ends(images[folder])]
    layout = "pairs X_0, X_1"
    if not found and images[source]:
        found = _drawn(images[source], seed, near)
        layout = f"images of a class, paired by the seed {seed}"
        if near is not None:
            layout += f", {2 * len(found)} of {len(images[source])} near enough to another"
            if not found:
                raise InputError(f"No two images of {source} are so near each other.", "Pass a larger bound.")
    elif found:
        _refuse_near(near, source)
    if not found:
        raise InputError(
            f"Pairs of images are needed, and {source} holds none; there are {_seen(source)}.",
            "Call the two images of a pair castle_0.png and castle_1.png, or pass a table with the columns a and b.",
        )
    said = captions_beside(source, captions)
    pairs = [
        ImagePair(name, a, b, said.of(k, name, (a, b)) if said else ())
        for k, (name, a, b) in enumerate(sorted(found, key=lambda each: media.natural_key(each[0])))
    ]
    return PairsFound(layout, tuple(pairs), f"{said.file} ({said.digest})" if said else "")


def _ends(images: list[Path]) -> list[tuple[str, tuple[Path, Path]]]:
    """The pairs among the images of one folder, by their name without the last digit."""
    halves = dict[str, dict[str, Path]]()
    for path in images:
        parts = _ENDS.fullmatch(path.stem)
        if parts and (parts[2] or not parts[1][-1].isdigit()):
            halves.setdefault(parts[1], {})[parts[3]] = path
    # A frame_2 beside frame_0 and frame_1 makes them a film.
    return [(name, (half["0"], half["1"])) for name, half in halves.items() if set(half) == {"0", "1"}]


def _drawn(images: list[Path], seed: int, near: Near | None) -> list[tuple[str, Path, Path]]:
    """Each image once, two by two, in an order that the seed decides: each with the next that is near enough."""
    order, found = list(images), list[tuple[str, Path, Path]]()
    random.Random(seed).shuffle(order)
    while len(order) > 1:
        a = order.pop(0)
        b = next((other for other in order if near is None or near(a, other)), None)
        if b is not None:
            order.remove(b)
            found.append((f"{a.stem}-to-{b.stem}", a, b))
    return found


def _refuse_near(near: Near | None, source: Path) -> None:
    if near is not None:
        raise InputError(
            f"A bound of distances is for a folder of images of one class, and the pairs of {source} are given.",
            "Leave out --lpips-below.",
        )


def _of_table(path: Path) -> PairsFound:
    try:
        names, rows = media.read_table(path)
    except (OSError, ValueError) as error:
        raise InputError(f"A table of pairs is needed, and {path} cannot be read ({error}).", "Mend it.") from error
    if not {"a", "b"} <= set(names) or not rows:
        raise InputError(
            f"A table of pairs needs the columns a and b and a row for each pair; {path} has "
            f"{', '.join(names) or 'no columns'} and {len(rows)} row{'' if len(rows) == 1 else 's'}.",
            "Begin it with the line a,b or a,b,prompt_a,prompt_b.",
        )
    pairs, taken = list[ImagePair](), set[str]()
    for number, row in enumerate(rows, 1):
        if not row["a"] or not row["b"]:
            raise InputError(f"Row {number} of {path} lacks an image in the column a or b.", "Fill it, or delete it.")
        a, b = (path.parent / row[key] for key in ("a", "b"))
        name = row.get("name") or f"{a.stem}-to-{b.stem}"
        if ".." in Path(name).parts or Path(name).is_absolute():
            raise InputError(f"The name of row {number} of {path} is no name of a folder: {name!r}.", "Mend it.")
        name = name if name not in taken else f"{name}-{number}"
        taken.add(name)
        said = tuple(row.get(key, "") for key in _PROMPTS)
        options = {key: value for key, value in row.items() if key not in ("a", "b", "name", *_PROMPTS) and value}
        pairs.append(ImagePair(name, a, b, said if any(said) else (), options))
    return PairsFound(f"the table {path.name}", tuple(pairs), path.name if "prompt_a" in names else "")


def _seen(folder: Path) -> str:
    """What lies in a folder, in a few words."""
    names = sorted(path.name + ("/" if path.is_dir() else "") for path in folder.iterdir())
    return f"{', '.join(names[:6])}{f' and {len(names) - 6} more' if len(names) > 6 else ''}" if names else "no files"
