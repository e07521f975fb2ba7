"""`geodesic models`: the table of models to the screen."""

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import typer

from geodesic_cli.cli.command import AS_JSON, options_of
from geodesic_cli.runs.plain import aligned

if TYPE_CHECKING:
    from geodesic_cli.verbs.about.models import Listed

HEADS = ("model", "what it is", "pixels", "download", "fp32", "fp16", "here")
LEGEND = (
    "download, fp32, fp16: gigabytes of the weights, on the way here (half of it with --variant fp16) and in memory.\n"
    "Any other model: a folder in diffusers' layout, a .safetensors file, or a Hub id OWNER/NAME."
)


@options_of(None, config=False, as_json=AS_JSON)
def models(options: dict[str, Any]) -> None:
    """List the models with a short name, and which are here.

    \b
    Examples:
      geodesic models
      geodesic models --json

    Other whole models in the cache of the Hub are listed below them; pass their names to --model as they are.
    """
    from geodesic_cli.verbs.about.models import models as listed

    found = listed()
    if options["as_json"]:
        typer.echo(json.dumps([asdict(model) for model in found], indent=2))
        return
    typer.echo("\n".join([*aligned(HEADS, [_row(model) for model in found], str.ljust), "", LEGEND]))


def _row(model: "Listed") -> list[str]:
    def size(gigabytes: float | None) -> str:
        return "" if gigabytes is None else f"{gigabytes:.2f}" if gigabytes < 1 else f"{gigabytes:.1f}"

    where = model.folder or f"no: {model.sources[0]}"
    if model.sources == ("part of this package",):
        where = "part of this package"
    note = f" ({model.note})" if model.note else ""
    return [
        model.name,
        model.about,
        str(model.image_size or ""),
        size(model.download) or "none",
        size(model.memory_fp32),
        size(model.memory_fp16),
        where + note,
    ]
