"""Files: written whole or not at all (a temporary file takes the place of the old one); texts of any system read."""

import codecs
import csv
import errno
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path

from geodesic_cli.errors import OutputError
from geodesic_cli.filing import written_whole

MOST_TEXT = 2**27
"""Bytes of a text, at most."""
BETWEEN = (",", ";", "\t")
"""What stands between the columns of a table."""
MARKS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32-le",  # before UTF-16, whose mark it begins with
    codecs.BOM_UTF32_BE: "utf-32-be",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}
"""The first bytes by which Windows says how a text is written."""


def read_text(path: Path) -> str:
    r"""A text in UTF-8, or in what its byte order mark says; lines end in \n, whatever they end in there.

    Raises:
        OSError: the file cannot be read, or is larger than `MOST_TEXT`.
        UnicodeDecodeError: it is no such text.
    """
    with path.open("rb") as file:
        data = file.read(MOST_TEXT + 1)
    if len(data) > MOST_TEXT:  # some files, such as /dev/zero, have no end
        raise OSError(errno.EFBIG, f"it has more than {MOST_TEXT >> 20} MB")
    mark = next((mark for mark in MARKS if data.startswith(mark)), b"")
    if mark:
        text = data[len(mark) :].decode(MARKS[mark])
    elif data[:4:2].count(0) == 0 and data[1:4:2] == b"\0\0":  # UTF-16 without a mark: every second byte is nought
        text = data.decode("utf-16-le")
    elif data[1:4:2].count(0) == 0 and data[:4:2] == b"\0\0":
        text = data.decode("utf-16-be")
    else:
        text = data.decode("utf-8")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read_table(path: Path) -> tuple[list[str], list[dict[str, str]]]:
    """The names of the columns, from the first line, and the rows, of a table with commas, semicolons or tabs.

    Which of these it is, the first line says: that of them which it has most of. Names of columns and what stands in
    them lose the blanks around them; columns without a name are left out, and what a short row lacks is empty.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is no such text.
    """
    text = read_text(path)
    head = text.lstrip("\n").partition("\n")[0]
    between = max(BETWEEN, key=head.count)
    try:
        names, *rows = csv.reader(StringIO(text.lstrip("\n")), delimiter=between, skipinitialspace=True, strict=True)
    except csv.Error as error:
        raise ValueError(str(error)) from error
    except ValueError:
        return [], []
    columns = [(k, name.strip()) for k, name in enumerate(names) if name.strip()]
    filled = [{name: row[k].strip() if k < len(row) else "" for k, name in columns} for row in rows if any(row)]
    return [name for _, name in columns], filled


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary place beside `path` whose file takes the place of `path` if the block ends well.

    Whichever library writes it, it has the permissions of any file that the user makes.
    """
    try:
        with written_whole(path) as temporary:
            yield temporary
    except OSError as error:
        raise cannot_write(path, error) from error


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
