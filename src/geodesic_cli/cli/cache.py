"""`geodesic cache`: where what can be reused is kept, how large it is, and how to be rid of it."""

import json
from collections.abc import Sequence
from typing import Any

import typer

from geodesic_cli.cli.command import AS_JSON, add, options_of
from geodesic_cli.cli.saying import say
from geodesic_cli.errors import OutputError
from geodesic_cli.runs.places import Stored, cache_root, stored_in
from geodesic_cli.runs.places import clear as removed_from
from geodesic_cli.runs.plain import aligned

ABOUT = {
    "pools": "samples of models, for the global search",
    "text": "text fitted to images, and captions read from them",
}
NOWHERE = "There is no home folder, so nothing is kept."
MODELS = "Models that were downloaded lie elsewhere; geodesic check says where."

cache = typer.Typer(invoke_without_command=True, rich_markup_mode=None)


@cache.callback()
def where(
    context: typer.Context,
    as_json: AS_JSON = False,
) -> None:
    """Show where results that can be reused are kept, and how large they are.

    \b
    Examples:
      geodesic cache
      geodesic cache clear

    The folder is geodesic/ in XDG_CACHE_HOME, or in ~/.cache. Nothing there is ever needed: what is missing is made
    again.
    """
    if context.invoked_subcommand is not None:
        return
    root = cache_root()
    found = [] if root is None else stored_in(root)
    if as_json:
        typer.echo(_json(root, found))
    elif root is None:
        say(NOWHERE)
    else:
        rows = [(one.kind, ABOUT.get(one.kind, ""), str(one.files), _size(one.bytes)) for one in found]
        table = aligned(("kind", "what it is", "files", "size"), rows, str.ljust) if rows else ["It is empty."]
        total = _size(sum(one.bytes for one in found))
        say("\n".join([f"{root}: {total}", *table, MODELS, *(["Empty it: geodesic cache clear"] if rows else [])]))


@options_of(None, config=False, as_json=AS_JSON)
def clear(options: dict[str, Any]) -> None:
    """Remove what is kept; it is made again when it is needed.

    \b
    Example:
      geodesic cache clear
    """
    root = cache_root()
    gone = [] if root is None else removed_from(root)
    if options["as_json"]:
        typer.echo(_json(root, gone))
    elif root is None:
        say(NOWHERE)
    else:
        count, size = sum(one.files for one in gone), sum(one.bytes for one in gone)
        left = sum(one.files for one in stored_in(root))
        if left and not count:
            raise OutputError(
                f"{left} file{'s' * (left != 1)} there could not be removed: {root}.", "Change the permissions there."
            )
        say(f"Removed {count} file{'s' * (count != 1)}, {_size(size)}, from {root}." if gone else f"{root} was empty.")


add(cache, clear, "GEODESIC_CACHE")


def _json(root: object, kinds: Sequence[Stored]) -> str:
    return json.dumps({"folder": None if root is None else str(root), "kinds": [vars(one) for one in kinds]}, indent=2)


def _size(size: int) -> str:
    for unit, step in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= step:
            return f"{size / step:.1f} {unit}"
    return f"{size} bytes"
