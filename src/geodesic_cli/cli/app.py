"""The commands of `geodesic` and what they share."""

from typing import Annotated

import typer

from geodesic_cli import __version__
from geodesic_cli.cli.bench import bench
from geodesic_cli.cli.check import check
from geodesic_cli.cli.extrapolate import extrapolate
from geodesic_cli.cli.finetune import finetune
from geodesic_cli.cli.info import info
from geodesic_cli.cli.interpolate import interpolate
from geodesic_cli.cli.invert import invert
from geodesic_cli.cli.isometry import isometry
from geodesic_cli.cli.latent import latent
from geodesic_cli.cli.models import models
from geodesic_cli.cli.toy import toy
from geodesic_cli.cli.video_analyze import video_analyze

HELP = """Geodesics of a diffusion model's probability density: the natural way from one image to another.

\b
Examples:
  geodesic interpolate a.png b.png
  geodesic interpolate a.png b.png --prompt "a red cube" --prompt "a blue sphere"
  geodesic interpolate cat.jpg dog.jpg --model path/to/stable-diffusion --compare
  geodesic info runs/a-to-b/frames/00008.png
  geodesic interpolate a.png b.png --global
  geodesic toy moons
  geodesic extrapolate clip.mp4
  geodesic video-analyze clip.mp4
  geodesic invert a.png
  geodesic latent direction red blue
  geodesic finetune --iso
  geodesic isometry clevr-mini --against runs/finetune
  geodesic bench solver --problems closed
  geodesic models
  geodesic check

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
app.command(context_settings={"auto_envvar_prefix": "GEODESIC_FINETUNE"})(finetune)
app.command(context_settings={"auto_envvar_prefix": "GEODESIC_INVERT"})(invert)
app.command(context_settings={"auto_envvar_prefix": "GEODESIC_ISOMETRY"})(isometry)
app.command(context_settings={"auto_envvar_prefix": "GEODESIC_EXTRAPOLATE"})(extrapolate)
app.command(context_settings={"auto_envvar_prefix": "GEODESIC_VIDEO_ANALYZE"})(video_analyze)
app.command()(info)
app.command()(models)
app.command(context_settings={"auto_envvar_prefix": "GEODESIC_CHECK"})(check)
app.add_typer(latent, name="latent")
app.add_typer(bench, name="bench")
