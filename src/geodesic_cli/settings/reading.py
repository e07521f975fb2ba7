"""Settings from a config file and from the keyword arguments of a function."""

from collections.abc import Mapping
from dataclasses import fields
from numbers import Integral, Real
from pathlib import PurePath
from typing import Any, cast, get_args, get_origin, get_type_hints

from geodesic_cli.errors import InputError
from geodesic_cli.settings.option import Kind, did_you_mean, option_of


def from_mapping(kind: type[Kind], values: Mapping[str, Any]) -> Kind:
    """The settings of a verb, given their class, from a mapping such as a parsed config file.

    Raises:
        InputError: a key that no option has, with the nearest one that exists; a value of the wrong kind.
    """
    types = get_type_hints(kind)
    for key in values:
        if key not in types:
            raise InputError(
                f"There is no setting {key!r}.",
                did_you_mean(key, types, f"The settings are {', '.join(sorted(types))}."),
            )
    return kind(**{key: _converted(key, types[key], value) for key, value in _read(kind, values).items()})


def from_options(kind: type[Kind], verb: str, options: Mapping[str, Any], fixed: Mapping[str, Any]) -> Kind:
    """The settings of a verb called as a function: what it was given under ``options``, and what is ``fixed``.

    A setting that is a list of texts takes one text too, and None for none.

    Raises:
        InputError: an option that the function does not have, or a value of the wrong type.
    """
    hints = get_type_hints(kind)
    free = set(hints) - {"out", "resume", "overwrite"} - set(fixed)
    unknown = sorted(set(options) - free)
    if unknown:
        raise InputError(f"{verb}() has no option {unknown[0]!r}.", f"Its options are {', '.join(sorted(free))}.")
    defaults = {each.name: each.default for each in fields(cast(Any, kind))}
    given = {key: _from_python(key, hints[key], value, defaults[key]) for key, value in _read(kind, options).items()}
    return kind(**given, **fixed)


def from_command_line(kind: type[Kind], options: Mapping[str, Any], **instead: Any) -> Kind:
    """The settings of a verb called from the shell: each field is the option of its name, or what stands ``instead``.

    Options that are no settings, such as --json, may be among them.

    Raises:
        InputError: numbers with commas between them that are none.
    """
    hints = get_type_hints(kind)
    given = {key: options[key] for key in hints if key not in instead}
    for each in fields(cast(Any, kind)):
        if option_of(each).commas:
            given[each.name] = _apart(each.name, hints[each.name], given[each.name])
    return kind(**_with_texts(given, hints), **instead)


def _read(kind: Any, values: Mapping[str, Any]) -> dict[str, Any]:
    """The values of options that may be given in several shapes in the one that is kept, and all others."""
    ways = {each.name: option_of(each).read for each in fields(kind)}
    return {key: value if (read := ways.get(key)) is None else read(value) for key, value in values.items()}


def _apart(name: str, kind: Any, text: str) -> tuple[Any, ...]:
    words = [word.strip() for word in text.split(",") if word.strip()]
    try:
        return tuple(map(kind.__args__[0], words))
    except ValueError:
        raise InputError(
            f"--{name} takes whole numbers with commas between; got {text!r}.", "1,4,16 is a good start."
        ) from None


def _with_texts(values: Mapping[str, Any], hints: Mapping[str, Any]) -> dict[str, Any]:
    """Values whose lists of texts are tuples; such a list may be given as None, one text, or several."""
    lists = {key: value for key, value in values.items() if hints[key] == tuple[str, ...]}
    made = {key: (value,) if isinstance(value, str) else tuple(value or ()) for key, value in lists.items()}
    return {**values, **made}


def _from_python(key: str, kind: Any, value: Any, default: Any) -> Any:
    """A value that a function was given as its field holds it: numbers of any library, paths, sequences of texts."""
    if kind == tuple[str, ...]:
        texts = () if value is None else (value,) if isinstance(value, str | PurePath) else value
        several = isinstance(texts, list | tuple)
        return _converted(
            key, kind, tuple(str(one) if isinstance(one, PurePath) else one for one in texts) if several else value
        )
    if get_origin(kind) is tuple:
        return value  # numbers with commas between them on the command line, which no function has
    if value is None and (default is None or type(None) in get_args(kind)):
        return None
    if isinstance(value, PurePath):
        value = str(value)
    elif isinstance(value, Integral) and not isinstance(value, bool):
        value = int(value)
    elif isinstance(value, Real) and not isinstance(value, bool):
        value = float(value)
    return _converted(key, kind, value)


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
