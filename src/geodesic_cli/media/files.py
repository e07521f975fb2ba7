"""Files that appear whole or not at all: a temporary file in the same folder takes the place of the old one."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from os import getpid
from pathlib import Path

from geodesic_cli.errors import OutputError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary place beside `path` whose file takes the place of `path` if the block ends well."""
    temporary = path.with_name(f".{path.name}.{getpid()}.tmp")
    try:
        yield temporary
        temporary.replace(path)
    except OSError as error:
        raise cannot_write(path, error) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def cannot_write(path: Path, error: OSError) -> OutputError:
    """The sentence for a place that the system does not let us write to."""
    hint = {
        errno.ENOSPC: "Free some space or choose another place.",
        errno.EDQUOT: "Free some space or choose another place.",
        errno.EACCES: "Choose a place that you may write to.",
        errno.EPERM: "Choose a place that you may write to.",
        errno.EROFS: "Choose a place that you may write to.",
    }.get(error.errno or 0, "Choose another place.")
    return OutputError(f"{path} cannot be written ({error.strerror or error}).", hint)
