"""What `geodesic` is with or without the options of its commands: its help, its verbs and their order."""

import json
import sys
from collections.abc import Iterator
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from geodesic_cli.cli.saying import say
from geodesic_cli.cli.signals import exit_code_of
from geodesic_cli.cli.variables import unread
from geodesic_cli.version import __version__

HELP = """Geodesics of a diffusion model's probability density: the natural way from one image to another.

\b
Examples:
  geodesic interpolate a.png b.png
  geodesic interpolate a.png b.png --prompt "a red cube" --prompt "a blue sphere"
  geodesic interpolate cat.jpg dog.jpg --model path/to/stable-diffusion --compare
  geodesic interpolate a.png b.png --global
  geodesic extrapolate clip.mp4
  geodesic video-analyze clip.mp4
  geodesic distance frames/
  geodesic mean a.png b.png c.png
  geodesic evaluate runs/a-to-b
  geodesic invert a.png
  geodesic latent direction red blue
  geodesic finetune --iso
  geodesic isometry clevr-mini --against runs/finetune
  geodesic toy moons
  geodesic models
  geodesic check
  geodesic info runs/a-to-b/frames/00008.png
  geodesic cache
  geodesic report runs/a-to-b
  geodesic bench solver --problems closed

Every run writes a folder with report.html, one page to look at and to send.
Settings come from options, then variables such as GEODESIC_INTERPOLATE_TAU, then --config FILE, then the defaults.
"""

VERBS = (
    "interpolate", "extrapolate", "video_analyze", "distance", "mean", "invert", "latent", "finetune", "isometry",
    "evaluate", "toy",
)  # fmt: skip
OTHERS = ("models", "check", "info", "cache", "report", "bench")


class VerbsInOrder(TyperGroup):
    """The verbs in the order in which one meets them."""

    def list_commands(self, ctx: Any) -> list[str]:
        """The names of the verbs."""
        return [name.replace("_", "-") for name in (*VERBS, *OTHERS)]

    def invoke(self, ctx: Any) -> Any:
        """Run the verb, after a warning of variables that set nothing."""
        for line in unread(self):
            say(f"Warning: {line}", err=True)
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as stop:  # before a verb has begun; a verb says how to go on
            say("Interrupted.", err=True)
            raise typer.Exit(exit_code_of(stop)) from None

    def main(self, args: Any = None, prog_name: Any = None, *rest: Any, **how: Any) -> Any:
        """The program. With --json a word that is wrong is told as JSON, too."""
        words = list(sys.argv[1:] if args is None else args)
        usage_error: Any = typer.BadParameter.__mro__[2]  # the kind of all errors of usage, which typer does not show
        if "--json" not in words or not how.get("standalone_mode", True):
            return super().main(args, prog_name, *rest, **how)
        try:
            code = super().main(args, prog_name, *rest, **how | {"standalone_mode": False})
        except usage_error as error:
            typer.echo(json.dumps({"error": error.format_message(), "do": "See --help."}))
            error.show()
            sys.exit(error.exit_code)
        sys.exit(code if isinstance(code, int) else 0)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"geodesic {__version__}")
        raise typer.Exit


def root() -> typer.Typer:
    """The program without its commands."""
    made = typer.Typer(
        help=HELP,
        cls=VerbsInOrder,
        no_args_is_help=True,
        add_completion=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )

    @made.callback()
    def _root(
        version: Annotated[
            bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
        ] = False,
    ) -> None:
        pass

    return made


def verbs() -> Iterator[tuple[str, Any]]:
    """Each verb by the name of its file: a function, or a group of them."""
    for name in (*VERBS, *OTHERS):
        yield name, getattr(import_module(f"geodesic_cli.cli.{name}"), name)
