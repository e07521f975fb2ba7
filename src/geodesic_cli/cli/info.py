"""`geodesic info`: read back from a frame how it was made."""

import json
from pathlib import Path
from typing import Annotated

import typer


def info(image: Annotated[Path, typer.Argument(help="A PNG that this program has written.")]) -> None:
    """Show how a picture was made.

    Prints the settings of the run as JSON; u is the position of a frame along the path.

    \b
    Example:
      geodesic info runs/a-to-b/frames/00008.png
    """
    from geodesic_cli import media

    typer.echo(json.dumps(media.read_metadata(image), indent=2, sort_keys=True))
