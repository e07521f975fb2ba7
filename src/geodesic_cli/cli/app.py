"""The commands of `geodesic` with all their options."""

import typer

from geodesic_cli.cli.command import add
from geodesic_cli.cli.root import root, verbs

app = root()

for name, verb in verbs():
    if isinstance(verb, typer.Typer):
        app.add_typer(verb, name=name)
    else:
        add(app, verb)
