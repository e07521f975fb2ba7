"""`--config FILE`: the settings of an earlier run as the defaults of this one."""

import tomllib
from pathlib import Path
from typing import Any

import typer

from geodesic_cli.cli.options import option
from geodesic_cli.errors import InputError
from geodesic_cli.settings import from_mapping


def config_option(kind: type, **needed: Any) -> Any:
    """The option --config of a verb, whose file becomes the source of the other options' defaults.

    Args:
        kind: the class of the verb's settings.
        needed: values for the settings without a default, which a file may leave out.
    """

    def read_config(context: typer.Context, path: Path | None) -> Path | None:
        """Make a config file the source of defaults: an option or an environment variable still wins."""
        if path is None:
            return None
        try:
            values = tomllib.loads(path.read_text("utf-8"))
        except OSError as error:
            raise InputError(
                f"The config file {path} cannot be read ({error.strerror}).", "Pass a config.toml of an earlier run."
            ) from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise InputError(f"The config file {path} is not TOML ({error}).", "Mend it, or drop --config.") from error
        from_mapping(kind, needed | values)  # a misspelt key or a bad value is an error of the file
        context.default_map = {**(context.default_map or {}), **values}
        return path

    return option(
        help="A config.toml, as every run writes one.", callback=read_config, is_eager=True, show_default=False
    )
