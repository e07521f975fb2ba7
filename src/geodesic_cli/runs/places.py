"""Where the cache is, and how large; standard library only."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Stored:
    """One kind of what is kept.

    Args:
        kind: the name of its folder.
        files: how many.
        bytes: of all of them.
    """

    kind: str
    files: int
    bytes: int


def cache_folder(kind: str) -> Path | None:
    """`geodesic/KIND` in $XDG_CACHE_HOME, or in ~/.cache where that is not set to an absolute path.

    None where there is no home: then nothing is kept.
    """
    base = cache_root()
    return None if base is None else base / kind


def cache_root() -> Path | None:
    """The folder of everything that is kept; None where there is no home."""
    given = Path(os.environ.get("XDG_CACHE_HOME", ""))
    try:
        base = given if given.is_absolute() else Path.home() / ".cache"
    except RuntimeError:  # a user without a home
        return None
    return base / "geodesic"


def stored_in(root: Path) -> list[Stored]:
    """What lies in the cache, by kind."""
    kinds = sorted(path for path in root.iterdir() if path.is_dir()) if root.is_dir() else []
    found = []
    for kind in kinds:
        sizes = [path.stat().st_size for path in kind.rglob("*") if path.is_file()]
        found.append(Stored(kind.name, len(sizes), sum(sizes)))
    return found


def clear(root: Path) -> list[Stored]:
    """Remove what lies in the cache, and nothing that a link there leads to. Returns what was removed.

    Runs that are under way make anew what they miss.
    """
    before = [one for one in stored_in(root) if not (root / one.kind).is_symlink()]
    for one in before:
        shutil.rmtree(root / one.kind, ignore_errors=True)
    left = {one.kind: one for one in stored_in(root)}
    return [
        Stored(one.kind, one.files - left[one.kind].files, one.bytes - left[one.kind].bytes)
        if one.kind in left
        else one
        for one in before
    ]
