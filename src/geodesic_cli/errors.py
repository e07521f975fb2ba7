"""Errors that a user can act on: what was needed, what was found, what to do."""

import unicodedata

TURNING = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
"""Marks that turn the direction of writing: with them a name can look like another one."""


def escaped(text: str) -> str:
    r"""A text with names and captions from elsewhere, as a terminal may show it.

    Characters that move the cursor, end the line or turn the direction of writing stand there as escapes such as
    `\x1b`, and so do bytes of a file name that are no text.
    """
    return "".join(_escaped(letter) if letter in TURNING or _is_control(letter) else letter for letter in text)


def _is_control(letter: str) -> bool:
    return not letter.isprintable() and unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp")


def _escaped(letter: str) -> str:
    return letter.encode("unicode_escape", "surrogatepass").decode("ascii")


class GeodesicError(Exception):
    """A failure that the user can mend. The command line turns it into one sentence and exit code 1.

    Args:
        message: what was needed and what was found, as a sentence.
        hint: what to do about it, as a sentence. It is part of ``str(error)``.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        self.message, self.hint = escaped(message), escaped(hint)
        super().__init__(f"{self.message} {self.hint}".strip())


def first_line(reason: Exception) -> str:
    """What another library says, for the brackets of a sentence: its first line, or the kind of the error."""
    return (str(reason).strip().splitlines() or [type(reason).__name__])[0].rstrip(".")


def not_permitted(error: PermissionError) -> GeodesicError:
    """The sentence for a file or folder that the system keeps from this user, wherever that was met."""
    what = "A file that is needed" if error.filename is None else str(error.filename)
    return GeodesicError(
        f"{what} may not be used by you ({error.strerror or error}).",
        "Change its permissions, or those of the folders above it, or choose another place.",
    )


class InputError(GeodesicError):
    """An image, a clip or an option that cannot be used."""


class ModelError(GeodesicError):
    """A model that is missing, incomplete or of a kind that is not supported."""


class OutputError(GeodesicError):
    """A place that cannot be written to, or whose contents would be lost."""


class GeometryError(GeodesicError):
    """Boundary data without an answer: endpoints off the space, shapes that do not fit, values that are not finite."""
