"""Environment variables that look as if they set an option, and set none: each is named once."""

import os
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any

PREFIX = "GEODESIC_"


def unread(app: Any, environment: Mapping[str, str] = os.environ) -> list[str]:
    """A sentence for each variable that no option reads.

    Args:
        app: the group of all commands.
        environment: the variables.
    """
    found = sorted(name for name in environment if name.startswith(PREFIX))
    if not found:
        return []
    known = dict(_known(app))
    told = []
    for name in found:
        if name not in known:
            some = [one.removeprefix(PREFIX) for one, read in known.items() if read]  # which all begin alike
            near = get_close_matches(name.removeprefix(PREFIX), some, n=1)
            words = f"Did you mean {PREFIX}{near[0]}?" if near else ""
            told.append(f"The variable {name} sets no option. {words}".rstrip())
        elif not known[name]:
            told.append(f"The variable {name} is not read: that option has none. Pass it on the command line.")
    return told


def _known(group: Any) -> Iterator[tuple[str, bool]]:
    """The variables of all options, and whether they are read."""
    for command in group.commands.values():
        if hasattr(command, "commands"):
            yield from _known(command)
        prefix = command.context_settings.get("auto_envvar_prefix")
        for param in command.params if prefix else ():
            read = getattr(param, "allow_from_autoenv", False) or bool(param.envvar)
            yield f"{prefix}_{param.name}".upper(), bool(read)
