"""From a record of settings to a command: its options, `--help` in groups, and `--config FILE`."""

import inspect
import tomllib
from collections.abc import Callable, Collection, Mapping
from dataclasses import MISSING, Field, fields
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, get_args, get_type_hints

import typer
from typer.core import TyperCommand

from geodesic_cli.cli.pasted import translated
from geodesic_cli.cli.resuming import with_manifest
from geodesic_cli.cli.values import SWEEP, with_values
from geodesic_cli.errors import InputError
from geodesic_cli.settings import from_mapping
from geodesic_cli.settings.option import COMMON, MODEL, RUN, OneOf, option_of

ORDER = {COMMON: 0, MODEL: 2, RUN: 3}
"""The groups of `--help` that come first and last; a verb's own are 1."""


def flag(word: str, help: str, panel: str = RUN, variable: bool = True) -> Any:
    """An option of the command line that is no setting: it is off, unless its word is given."""
    return Annotated[
        bool, typer.Option(word, help=help, rich_help_panel=panel, show_envvar=False, allow_from_autoenv=variable)
    ]


def text_flag(word: str, help: str, metavar: str, panel: str = COMMON) -> Any:
    """An option of the command line that is no setting and takes a text; it is None, unless its word is given."""
    about: dict[str, Any] = {"help": help, "metavar": metavar, "rich_help_panel": panel, "show_envvar": False}
    return Annotated[str | None, typer.Option(word, **about)]


AS_JSON = flag("--json", "Print one JSON object instead of a table.")
METRICS_AS_JSON = flag("--json", "Print the metrics as JSON instead of a table.")
STRICT = flag("--strict", "Exit with code 3 if the path did not converge.")


def options_of(
    record: Any, config: bool = True, sweeps: bool = False, **flags: Any
) -> Callable[[Callable[[Any], None]], Callable[..., None]]:
    """Make a function of a mapping a command with an option for each field of a record, which `add` prepares.

    Args:
        record: the class of the settings; None has none.
        config: whether it has --config.
        sweeps: whether an option of one number takes several with commas between; the command gets them as `sweep`.
        flags: its options that are no settings, by name, see `flag`.
    """

    def of(act: Callable[[Any], None]) -> Any:
        made: Any = wraps(act)(lambda **given: act(given))

        def prepare() -> None:
            made.__signature__ = inspect.Signature(_parameters(record, config, sweeps, flags))
            made.__annotations__ = {}
            words = {"alone": _alone(record), "numeric": _numeric(record) if sweeps else ()}
            made.kind = type(act.__name__, (GroupedCommand,), words)

        made.prepare = prepare
        return made

    return of


def _parameters(record: Any, config: bool, sweeps: bool, flags: Mapping[str, Any]) -> list[inspect.Parameter]:
    """The options of a command in the order of its help; see `options_of`."""
    found = [_parameter(field, hint) for field, hint in _with_types(record)]
    found += [_keyword(name, kind, False if get_args(kind)[0] is bool else None) for name, kind in flags.items()]
    found += [_keyword("config", _config_of(record), None)] if config else []
    found += [_keyword("sweep", Annotated[list[str] | None, typer.Option(SWEEP, hidden=True)], None)] if sweeps else []
    return sorted(found, key=lambda each: ORDER.get(_panel(each.annotation.__metadata__[0]), 1))


def add(app: typer.Typer, command: Callable[..., None], prefix: str = "GEODESIC") -> None:
    """Add a command under the name of its function; its variables are PREFIX_NAME_OPTION."""
    getattr(command, "prepare", lambda: None)()
    name = command.__name__
    settings = {"auto_envvar_prefix": f"{prefix}_{name.upper()}"}
    kind = getattr(command, "kind", GroupedCommand)
    app.command(name.replace("_", "-"), cls=kind, context_settings=settings)(command)


