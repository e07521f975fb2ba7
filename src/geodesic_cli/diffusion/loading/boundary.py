"""The boundary around the files of models: whatever the libraries that read them throw becomes a sentence.

Tokenizers throw bare exceptions, safetensors has errors of its own, dataclasses refuse values with TypeError, a damaged
name leads to a missing import, and a number too large ends in the allocator. None of this is a bug of ours to be shown
with a traceback, and all of it says the same: the file is damaged, or of another kind.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch

from geodesic_cli.errors import GeodesicError, ModelError, first_line

MOST_LETTERS = 200
"""Letters that are shown of what another library says."""
PANIC = "PanicException"
"""What libraries written in Rust throw; it is not an `Exception`."""
NO_ROOM = ("can't allocate", "cannot allocate", "not enough memory", "out of memory", "bad_alloc")
"""What allocators say."""
NOT_IMPORTED = "Failed to import"
"""How diffusers and transformers begin when another library is the cause."""
CODE = {
    "quantization_config": (),
    "auto_map": (),
    "attn_implementation": ("eager", "sdpa"),
    "_attn_implementation": ("eager", "sdpa"),
    "_attn_implementation_internal": ("eager", "sdpa"),
    "experts_implementation": (),
    "use_kernels": (False,),
}
"""Keys of a configuration that reach a loader of code or of packed weights -> values that do not."""
MOST_OF_A_NUMBER = 2**20
"""Of a number in a configuration, which counts channels, layers, words or steps."""
DEEPEST = 1000
"""Layers of one kind."""
OF_DEPTH = ("layers", "blocks", "depth")
"""In the names of numbers that say how many layers there are."""


@contextmanager
def reading(sentence: str, advice: str = "Its files may be cut short or damaged: fetch them again.") -> Iterator[None]:
    """Turn what goes wrong in the block into one sentence.

    Args:
        sentence: what could not be read, with the name of the file or folder, without its stop.
        advice: what to do.

    Raises:
        ModelError: something went wrong; our own errors pass as they are.
    """
    try:
        yield
    except GeodesicError:
        raise
    except BaseException as reason:
        if not isinstance(reason, Exception) and type(reason).__name__ != PANIC:
            raise  # the user has pressed Ctrl-C
        said = _said(reason)
        if isinstance(reason, MemoryError | torch.OutOfMemoryError) or any(word in said.lower() for word in NO_ROOM):
            raise ModelError(
                f"{sentence}: it takes more memory than there is ({said}).",
                "Check the numbers of its configuration; if they are right, pass --dtype bf16 or a smaller model.",
            ) from reason
        if said.startswith(NOT_IMPORTED):
            first = _said(_first_cause(reason))
            raise ModelError(
                f"{sentence}, because a library that is installed here cannot be imported ({first}).",
                "Install geodesic-cli in a fresh virtual environment. `geodesic check` says which versions are here.",
            ) from reason
        raise ModelError(f"{sentence} ({said}).", advice) from reason


def _first_cause(reason: BaseException) -> BaseException:
    """What went wrong first, of which all others are the consequence."""
    while reason.__cause__ is not None:
        reason = reason.__cause__
    return reason


def _said(reason: BaseException) -> str:
    """What another library says, on one line, cut where it is long."""
    said = first_line(reason) if isinstance(reason, Exception) else str(reason)
    return said if len(said) <= MOST_LETTERS else f"{said[:MOST_LETTERS]}..."


def require_plain(config: Mapping[str, Any], place: str, name: str) -> None:
    """Refuse a configuration that makes the libraries load code, or weights that are packed, from elsewhere.

    Raises:
        ModelError: it does.
    """
    for key, plain in CODE.items():
        if config.get(key) not in (*plain, None, {}, ""):
            raise ModelError(
                f"The model {name} is of a kind that is not supported: {place} asks for {key} = {config[key]!r:.60}, "
                "which loads other code or packed weights.",
                "Pass the same model in plain fp16, bf16 or fp32 weights.",
            )
    for value in config.values():
        if isinstance(value, Mapping):
            require_plain(value, place, name)


def require_modest(config: Mapping[str, Any], place: str, name: str) -> None:
    """Refuse a configuration whose numbers no model has, before anything is built of them.

    Raises:
        ModelError: a number is negative beyond -1, not finite, or too large.
    """
    for key, value in _numbers("", config):
        most = DEEPEST if any(word in key for word in OF_DEPTH) else MOST_OF_A_NUMBER
        if not -MOST_OF_A_NUMBER <= value <= most:
            raise ModelError(
                f"The model {name} cannot be built: {place} says {key} = {value!r:.40}, and {most} is the most.",
                "Fetch its configuration again.",
            )


def _numbers(key: str, value: Any) -> Iterator[tuple[str, float]]:
    """The numbers in a configuration, each with its key; those of truth values are none."""
    if isinstance(value, Mapping):
        for inner, item in value.items():
            yield from _numbers(str(inner), item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _numbers(key, item)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield key, value
