"""The commands of `geodesic` without their options, which take most of the time: for the help of the whole."""

import inspect
from typing import Any

import typer

from geodesic_cli.cli.root import root, verbs

outline = root()


def _nothing() -> None:
    pass


def _told(verb: Any) -> str | None:
    """What a verb says of itself; a group may leave that to what it does without a further word."""
    if not isinstance(verb, typer.Typer):
        return inspect.getdoc(verb)
    if isinstance(verb.info.help, str):
        return verb.info.help
    return None if verb.registered_callback is None else inspect.getdoc(verb.registered_callback.callback)


for name, verb in verbs():
    outline.command(name.replace("_", "-"), help=_told(verb))(_nothing)