class GroupedCommand(TyperCommand):
    """A command whose `--help` shows options under the headings of their groups."""

    alone: Mapping[str, str] = {}
    numeric: Collection[str] = ()

    def __init__(self, *words: Any, **about: Any) -> None:
        super().__init__(*words, **about)
        for param in self.params:  # an option has its variable from typer, an argument that can be left out from here
            if param.param_type_name == "argument" and not param.required and param.nargs == 1 and param.name:
                param.envvar = f"{self.context_settings['auto_envvar_prefix']}_{param.name.upper()}"

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """The words; `--resume FOLDER` takes settings from a folder."""
        resumes = any(param.name == "resume" for param in self.params)
        known = [word for param in self.params for word in (*param.opts, *param.secondary_opts)]
        args = translated(str(ctx.info_name), args, known)
        args = with_values(args, self.alone, self.numeric)
        return super().parse_args(ctx, with_manifest(ctx, args) if resumes else args)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """The options, a heading for each group."""
        groups: dict[str, list[tuple[str, str]]] = {"Arguments": []}
        params = self.get_params(ctx)
        rest = RUN if any(_panel(param) == RUN for param in params) else "Options"
        for param in params:
            line = param.get_help_record(ctx)
            if line is not None:
                heading = "Arguments" if param.param_type_name == "argument" else _panel(param) or rest
                groups.setdefault(heading, []).append(line)
        for heading, lines in groups.items():
            if lines:
                with formatter.section(heading):
                    formatter.write_dl(lines, col_max=36)


def _panel(param: Any) -> str:
    return getattr(param, "rich_help_panel", None) or ""


def _with_types(record: Any) -> list[tuple[Field[Any], Any]]:
    hints = {} if record is None else get_type_hints(record)
    return [(field, hints[field.name]) for field in (fields(record) if hints else ())]


def _alone(record: Any) -> dict[str, str]:
    """Options that may have no value, and the value that they have then."""
    found = [(field, option_of(field).alone) for field, _ in _with_types(record)]
    return {f"--{field.name.replace('_', '-')}": alone for field, alone in found if alone is not None}


def _numeric(record: Any) -> frozenset[str]:
    """Options of one number."""
    numbers = (int, float, int | None, float | None)
    return frozenset(f"--{field.name.replace('_', '-')}" for field, hint in _with_types(record) if hint in numbers)


def _keyword(name: str, kind: Any, default: Any) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)


def _parameter(field: Field[Any], hint: Any) -> inspect.Parameter:
    option = option_of(field)
    default: Any = inspect.Parameter.empty if field.default is MISSING else field.default
    several = hint == tuple[str, ...] and not option.commas
    if several:
        hint, default = list[str], default or None
    elif option.commas:
        hint, default = str, ",".join(map(str, default))
    if default is None:
        hint = hint | None
    about: dict[str, Any] = {"help": option.help, "metavar": option.metavar, "show_envvar": False}
    if isinstance(option.check, OneOf):
        about["autocompletion"] = _completion(option.check.allowed)
    if option.argument:
        return _keyword(field.name, Annotated[hint, typer.Argument(**about)], default)
    words = option.flags or (f"--{field.name.replace('_', '-')}",)
    about |= {"rich_help_panel": option.panel, "allow_from_autoenv": option.variable and not several}
    return _keyword(field.name, Annotated[hint, typer.Option(*words, **about)], default)


def _completion(allowed: tuple[str, ...]) -> Callable[[str], list[str]]:
    """What a shell offers for the beginning of a value."""

    def complete(incomplete: str) -> list[str]:
        return [value for value in allowed if value.startswith(incomplete)]

    return complete


def _config_of(record: Any) -> Any:
    """The option --config, whose file becomes the source of the other options' defaults."""
    # A file may leave out what has no default.
    missing = [(field.name, hint) for field, hint in _with_types(record) if field.default is MISSING]
    needed = {name: ["a", "b"] if hint == tuple[str, ...] else name for name, hint in missing}

    def read_config(context: typer.Context, path: Path | None) -> Path | None:
        """Make a config file the source of defaults: an option or an environment variable still wins."""
        if path is None:
            return None
        from geodesic_cli.media import read_text

        try:
            values = tomllib.loads(read_text(path))
        except OSError as error:
            raise InputError(
                f"The config file {path} cannot be read ({error.strerror}).", "Pass a config.toml of an earlier run."
            ) from error
        except (ValueError, RecursionError) as error:  # no TOML, no text, a number without an end
            raise InputError(f"The config file {path} is not TOML ({error}).", "Mend it, or drop --config.") from error
        from_mapping(record, needed | values)  # a misspelt key or a bad value is an error of the file
        context.default_map = {**(context.default_map or {}), **values}
        return path

    about: dict[str, Any] = {"help": "A config.toml, as every run writes one.", "rich_help_panel": RUN}
    made = typer.Option(callback=read_config, is_eager=True, show_default=False, show_envvar=False, **about)
    return Annotated[Path | None, made]
