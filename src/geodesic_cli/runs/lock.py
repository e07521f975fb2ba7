"""Who writes in a folder: one run at a time, and what a killed one left behind.

The lock is a small file that names the process, and that the process holds by a lock of the operating system. That one
ends with the process, however it ends. So whether a file that is there still counts is not judged from what it says,
which may be half written or of a process long gone: who is given the system's lock holds the folder, and nobody else.
Where a file system has no such locks, and between machines, the words in the file decide.
"""

import json
import os
import platform
import re
import sys
import weakref
from contextlib import suppress
from pathlib import Path
from typing import Self
from weakref import WeakValueDictionary

from geodesic_cli import media
from geodesic_cli.errors import OutputError

LOCK = ".geodesic.lock"
LEFT_BEHIND = re.compile(r"\..+\.([0-9]+)\.tmp")
"""The temporary files of `media.replacing`, with the number of the process that wrote them."""


TURNS = 100
"""At taking a lock while others take theirs and give them back."""
LONGEST = 10_000
"""Bytes of a lock that are read."""


class Lock:
    """The lock of a folder, held by this process until it is released or nobody knows of it any more.

    Args:
        path: of the file.
        descriptor: of the file, which is open as long as the lock is held.
    """

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._close = weakref.finalize(self, os.close, descriptor)

    @classmethod
    def take(cls, folder: Path) -> Self:
        """Lock a folder that is there.

        Raises:
            OutputError: another run that is alive writes there, or the folder cannot be written to.
        """
        path = folder / LOCK
        earlier = _HELD.pop(folder.resolve(), None)
        if earlier is not None:  # of a run of this very process that was given up without an end
            earlier._close()
        for _ in range(TURNS):
            file = _opened(folder, path)
            try:
                if not _held(file):
                    raise _another_run(folder, file)
                if not _is_at(file, path):  # given back and removed between opening and holding it
                    os.close(file)
                    continue
                _refuse_if_alive(folder, path, file)
                _write(folder, file)
            except BaseException:
                os.close(file)
                raise
            lock = cls(path, file)
            _HELD[folder.resolve()] = lock
            return lock
        raise _another_run(folder, None)

    def release(self) -> None:
        """Give the folder back."""
        if self._close.alive:
            with suppress(OSError):
                self.path.unlink(missing_ok=True)
            self._close()  # only now that nobody can find it


_HELD: WeakValueDictionary[Path, Lock] = WeakValueDictionary()
"""The locks of this process."""


def _opened(folder: Path, path: Path) -> int:
    """The file, made if need be, and not by way of a link."""
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o644)
    except OSError as error:
        if path.is_symlink():
            raise OutputError(
                f"{path} leads out of the folder of the run through a link.", "Remove it, or pass another --out."
            ) from error
        raise media.cannot_write(folder, error) from error


def _held(file: int) -> bool:
    """Whether this process holds the file now; nobody else does then."""
    if sys.platform == "win32":
        return True
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return True
    return True


def _is_at(file: int, path: Path) -> bool:
    """Whether an open file is the one of that name."""
    try:
        return os.path.samestat(os.fstat(file), path.lstat())
    except OSError:
        return False


def _write(folder: Path, file: int) -> None:
    """Name this process in the file."""
    try:
        os.ftruncate(file, 0)
        os.lseek(file, 0, os.SEEK_SET)
        os.write(file, json.dumps(_this_process()).encode())
    except OSError as error:
        raise media.cannot_write(folder, error) from error


def _holder(file: int) -> tuple[int, float, str] | None:
    """Process, when it began, and machine, as the file says; None where it says nothing that can be read."""
    try:
        os.lseek(file, 0, os.SEEK_SET)
        holder = json.loads(os.read(file, LONGEST))
        return int(holder["process"]), float(holder["begun"]), str(holder["machine"])
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None


def _another_run(folder: Path, file: int | None) -> OutputError:
    holder = None if file is None else _holder(file)
    if holder is None:
        return OutputError(f"Another run has just begun to write in {folder}.", "Wait for it, or pass another --out.")
    return OutputError(
        f"Another run writes in {folder}: process {holder[0]}.", "Wait for it, stop it, or pass another --out."
    )


def _this_process() -> dict[str, object]:
    return {"process": os.getpid(), "begun": _begun(os.getpid()), "machine": platform.node()}


def _begun(process: int) -> float | None:
    """When a process of this machine began, seconds; None where there is none of that number."""
    import psutil

    with suppress(psutil.Error):
        return float(psutil.Process(process).create_time())
    return None


def _refuse_if_alive(folder: Path, path: Path, file: int) -> None:
    """Where the system's lock says nothing: on another machine, and where there are none."""
    holder = _holder(file)
    if holder is None:
        return  # new, or of a process that was stopped before it had written its name
    process, begun, machine = holder
    if machine != platform.node():
        raise OutputError(
            f"A run on the machine {machine} writes in {folder}.",
            f"Wait for it or pass another --out. If that run has ended, remove {path}.",
        )
    alive = _begun(process)
    if process != os.getpid() and alive is not None and abs(alive - begun) < 1:
        raise _another_run(folder, file)


def sweep(folder: Path) -> None:
    """Remove the temporary files that runs left below a folder when they were killed."""
    for path in folder.rglob(".*.tmp"):
        match = LEFT_BEHIND.fullmatch(path.name)
        if match and _begun(int(match[1])) is None and path.is_file() and not path.is_symlink():
            path.unlink(missing_ok=True)
