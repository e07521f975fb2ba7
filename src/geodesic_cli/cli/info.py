"""`geodesic info`: read back from a frame how it was made."""

import json
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Annotated, Any

import typer

from geodesic_cli.cli.command import AS_JSON
from geodesic_cli.cli.saying import say
from geodesic_cli.errors import GeodesicError
from geodesic_cli.runs.plain import aligned, plain
from geodesic_cli.settings import (
    CombineSettings,
    DirectionSettings,
    ExtrapolateSettings,
    FinetuneSettings,
    InterpolateSettings,
    InvertSettings,
    IsometrySettings,
    LineSettings,
    SlerpSettings,
    ToySettings,
    VideoAnalyzeSettings,
    from_mapping,
)
from geodesic_cli.settings.option import option_of

RECORDS = {
    "interpolate": InterpolateSettings,
    "extrapolate": ExtrapolateSettings,
    "video-analyze": VideoAnalyzeSettings,
    "invert": InvertSettings,
    "latent slerp": SlerpSettings,
    "latent direction": DirectionSettings,
    "latent line": LineSettings,
    "latent combine": CombineSettings,
    "finetune": FinetuneSettings,
    "isometry": IsometrySettings,
    "toy": ToySettings,
}
PLACE = ("out", "resume", "overwrite")


def info(
    image: Annotated[Path, typer.Argument(help="A PNG that this program has written.")], as_json: AS_JSON = False
) -> None:
    """Show how a picture was made: the settings of the run that are not the defaults.

    u is the position of a frame along the path. --json prints all settings.

    \b
    Example:
      geodesic info runs/a-to-b/frames/00008.png
    """
    from geodesic_cli import media

    about = media.read_metadata(image)
    say(json.dumps(about, indent=2, sort_keys=True) if as_json else "\n".join(_lines(image, about)))


def _lines(image: Path, about: dict[str, Any]) -> list[str]:
    settings = about.get("settings")
    settings = settings if isinstance(settings, dict) else {}
    verb, rows = _differing(settings)
    of = f"geodesic {verb}" if verb else "geodesic"
    rest = {name: value for name, value in about.items() if name not in ("settings", "version")}
    facts = "".join(f", {name} {_shown(value)}" for name, value in sorted(rest.items()))
    lines = [f"{image}: made by {of}, version {about.get('version', 'unknown')}{facts}"]
    if rows:
        lines += aligned(("setting", "here", "default"), rows, str.ljust)
    return [*lines, "All other settings are the defaults; --json prints them." if verb else "--json prints everything."]


def _differing(settings: dict[str, Any]) -> tuple[str, list[tuple[str, str, str]]]:
    """The verb whose settings these are, and those that are not the defaults; all of them where it is not known."""
    names = {verb: {field.name for field in fields(kind)} - set(PLACE) for verb, kind in RECORDS.items()}
    verb = min(names, key=lambda one: len(names[one] ^ set(settings)))
    if len(names[verb] ^ set(settings)) > len(settings) // 4:  # another version may have a few more, or fewer
        return "", [(name, _shown(value), "") for name, value in sorted(settings.items())]
    kind: Any = RECORDS[verb]
    rows = []
    given: dict[str, Any] = {}  # what decides defaults: all but those settings whose default depends on others
    for field in fields(kind):
        if field.name not in settings or field.name in PLACE:
            continue
        value = settings[field.name]
        if option_of(field).by is None:
            given[field.name] = value
            if field.default is MISSING:
                rows.append((field.name, _shown(value), "(input)"))
            elif value != plain(field.default):
                rows.append((field.name, _shown(value), _shown(plain(field.default))))
    given = {name: value for name, value in given.items() if value is not None}
    for field in fields(kind):
        if field.name in settings and option_of(field).by is not None:
            usual = _usual(kind, given, field.name)
            if settings[field.name] != usual:
                rows.append((field.name, _shown(settings[field.name]), _shown(usual)))
                given[field.name] = settings[field.name]
    return verb, rows


def _usual(kind: Any, given: dict[str, Any], name: str) -> Any:
    """The default of a setting where others are given."""
    try:
        return plain(
            getattr(from_mapping(kind, {key: value for key, value in given.items() if value is not None}), name)
        )
    except GeodesicError:
        return None


def _shown(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, list):  # a prompt has commas of its own
        between = "; " if any("," in str(each) for each in value) else ", "
        return between.join(map(_shown, value)) or "none"
    if isinstance(value, float):
        return f"{value:.6g}"
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)
