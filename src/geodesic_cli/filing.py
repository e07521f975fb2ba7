"""Files that other programs write or read: what this program promises of the first, and expects of the second.

What is written by another library has the same bytes for the same content, and the permissions of any file that the
user makes. JSON that comes from elsewhere may be nested too deep, or have no end. Standard library only, so that every
room may use it.
"""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from os import fstat, getpid
from pathlib import Path
from stat import S_IMODE
from typing import Any

MOST_JSON = 2**26
"""Bytes of a JSON file, at most: a tokenizer's words take a few million."""


def fresh(path: Path) -> int:
    """Make a new, empty file; its permissions. What lay there was left by a dead process, or is a trap: it goes.

    Raises:
        OSError: nothing can be written there.
    """
    path.unlink(missing_ok=True)
    with path.open("xb") as file:
        return S_IMODE(fstat(file.fileno()).st_mode)


def permit(path: Path, mode: int) -> None:
    """Give a file these permissions: the library of safetensors writes files that are the owner's alone."""
    with suppress(OSError):  # a file system without permissions
        if S_IMODE(path.stat().st_mode) != mode:
            path.chmod(mode)


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """A new file beside `path` that takes the place of `path` if the block ends well, and is gone if it does not.

    Whichever library writes it, it has the permissions of any file that the user makes.

    Raises:
        OSError: nothing can be written there.
    """
    temporary = path.with_name(f".{path.name}.{getpid()}.tmp")
    try:
        mode = fresh(temporary)
        yield temporary
        permit(temporary, mode)
        temporary.replace(path)
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def digest_of_file(path: Path) -> str:
    """The SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sort_header(path: Path) -> None:
    """Sort the names in the header of a safetensors file: the library writes its text in random order."""
    with path.open("r+b") as file:
        room = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(room))
        text = json.dumps(header, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
        if len(text) <= room:  # spaces may follow the header, so the tensors stay where they are
            file.seek(8)
            file.write(text.ljust(room))


def parsed_json(text: str | bytes) -> Any:
    """The value of a text in JSON.

    Raises:
        ValueError: it is none, or nested deeper than can be read.
    """
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error


def read_object(path: Path) -> dict[str, Any]:
    """The object in a JSON file, with a byte order mark or without.

    Raises:
        OSError: the file cannot be read.
        ValueError: it holds no object, or is larger than `MOST_JSON`; the message names the file.
    """
    with path.open("rb") as file:
        data = file.read(MOST_JSON + 1)
    try:
        if len(data) > MOST_JSON:
            raise ValueError(f"it is larger than {MOST_JSON >> 20} MB")
        found = parsed_json(data.decode("utf-8-sig"))
        if not isinstance(found, dict):
            raise ValueError("it holds no JSON object")
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    return found
