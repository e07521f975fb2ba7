"""How lines reach the terminal: names and captions from elsewhere cannot move its cursor or turn its writing."""

import typer

from geodesic_cli.errors import escaped


def say(text: str, err: bool = False) -> None:
    """Print lines to standard output, or to standard error."""
    typer.echo("\n".join(map(escaped, text.split("\n"))), err=err)
