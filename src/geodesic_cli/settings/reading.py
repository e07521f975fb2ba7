"""Settings from a config file and from the keyword arguments of a function."""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, TypeVar, get_type_hints

from geodesic_cli.errors import InputError

Kind = TypeVar("Kind")
"""The settings of one verb."""


def from_mapping(kind: type[Kind], values: Mapping[str, Any]) -> Kind:
    """The settings of a verb, given their class, from a mapping such as a parsed config file.

    Raises:
        InputError: a key that no option has, with the nearest one that exists; a value of the wrong kind.
    """
    types = get_type_hints(kind)
    for key in values:
        if key not in types:
            near = get_close_matches(key, types, n=1)
            raise InputError(
                f"There is no setting {key!r}.",
                f"Did you mean {near[0]!r}?" if near else f"The settings are {', '.join(sorted(types))}.",
            )
    return kind(**{key: _converted(key, types[key], value) for key, value in values.items()})


def from_options(kind: type[Kind], verb: str, options: Mapping[str, Any], fixed: Mapping[str, Any]) -> Kind:
    """The settings of a verb called as a function: what it was given under ``options``, and what is ``fixed``.

    A setting that is a list of texts takes one text too, and None for none.

    Raises:
        InputError: an option that the function does not have.
    """
    hints = get_type_hints(kind)
    free = set(hints) - {"out", "resume", "overwrite"} - set(fixed)
    unknown = sorted(set(options) - free)
    if unknown:
        raise InputError(f"{verb}() has no option {unknown[0]!r}.", f"Its options are {', '.join(sorted(free))}.")
    given = {key: _texts(value) if hints[key] == tuple[str, ...] else value for key, value in options.items()}
    return kind(**given, **fixed)


def _texts(value: Any) -> Any:
    """A list of texts, however many there are: None, one text, or several."""
    return (value,) if isinstance(value, str) else tuple(value or ())


def _converted(key: str, kind: Any, value: Any) -> Any:
    """A value of a config file as its field holds it: one text is a list of one, a whole number is a number."""
    if kind == tuple[str, ...]:
        texts = (value,) if isinstance(value, str) else value
        if isinstance(texts, list | tuple) and all(isinstance(text, str) for text in texts):
            return tuple(texts)
    elif isinstance(value, bool) == (kind is bool):
        if isinstance(value, kind):
            return value
        if isinstance(value, int) and kind in (float, float | None):
            return float(value)
    words = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}
    wanted = next((text for plain, text in words.items() if plain == kind or kind == (plain | None)), "a list of texts")
    raise InputError(f"The setting {key} is {wanted}; got {value!r}.")
