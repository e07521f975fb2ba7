"""A verb as a Python function: its options stand in its signature, and its progress is shown where somebody looks."""

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from geodesic_cli.runs.observer import Observer
from geodesic_cli.runs.progress import watched_from_python
from geodesic_cli.settings.signature import options_in_words, signature_of

Given = ParamSpec("Given")
Made = TypeVar("Made")


def called_from_python(record: Any, **annotations: Any) -> Callable[[Callable[Given, Made]], Callable[Given, Made]]:
    """Make a function of `observer` and `**options` one that names its options, and shows its progress.

    Args:
        record: the class of its settings, from which the options are.
        annotations: of options that take more from Python than from the command line.
    """

    def of(function: Callable[Given, Made]) -> Callable[Given, Made]:
        @wraps(function)
        def call(*given: Any, observer: Observer | None = None, progress: bool | None = None, **options: Any) -> Any:
            with watched_from_python(observer, progress) as watch:
                made: Any = function
                return made(*given, observer=watch, **options)

        shown: Any = call
        shown.__signature__ = signature_of(function, record, annotations)
        shown.__doc__ = f"{(function.__doc__ or '').rstrip()}\n{options_in_words(function, record)}\n"
        return shown

    return of
