"""Sequences of frames that are there already, in the layouts in which tools of this field write them.

| layout  | how it looks                                                                                     |
|---------|--------------------------------------------------------------------------------------------------|
| ours    | a run of `geodesic interpolate`, `extrapolate` or `evaluate`: manifest.json and frames/            |
| frames  | one folder of images                                                                             |
| methods | ROOT/NAME/METHOD/*.png, three files or more in each                                              |
| subsets | ROOT/SUBSET/NAME/*.png or ROOT/SUBSET/NAME/frames/*.png                                          |
| names   | ROOT/NAME/*.png or ROOT/NAME/frames/*.png                                                        |
| films   | one film, or a folder of films                                                                   |
| strips  | images of N frames side by side (--strip N)                                                      |

Where a layout has no methods, the name of the root is that of the method. Everything is in natural order.
"""

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from geodesic_cli import media
from geodesic_cli.errors import InputError
from geodesic_cli.layouts.pairs import pairs_of
from geodesic_cli.settings.evaluate import MADE

LAYOUTS = ("ours", "frames", "methods", "subsets", "names", "films", "strips")
FILM_SUFFIXES = (".mp4", ".webm", ".gif", ".mov", ".mkv", ".avi", ".apng")
LEAST_FRAMES = 3
"""Images that make a folder one of frames: with two there is nothing between the ends."""


@dataclass(frozen=True)
class FoundSequence:
    """One sequence that lies on disk.

    Args:
        name: of what it goes between; the same for all methods that go between the same.
        method: that drew it.
        source: its frames in order, or the one film or strip that holds them.
        strip: how many frames lie side by side in that one image; 0 where it is no strip.
        inputs: the two images that it goes between, where they are known.
        run: the folder of our run that drew it.
    """

    name: str
    method: str
    source: tuple[Path, ...]
    strip: int = 0
    inputs: tuple[Path, Path] | None = None
    run: Path | None = None


def sequences_of(
    root: Path, layout: str | None = None, strip: int = 0, inputs: Path | None = None
) -> tuple[str, tuple[FoundSequence, ...]]:
    """The layout of what lies at `root`, and its sequences.

    Args:
        root: a file or a folder.
        layout: one of LAYOUTS; None finds out.
        strip: frames side by side in each image.
        inputs: a folder of X_0 and X_1, in which the inputs of the sequence X are sought.

    Raises:
        InputError: nothing that fits, with a list of what was seen.
    """
    if not root.exists():
        raise InputError(f"Frames to measure are needed, and {root} does not exist.", "Check the path.")
    ways: dict[str, Callable[[Path, int], list[FoundSequence]]] = {
        "ours": _ours, "strips": _strips, "frames": _frames, "methods": _methods,
        "subsets": _subsets, "names": _names, "films": _films,
    }  # fmt: skip
    order = [layout] if layout else list(ways)
    for name in order:
        found = ways[name](root, strip)
        if found:
            return name, _with_inputs(found, inputs)
    raise InputError(
        f"Sequences of frames are needed{f' in the layout {layout}' if layout else ''}, and {root} holds none; "
        f"seen: {_looked_at(root)}.",
        "The layouts are a run of ours, ROOT/NAME/METHOD/*.png, ROOT/SUBSET/NAME/frames/*.png, films and strips; "
        "pairs that are to be drawn first belong to --pairs.",
    )


def _with_inputs(found: list[FoundSequence], inputs: Path | None) -> tuple[FoundSequence, ...]:
    if inputs is not None:
        pairs = {pair.name: (pair.a, pair.b) for pair in pairs_of(inputs).pairs}
        pairs |= {name.rpartition("/")[2]: pair for name, pair in pairs.items()}
        found = [
            replace(each, inputs=pairs.get(each.name) or pairs.get(each.name.rpartition("/")[2]) or each.inputs)
            for each in found
        ]
    return tuple(sorted(found, key=lambda each: (media.natural_key(each.name), each.method)))


def _images(folder: Path) -> list[Path]:
    """The still images of a folder in natural order."""
    stills = [path for path in media.image_files(folder)[0] if path.suffix.lower() not in FILM_SUFFIXES]
    return sorted(stills, key=lambda path: (media.natural_key(path.name), path.name))


def _ours(root: Path, strip: int) -> list[FoundSequence]:
    """The run at `root`, or those below it, the frames of its comparison included."""
    if not root.is_dir():
        return []
    run = _manifest(root)
    if run is not None and (root / "frames").is_dir():
        return _of_run(root, root.name, run)
    top = root / MADE if (root / MADE).is_dir() else root
    found: list[FoundSequence] = []
    for manifest in sorted(top.rglob("manifest.json")):
        folder, said = manifest.parent, _manifest(manifest.parent)
        if said is not None and (folder / "frames").is_dir():
            parts = folder.relative_to(top).parts
            if top != root and len(parts) > 1:  # NAME/METHOD, as `geodesic evaluate` makes them
                found += [replace(each, method=parts[-1]) for each in _of_run(folder, "/".join(parts[:-1]), said)]
            else:
                found += _of_run(folder, "/".join(parts), said)
    return found


