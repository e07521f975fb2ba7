"""One place of an option: its name, type, default, help, bounds and choices stand in the field of a frozen record.

The command line, the function's keywords, the environment variable, `config.toml` and the check all come from it:

    @record()
    class ShakeSettings(RunOptions):
        strength: float = opt(0.5, "How far to shake.", check=Between(0, 1, "0.5 is gentle."))
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import MISSING, Field, dataclass, field, fields
from difflib import get_close_matches
from functools import partial, wraps
from types import SimpleNamespace
from typing import Any, TypeVar, dataclass_transform

from geodesic_cli.errors import InputError

Kind = TypeVar("Kind")
"""A class of settings."""
FIELD_KEY = "option"
COMMON, MODEL, RUN = "Common options", "Model", "Run"
"""Groups of `--help` that every verb has: COMMON is shown first, MODEL and RUN last."""


@dataclass(frozen=True)
class Option:
    """What a field of a record says beside its name, type and default.

    Attributes:
        help: the one description, for `--help`.
        panel: the group of `--help` that it stands in.
        check: raises an InputError for a bad value, each one of several; it is given the name and the value.
        by: for a default that depends on other options: is given what was asked for, with the defaults of the fields
            before this one filled in, and returns what takes the place of None.
        argument: given by its place on the command line, not by its name.
        flags: its words on the command line, where they are not `--name`.
        metavar: stands for the value in `--help`.
        commas: several values in one word with commas between them.
        text: whether a value means nothing to a model without text.
        variable: an environment variable sets it, too; what may be given several times has none.
        alone: the value that its word has where no value follows it; None needs one.
        free: may be another when a run goes on: it says how far the run goes or how it is watched, and what is made
            already stays as it is.
        read: what may be given in several shapes to the one that is kept; raises an InputError.
    """

    help: str
    panel: str = COMMON
    check: Callable[[str, Any], object] | None = None
    by: Callable[[Any], Any] | None = None
    argument: bool = False
    flags: tuple[str, ...] = ()
    metavar: str | None = None
    commas: bool = False
    text: Callable[[Any], bool] | None = None
    variable: bool = True
    alone: str | None = None
    free: bool = False
    read: Callable[[Any], Any] | None = None


def opt(default: Any, help: str, panel: str = COMMON, check: Any = None, **more: Any) -> Any:
    """The field of an option; required where the default is `...`. See `Option` for the rest."""
    option = Option(help, panel, check, **more)
    return field(default=MISSING if default is ... else default, metadata={FIELD_KEY: option})


def choice_opt(default: str | None, among: tuple[str, ...], rest: str = ".", panel: str = COMMON, **more: Any) -> Any:
    """The field of an option that is one of some texts, with which its help begins."""
    return opt(default, f"One of {', '.join(among)}{rest}", panel, OneOf(among), **more)


def option_of(of: Field[Any]) -> Option:
    """What a field of a record says."""
    return of.metadata[FIELD_KEY]


def free_in(settings: Any) -> tuple[str, ...]:
    """The names of the settings of a record that may be others when a run goes on."""
    return tuple(each.name for each in fields(settings) if option_of(each).free)


@dataclass_transform(frozen_default=True, kw_only_default=True)
def record(**places: str) -> Callable[[type[Kind]], type[Kind]]:
    """Make a class a frozen dataclass of options, whose defaults may depend on other options.

    Its own fields stand before those that it inherits, as they do in `config.toml`.

    Args:
        places: where that order is another one: a field, and the fields that follow it.
    """
    return lambda kind: _made(kind, places)


def _made(kind: type, places: dict[str, str]) -> Any:
    made: Any = dataclass(frozen=True, kw_only=True)(kind)
    all_fields = made.__dataclass_fields__
    inherited = [name for base in kind.__bases__ for name in getattr(base, "__dataclass_fields__", ())]
    order = list(dict.fromkeys([*kind.__annotations__, *inherited]))
    for before, text in places.items():
        order = [name for name in order if name not in text.split()]
        at = order.index(before) + 1
        order[at:at] = text.split()
    made.__dataclass_fields__ = {name: all_fields[name] for name in order}
    plain = made.__init__

    @wraps(plain)
    def filled(self: Any, **given: Any) -> None:
        plain(self, **_filled(made, given))

    made.__init__ = filled
    return made


def _filled(kind: Any, given: dict[str, Any]) -> dict[str, Any]:
    """What is given, and the defaults that depend on it: what a run used is what its manifest shows."""
    if any(each.default is MISSING and each.name not in given for each in fields(kind)):
        return given  # the record itself says what is missing
    read = {each.name: option_of(each).read for each in fields(kind)}
    given = {name: value if (made := read.get(name)) is None else made(value) for name, value in given.items()}
    values = SimpleNamespace(**{each.name: each.default for each in fields(kind)} | given)
    for each in fields(kind):
        by = option_of(each).by
        if by is not None and getattr(values, each.name) is None:
            setattr(values, each.name, by(values))
    return vars(values)


# --- checks of single values: what was needed, what was given, what to do --------------------------------------------


def checked(settings: Any) -> None:
    """Refuse the first value of a record that its check refuses.

    Raises:
        InputError: in one sentence, with what would do.
    """
    for each in fields(settings):
        given, check = getattr(settings, each.name), option_of(each).check
        for value in given if isinstance(given, tuple) else (given,):
            if value is not None and check is not None:
                check(each.name.replace("_", "-"), value)


@dataclass(frozen=True)
class OneOf:
    """A text that is one of some."""

    allowed: tuple[str, ...]

    def __call__(self, name: str, value: str) -> None:
        """Refuse another value."""
        if value not in self.allowed:
            raise InputError(
                f"--{name} is one of {', '.join(self.allowed)}; got {value!r}.", did_you_mean(value, self.allowed)
            )


MOST_OF_ANY = 100_000
"""Of anything that is done or kept: so many evaluations of a small network are an hour of a fast core, so many pictures
of 64 x 64 take five gigabytes. What a machine has room for is asked when the model is known (`runs.room`)."""
ANY = 1_000_000_000
"""Of what may be large because it only says when to stop, or what to leave out."""


@dataclass(frozen=True)
class AtLeast:
    """A whole number that is neither too small nor absurd; the hint says what is a good one."""

    least: int
    hint: str
    most: int = MOST_OF_ANY

    def __call__(self, name: str, value: int) -> None:
        """Refuse another value."""
        if value < self.least:
            raise InputError(f"--{name} needs at least {self.least}; got {value}.", self.hint)
        if value > self.most:
            shown = str(value) if value < 10 * ANY else f"{value:.0e}".replace("e+", " x 10^")
            raise InputError(f"--{name} takes at most {self.most}, for time and memory; got {shown}.", self.hint)


@dataclass(frozen=True)
class Between:
    """A number in [low, high], or in (low, high] where it is open below."""

    low: float
    high: float
    hint: str
    open_below: bool = False

    def __call__(self, name: str, value: float) -> None:
        """Refuse another value."""
        above = self.low < value if self.open_below else self.low <= value
        if not (math.isfinite(value) and above and value <= self.high):
            words = "above {:g} and up to {:g}" if self.open_below else "from {:g} to {:g}"
            bounds = words.format(self.low, self.high)
            raise InputError(f"--{name} takes numbers {bounds}; got {value:g}.", self.hint)


above = partial(Between, open_below=True)
"""A number in (low, high]."""


def did_you_mean(value: str, allowed: Iterable[str], otherwise: str = "") -> str:
    """The question whether the nearest of the allowed texts was meant, or what to say where none is near."""
    near = get_close_matches(value, allowed, n=1)
    return f"Did you mean {near[0]!r}?" if near else otherwise
