"""`geodesic models`: the table of models to the screen."""

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import typer

from geodesic_cli.cli.command import AS_JSON, options_of
from geodesic_cli.cli.saying import say
from geodesic_cli.runs.plain import aligned
from geodesic_cli.settings.about import ModelsSettings

if TYPE_CHECKING:
    from geodesic_cli.verbs.about.fetching import OneModel
    from geodesic_cli.verbs.about.models import Listed

HEADS = ("model", "what it is", "pixels", "download", "fp32", "fp16", "here")
LEGEND = (
    "download, fp32, fp16: gigabytes of the weights, on the way here (half of it with --variant fp16) and in memory.\n"
    "Any other model: a folder in diffusers' layout, a .safetensors file, or a Hub id OWNER/NAME."
)


@options_of(ModelsSettings, config=False, as_json=AS_JSON)
def models(options: dict[str, Any]) -> None:
    """List the models with a short name, and which are here; or say of one model how to get it.

    \b
    Examples:
      geodesic models
      geodesic models sd15
      geodesic models --json

    Other whole models in the cache of the Hub are listed below them; pass their names to --model as they are.
    """
    if options["name"]:
        from geodesic_cli.verbs.about.fetching import one_model

        model = one_model(options["name"])
        say(json.dumps(asdict(model), indent=2) if options["as_json"] else _told(model))
        return
    from geodesic_cli.verbs.about.models import models as listed

    found = listed()
    if options["as_json"]:
        typer.echo(json.dumps([asdict(model) for model in found], indent=2))
        return
    say("\n".join([*aligned(HEADS, [_row(model) for model in found], str.ljust), "", LEGEND]))


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


def _told(model: "OneModel") -> str:
    lines = [f"{model.name}: {model.about}.", f"Licence: {model.licence}."]
    if model.gigabytes:
        lines.append(f"Weights: {model.gigabytes:g} GB in memory in fp32; half of it in fp16 or bf16.")
    lines.append(f"On this machine: {model.here}" if model.here else "On this machine: no.")
    if model.fetch:
        lines += ["", "Fetch it into a folder:", f"  {model.fetch}"]
    if model.fetch_half:
        lines += [
            "or half of it, in half precision; then add --variant fp16 to every command:",
            f"  {model.fetch_half}",
        ]
    use = f"--model {model.name}" if model.here else f"--model ./{model.folder}"
    if model.fetch:
        lines += ["Or let the first run fetch it into the cache of the Hub:", f"  geodesic check --model {model.name}"]
        lines += ["", f"For a machine without a network, copy the folder {model.folder} there; it needs these files:"]
        lines += [f"  {model.folder}/{file}" for file in model.files]
    lines += ["", "Test it on this machine, then use it:", f"  geodesic check {use}"]
    lines += [f"  geodesic interpolate a.jpg b.jpg {use} --dry-run", "", f"What to expect: {model.expect}"]
    return "\n".join(lines)
