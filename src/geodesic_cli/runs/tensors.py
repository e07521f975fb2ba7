"""Tensors on disk: the one place that writes and reads safetensors for runs, caches and checkpoints.

A file appears whole or not at all, and the same tensors and text give the same bytes.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from geodesic_cli import media
from geodesic_cli.errors import OutputError
from geodesic_cli.filing import sort_header

DAMAGED = (OSError, SafetensorError)
"""What reading a file raises that is missing, cut short or of another format."""


def write_tensors(path: Path, tensors: Mapping[str, Tensor], about: Mapping[str, str] | None = None) -> None:
    """Write tensors and text by name; what was there before stays until the new file is whole.

    Raises:
        OutputError: it cannot be written, for example because the disk is full.
    """
    own, seen = dict[str, Tensor](), set[int]()
    for key, tensor in tensors.items():
        plain = tensor.detach().cpu().contiguous()
        place = plain.untyped_storage().data_ptr()
        own[key] = plain.clone() if place in seen else plain  # safetensors refuses tensors that share memory
        seen.add(place)
    with media.replacing(path) as part, telling(path):
        save_file(own, part, dict(about or {}))
        sort_header(part)


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors and the text that `write_tensors` wrote, on the CPU; one of `DAMAGED` where that cannot be had.

    They are copies: a part of a file may begin where no new tensor does in memory, and products of it differ in the
    last digit then, so that a run that goes on would not make the same bytes.
    """
    with safe_open(path, framework="pt") as file:
        return {key: file.get_tensor(key).clone() for key in file.keys()}, dict(file.metadata() or {})  # noqa: SIM118


def read_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """The shapes of the tensors of a file by name; quick whatever their size. It raises what `read_tensors` raises."""
    with safe_open(path, framework="pt") as file:
        return {key: tuple(file.get_slice(key).get_shape()) for key in file.keys()}  # noqa: SIM118


@contextmanager
def telling(place: Path) -> Iterator[None]:
    """What the library of the file format says of a full disk, as an error that tells what to do."""
    try:
        yield
    except DAMAGED as error:
        words = (error.strerror if isinstance(error, OSError) else None) or str(error)
        full = any(word in words.lower() for word in ("storagefull", "no space", "quota"))
        raise OutputError(
            f"{place} cannot be written ({'no space left on the device' if full else words}).",
            "Free some space or choose another place." if full else "Choose another place.",
        ) from error
