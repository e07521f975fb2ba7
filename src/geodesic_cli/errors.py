"""Errors that a user can act on: what was needed, what was found, what to do."""


class GeodesicError(Exception):
    """A failure that the user can mend. The command line turns it into one sentence and exit code 1.

    Args:
        message: what was needed and what was found, as a sentence.
        hint: what to do about it, as a sentence. It is part of ``str(error)``.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(f"{message} {hint}".strip())
        self.message = message
        self.hint = hint


def first_line(reason: Exception) -> str:
    """What another library says, for the brackets of a sentence: its first line, or the kind of the error."""
    return (str(reason).strip().splitlines() or [type(reason).__name__])[0].rstrip(".")


class InputError(GeodesicError):
    """An image, a clip or an option that cannot be used."""


class ModelError(GeodesicError):
    """A model that is missing, incomplete or of a kind that is not supported."""


class OutputError(GeodesicError):
    """A place that cannot be written to, or whose contents would be lost."""


class GeometryError(GeodesicError):
    """Boundary data without an answer: endpoints off the space, shapes that do not fit, values that are not finite."""
