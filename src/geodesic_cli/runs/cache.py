"""The cache below the user's home: results that are the same for everybody who asks for the same thing.

A file is named by what decides its content, and holds a digest of it. What does not fit its digest is made anew.
A cache that cannot be written is no reason to fail.
"""

import hashlib
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from torch import Tensor

from geodesic_cli.errors import OutputError
from geodesic_cli.runs.tensors import DAMAGED, read_tensors, write_tensors

_TOLD: set[Path] = set()
"""Folders that could not be written, of which the user was told."""


def told_cache(folder: Path | None, warn: Callable[[str], None]) -> Path | None:
    """The folder, after a warning, once in a process, if nothing can be written there."""
    if folder is None or folder in _TOLD:
        return folder
    probe = folder / f".probe.{os.getpid()}.tmp"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        _TOLD.add(folder)
        warn(
            f"The cache {folder} cannot be written ({error.strerror or error}): what can be reused will be computed "
            "again each time. XDG_CACHE_HOME sets another place."
        )
    return folder


def remembered_tensors(path: Path | None) -> dict[str, Tensor] | None:
    """The tensors of a file of the cache; None where there is no such file, or it is damaged or was changed."""
    if path is not None:
        with suppress(*DAMAGED):
            tensors, about = read_tensors(path)
            if about.get("digest") == _digest(tensors):
                return tensors
    return None


def remember_tensors(path: Path | None, tensors: Mapping[str, Tensor]) -> None:
    """Write a file of the cache if that can be done."""
    if path is not None:
        with suppress(OSError, OutputError):
            path.parent.mkdir(parents=True, exist_ok=True)
            write_tensors(path, tensors, {"digest": _digest(tensors)})


def _digest(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 of names, shapes, kinds and values."""
    found = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        found.update(f"{name} {tuple(tensor.shape)} {tensor.dtype} ".encode())
        found.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return found.hexdigest()


def kept(folder: Path | None, name: str, make: Callable[[], Tensor]) -> Tensor:
    """The tensor of that name, read if it is there and whole, otherwise made and written.

    Args:
        folder: where; None keeps nothing.
        name: of the file, without its ending; it should name all that decides the content.
        make: makes it.
    """
    path = None if folder is None else folder / f"{name}.safetensors"
    found = remembered_tensors(path) or {}
    if "it" in found:
        return found["it"]
    made = make().contiguous()
    remember_tensors(path, {"it": made})
    return made
