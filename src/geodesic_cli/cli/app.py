"""The commands of `geodesic` and what they share."""

from typing import Annotated

import typer

from geodesic_cli import __version__
from geodesic_cli.cli.bench import bench
from geodesic_cli.cli.info import info
from geodesic_cli.cli.interpolate import interpolate
from geodesic_cli.cli.toy import toy

HELP = """Geodesics of a diffusion model's probability density: the natural way from one image to another.

\b
Examples:
  geodesic interpolate a.png b.png
  geodesic interpolate a.png b.png --prompt "a red cube" --prompt "a blue sphere"
  geodesic interpolate cat.jpg dog.jpg --model path/to/stable-diffusion --compare
  geodesic info runs/a-to-b/frames/00008.png
  geodesic interpolate a.png b.png --method global
  geodesic toy moons
  geodesic bench solver --problems closed

Settings come from options, then variables such as GEODESIC_INTERPOLATE_TAU, then --config FILE, then the defaults.
"""

app = typer.Typer(
    help=HELP,
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"geodesic {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


app.command(context_settings={"auto_envvar_prefix": "GEODESIC_INTERPOLATE"})(interpolate)
app.command(context_settings={"auto_envvar_prefix": "GEODESIC_TOY"})(toy)
app.command()(info)
app.add_typer(bench, name="bench")
