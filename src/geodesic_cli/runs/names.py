"""What the folder of a run is called where none was asked for."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from geodesic_cli import media
from geodesic_cli.errors import OutputError


def first_free(name: str) -> str:
    """The first of NAME, NAME-2, NAME-3, ... that does not exist."""
    count = 1
    while Path(name if count == 1 else f"{name}-{count}").exists():
        count += 1
    return name if count == 1 else f"{name}-{count}"


@contextmanager
def claimed(name: str) -> Iterator[str]:
    """The first of NAME, NAME-2, ... that does not exist, made, so that no other run takes it.

    It is removed again where the run is refused before it has written anything.

    Raises:
        OutputError: it cannot be made.
    """
    while True:
        folder = first_free(name)
        try:
            Path(folder).mkdir(parents=True)
            break
        except FileExistsError:  # by another run in this very moment
            if not Path(folder).exists():  # a file where a folder is needed
                raise OutputError(f"No folder can be made at {folder}.", "Pass another --out.") from None
        except OSError as error:
            raise media.cannot_write(Path(folder), error) from error
    try:
        yield folder
    except BaseException:
        with suppress(OSError):
            Path(folder).rmdir()  # only where it is empty
        raise