def _of_run(folder: Path, name: str, manifest: dict[str, Any]) -> list[FoundSequence]:
    settings = manifest["settings"]
    images, begun = settings.get("images"), Path(str(manifest.get("begun_in", "")))
    inputs = None
    if isinstance(images, list) and len(images) > 1:
        ends = [begun / str(images[0]), begun / str(images[-1])]
        inputs = (ends[0], ends[1]) if all(end.is_file() for end in ends) else None
    method = str(settings.get("method") or folder.name)
    found = [(method, folder / "frames")]
    if (folder / "compare").is_dir():
        found += [(path.name, path) for path in sorted((folder / "compare").iterdir()) if path.is_dir()]
    made = [FoundSequence(name, one, tuple(_images(place)), 0, inputs, folder) for one, place in found]
    return [each for each in made if len(each.source) >= LEAST_FRAMES]


def _manifest(folder: Path) -> dict[str, Any] | None:
    with suppress(OSError, ValueError, RecursionError):
        found = json.loads((folder / "manifest.json").read_text("utf-8"))
        if isinstance(found, dict) and isinstance(found.get("settings"), dict):
            return found
    return None


def _strips(root: Path, strip: int) -> list[FoundSequence]:
    files = [root] if root.is_file() else _images(root)
    method = root.parent.resolve().name if root.is_file() else root.resolve().name
    return [FoundSequence(path.stem, method, (path,), strip) for path in files] if strip else []


def _films(root: Path, strip: int) -> list[FoundSequence]:
    if root.is_file():
        film = root.suffix.lower() in FILM_SUFFIXES
        return [FoundSequence(root.stem, root.parent.resolve().name, (root,))] if film else []
    method = root.resolve().name
    films = sorted(path for path in root.rglob("*") if path.is_file() and path.suffix.lower() in FILM_SUFFIXES)
    return [
        FoundSequence("/".join((*path.relative_to(root).parts[:-1], path.stem)), method, (path,))
        for path in films
        if not any(part.startswith(".") for part in path.relative_to(root).parts)
    ]


def _leaves(root: Path) -> list[tuple[tuple[str, ...], Path]]:
    """Folders of three images or more below `root`, by the parts of their names, a last `frames` left out."""
    if not root.is_dir():
        return []
    folders = [path for path in sorted(root.rglob("*")) if path.is_dir()]
    hidden = [path for path in folders if any(part.startswith(".") for part in path.relative_to(root).parts)]
    return [
        (path.relative_to(root).parts, path)
        for path in folders
        if path not in hidden and len(_images(path)) >= LEAST_FRAMES
    ]


def _frames(root: Path, strip: int) -> list[FoundSequence]:
    images = _images(root) if root.is_dir() else []
    here = root.resolve()
    ends = {pair for pair in ("_0", "_1") if any(path.stem.endswith(pair) for path in images)}
    halves = len(ends) == 2 and all(path.stem[-2:] in ends for path in images)  # pairs that are to be drawn
    return (
        [FoundSequence(here.name, here.parent.name, tuple(images))]
        if len(images) >= LEAST_FRAMES and not halves
        else []
    )


def _methods(root: Path, strip: int) -> list[FoundSequence]:
    leaves = _leaves(root)
    if not leaves or any(len(parts) != 2 or parts[-1] == "frames" for parts, _ in leaves):
        return []
    return [FoundSequence(parts[0], parts[1], tuple(_images(path))) for parts, path in leaves]


def _subsets(root: Path, strip: int) -> list[FoundSequence]:
    named = [(parts[:-1] if parts[-1] == "frames" else parts, path) for parts, path in _leaves(root)]
    if not named or any(len(parts) < 2 for parts, _ in named):
        return []
    return [FoundSequence("/".join(parts), root.resolve().name, tuple(_images(path))) for parts, path in named]


def _names(root: Path, strip: int) -> list[FoundSequence]:
    named = [(parts[:-1] if parts[-1] == "frames" else parts, path) for parts, path in _leaves(root)]
    return [FoundSequence("/".join(parts), root.resolve().name, tuple(_images(path))) for parts, path in named if parts]


def _looked_at(root: Path) -> str:
    """What lies at a place, in a few words: kinds of files and how many."""
    if root.is_file():
        return f"the file {root.name}"
    kinds = dict[str, int]()
    for path in root.rglob("*"):
        if path.is_file():
            kinds[path.suffix.lower() or "no suffix"] = kinds.get(path.suffix.lower() or "no suffix", 0) + 1
    told = [f"{count} x {kind}" for kind, count in sorted(kinds.items(), key=lambda each: -each[1])[:5]]
    folders = sum(path.is_dir() for path in root.rglob("*"))
    return f"{folders} folder{'' if folders == 1 else 's'}, {', '.join(told) or 'no files'}"
