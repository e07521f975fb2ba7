"""What checks the annotations of geometry and distortion while the tests run: see addopts in pyproject.toml.

A check takes 25 microseconds and geometry calls small functions often: with every call checked its tests took four
times as long. So the first call of each function in each test is checked (`fresh` says that a test begins).
"""

import functools
from collections.abc import Callable
from typing import Any

import jaxtyping
from beartype import BeartypeConf, beartype

checked = beartype(conf=BeartypeConf(is_pep484_tower=True))  # 1 is a float, as for mypy
_every_call = jaxtyping.jaxtyped
_test = 0


def fresh() -> None:
    """A test begins."""
    global _test
    _test += 1


def first_calls(*, typechecker: Any) -> Callable[[Any], Any]:
    """In the place of `jaxtyping.jaxtyped`, which the import hook applies to every function and dataclass."""

    def decorate(thing: Any) -> Any:
        name = thing.__name__
        if "<locals>" in thing.__qualname__ or (name.startswith("_") and not name.endswith("__")):
            return thing  # private, or made anew at every call of the function around it
        if not isinstance(thing, type):
            return _sparing(_every_call(thing, typechecker=typechecker), thing)
        plain = thing.__init__
        thing = _every_call(thing, typechecker=typechecker)
        if thing.__init__ is not plain:
            thing.__init__ = _sparing(thing.__init__, plain)
        return thing

    return decorate


def _sparing(careful: Any, plain: Any) -> Any:
    if not callable(careful) or careful is plain:
        return careful
    test = calls = 0

    @functools.wraps(plain)
    def call(*args: Any, **named: Any) -> Any:
        nonlocal test, calls
        if test != _test:
            test, calls = _test, 0
        calls += 1
        return careful(*args, **named) if calls == 1 else plain(*args, **named)

    return call


jaxtyping.jaxtyped = first_calls
