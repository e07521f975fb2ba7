"""`geodesic check`: the report on this machine to the screen."""

import json
from typing import TYPE_CHECKING, Any

import typer

from geodesic_cli.cli.command import AS_JSON, options_of
from geodesic_cli.cli.saying import say
from geodesic_cli.runs.plain import aligned
from geodesic_cli.settings import from_mapping
from geodesic_cli.settings.about import CheckSettings

if TYPE_CHECKING:
    from geodesic_cli.verbs.about.check import Findings
    from geodesic_cli.verbs.about.trying import ModelReport


@options_of(CheckSettings, config=False, as_json=AS_JSON)
def check(options: dict[str, Any]) -> None:
    """Show what this machine has; or load a model and test it here.

    \b
    Examples:
      geodesic check
      geodesic check --device cuda:1
      geodesic check --json
      geodesic check --model sd15
      geodesic check --model path/to/model --vae path/to/vae --json

    Without a model it always succeeds; what is missing is named with what to do about it. With a model it tests the
    parts, the autoencoder, the score and a small pair, prints a report that can be pasted into an issue, and exits
    with code 1 if something is not as it should be.
    """
    as_json = options.pop("as_json")
    settings = from_mapping(CheckSettings, {name: value for name, value in options.items() if value is not None})
    from geodesic_cli.verbs.about.check import check as looked

    report = looked(options["device"])
    if settings.model:
        raise typer.Exit(_tried(settings, report.facts, as_json))
    if as_json:
        typer.echo(json.dumps({**report.facts, "advice": list(report.advice)}, indent=2))
        return
    say("\n".join(_lines(report)))


def _tried(settings: CheckSettings, machine: dict[str, Any], as_json: bool) -> int:
    """Test a model and show the report; the exit code."""
    from geodesic_cli.runs.progress import Display
    from geodesic_cli.verbs.about.trying import try_model

    with Display() as display:
        report = try_model(settings, display)
    names = ("geodesic", "python", "system", "libraries", "device_name", "dtype", "threads")
    here = {name: machine[name] for name in names}
    if as_json:
        found = {"model": report.model, "verdict": report.verdict, "wrong": report.wrong, **report.facts}
        typer.echo(json.dumps(found | {"machine": here}, indent=2))
    else:
        say("\n".join([report.verdict, *report.wrong, "", *_model_lines(report, here)]))
    return int(bool(report.wrong))


def _model_lines(report: "ModelReport", machine: dict[str, Any]) -> list[str]:
    f = report.facts
    rows = [*f.get("parts", {}).items()]
    if "predicts" in f:
        rows.append(("noise", f"{f['schedule']}, predicts {f['predicts']}"))
        rows.append(("pictures", f"{f['side']} pixels, latents {' x '.join(map(str, f['latent']))}, on {f['device']}"))
    if "roundtrip_db" in f:
        unit = "" if f["roundtrip_db"] == "exact" else " dB"
        rows.append(("there and back", f"{f['roundtrip_db']}{unit} (more is better; spread {f['latent_spread']})"))
    if "own_roundtrip_db" in f:
        rows.append(("what it draws, there and back", f"{f['own_roundtrip_db']} dB: it is a model of other pictures"))
    for name, words in (
        ("score_size", "size of the noise found (1 is right)"),
        ("noise_match", "cosine with the noise"),
    ):
        if name in f:
            rows.append((words, ", ".join(f"{value} at tau {tau}" for tau, value in f[name].items())))
    if "pair" in f:
        pair = f["pair"]
        said = "solved" if pair["converged"] else "not solved"
        rows.append(("a small pair", f"{said}, residual {pair['residual']}, {pair['evaluations']} evaluations"))
    rows.append(("seconds", ", ".join(f"{name} {value}" for name, value in f["seconds"].items())))
    if f.get("peak_gigabytes") is not None:
        rows.append(("memory", f"{f['peak_gigabytes']} GB at its peak"))
    rows.append(("machine", f"{machine['device_name']}, {machine['threads']} threads, {machine['system']}"))
    rows.append(
        ("versions", f"geodesic {machine['geodesic']}, Python {machine['python']}, {_named(machine['libraries'])}")
    )
    return aligned(("", ""), rows, str.ljust)[1:]


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
