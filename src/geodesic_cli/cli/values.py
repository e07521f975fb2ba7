"""Values that an option's word may have, or lack, beyond what click reads: `--compare` alone, and lists of numbers."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from geodesic_cli.errors import InputError

SWEEP = "--sweep"
"""The option, not shown, that gets the lists: `--sweep tau=0.2,0.4`."""


def with_values(words: Sequence[str], alone: Mapping[str, str], numeric: Collection[str]) -> list[str]:
    """The words of a command line as click reads them; all that follows a lone `--` is left as it is.

    Args:
        words: after the name of the command.
        alone: options that may have no value, and the value that they have then. A word that follows is their value
            unless it is an option, or looks like a file: what is there, or has a dot or a stroke in it.
        numeric: options of one number; where several are given with commas between, that is a sweep.

    Raises:
        InputError: an option has a list and is given again.
    """
    made: list[str] = []
    listed, single = set[str](), set[str]()
    place = 0
    while place < len(words):
        word = words[place]
        place += 1
        if word == "--":
            return [*made, *words[place - 1 :]]
        name, equals, value = word.partition("=")
        following = words[place] if place < len(words) else "-"
        if name in alone and not equals and (following.startswith("-") or _like_a_file(following)):
            made.append(f"{name}={alone[name]}")
        elif name in numeric and "," in (value if equals else following):
            place += not equals
            listed.add(name)
            made += [SWEEP, f"{name.removeprefix('--')}={value if equals else following}"]
        else:
            single |= {name} & set(numeric)
            made.append(word)
    for name in listed & single:
        raise InputError(f"{name} is given twice, once with a list of values.", "Leave one of them out.")
    return made


def _like_a_file(word: str) -> bool:
    return any(mark in word for mark in "./\\") or Path(word).exists()
