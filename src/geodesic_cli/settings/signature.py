"""The signature of a verb as a Python function: its own parameters, and its options, as the record has them.

`inspect.signature`, `help` and editors show what a user may pass; `.ci/stub.py` writes the same for type checkers.
"""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import MISSING, Field, fields
from textwrap import fill
from typing import Any, Literal, get_type_hints

from geodesic_cli.settings.option import OneOf, option_of

FOLDER_OPTIONS = ("out", "resume", "overwrite")
"""Options of the command line that mean nothing in memory."""


def signature_of(function: Callable[..., Any], record: Any, annotations: dict[str, Any]) -> inspect.Signature:
    """The signature of a function that takes the options of a record as keywords.

    Args:
        function: has parameters of its own, and `**options`.
        record: the class of its settings.
        annotations: of options that take more from Python than from the command line.
    """
    own = [each for each in inspect.signature(function).parameters.values() if each.kind is not each.VAR_KEYWORD]
    hints = get_type_hints(record)
    options = [
        _parameter(each, annotations.get(each.name, _annotation(each, hints[each.name])))
        for each in _options(function, record)
    ]
    progress = inspect.Parameter("progress", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=bool | None)
    needed = [each for each in options if each.default is inspect.Parameter.empty]
    rest = [each for each in options if each.default is not inspect.Parameter.empty]
    returned = inspect.signature(function).return_annotation
    return inspect.Signature([*own, progress, *needed, *rest], return_annotation=returned)


def options_in_words(function: Callable[..., Any], record: Any) -> str:
    """The options of a function for its docstring, each with its help."""
    lines = ["progress: show it; None does so in a notebook and on a terminal, False never."]
    lines += [f"{each.name}: {option_of(each).help}" for each in _options(function, record)]
    return "\n".join(fill(line, 112, initial_indent=" " * 8, subsequent_indent=" " * 12) for line in lines)


def _options(function: Callable[..., Any], record: Any) -> list[Field[Any]]:
    """The fields of a record that a function takes among its `**options`."""
    own = inspect.signature(function).parameters
    return [each for each in fields(record) if each.name not in (*FOLDER_OPTIONS, *own)]


def _parameter(field: Field[Any], annotation: Any) -> inspect.Parameter:
    default = inspect.Parameter.empty if field.default is MISSING else field.default
    return inspect.Parameter(field.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def _annotation(field: Field[Any], hint: Any) -> Any:
    check = option_of(field).check
    if hint == tuple[str, ...]:
        hint = str | Sequence[str]
    elif isinstance(check, OneOf):
        hint = Literal[check.allowed]
    return hint | None if field.default is None else hint
