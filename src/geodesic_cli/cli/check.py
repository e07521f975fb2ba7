"""`geodesic check`: the report on this machine to the screen."""

import json
from typing import TYPE_CHECKING, Any

import typer

from geodesic_cli.cli.command import AS_JSON, options_of
from geodesic_cli.runs.plain import aligned
from geodesic_cli.settings.shared import DeviceOptions

if TYPE_CHECKING:
    from geodesic_cli.verbs.about.check import Findings


@options_of(DeviceOptions, config=False, as_json=AS_JSON)
def check(options: dict[str, Any]) -> None:
    """Show what this machine has and what would be chosen on it.

    \b
    Examples:
      geodesic check
      geodesic check --device cuda:1
      geodesic check --json

    It always succeeds; what is missing is named with what to do about it.
    """
    from geodesic_cli.verbs.about.check import check as looked

    report = looked(options["device"])
    if options["as_json"]:
        typer.echo(json.dumps({**report.facts, "advice": list(report.advice)}, indent=2))
        return
    typer.echo("\n".join(_lines(report)))


def _lines(report: "Findings") -> list[str]:
    f = report.facts
    memory = "" if "device_memory" not in f else f", {f['device_memory']} GB"
    if "device_memory_free" in f:
        memory += f" ({f['device_memory_free']} free)"
    here = [name for name, folder in f["models"].items() if folder is not None]
    rows = [
        ("geodesic", f"{f['geodesic']}, Python {f['python']}, {f['system']}"),
        ("libraries", _named(f["libraries"])),
        ("extras", _named(f["extras"])),
        ("device", f"{f['device']}, {f['device_name']}{memory}"),
        ("dtype", f"{f['dtype']} (what --dtype auto chooses)"),
        ("threads", f"{f['threads']} of {f['processors']} processors"),
        ("memory", f"{f['memory_free']} GB free; {f['disk_free']} GB free on the disk of this folder"),
        ("--compile", f["compile"]),
        ("films", f["video_encoder"]),
        ("cache", f["cache"] + ("" if f["cache_exists"] else " (not there yet)")),
        (
            "offline",
            "yes, the Hub is not asked" if f["offline"] else "no, the Hub is asked for what is not in the cache",
        ),
        ("variables", ", ".join(f"{name}={value}" for name, value in f["variables"].items()) or "none set"),
        ("models", ", ".join(here) + "; see geodesic models"),
    ]
    return [*aligned(("", ""), rows, str.ljust)[1:], *([""] if report.advice else []), *report.advice]


def _named(versions: dict[str, Any]) -> str:
    there = [f"{name} {version}" for name, version in versions.items() if version]
    missing = [name for name, version in versions.items() if not version]
    return ", ".join(there) + (f"{'; ' if there else ''}not here: {', '.join(missing)}" if missing else "")
