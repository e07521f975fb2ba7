"""From the settings of a run to its verb, to what differs from the defaults, and to the command that repeats it."""

import shlex
from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, fields
from types import SimpleNamespace
from typing import Any

from geodesic_cli import settings
from geodesic_cli.settings.option import option_of

VERBS: dict[str, type] = {
    "interpolate": settings.InterpolateSettings,
    "extrapolate": settings.ExtrapolateSettings,
    "video-analyze": settings.VideoAnalyzeSettings,
    "invert": settings.InvertSettings,
    "latent slerp": settings.SlerpSettings,
    "latent direction": settings.DirectionSettings,
    "finetune": settings.FinetuneSettings,
    "isometry": settings.IsometrySettings,
    "toy": settings.ToySettings,
    "bench solver": settings.BenchSettings,
    "bench model": settings.BenchModelSettings,
}
"""The verbs that write the folder of a run, by the words that call them."""
PLACE = {"out", "resume", "overwrite"}
"""Settings that say where a run is written, which is another place wherever it is repeated."""
IN_COMMON = 0.7
"""Share of the names of its settings that a run of another version has to have in common with a verb."""


@dataclass(frozen=True)
class Differing:
    """An option whose value is not the default one, as it is written on the command line, and what it is for."""

    name: str
    value: str
    default: str
    help: str


def verb_of(stored: Mapping[str, Any]) -> str | None:
    """The verb whose settings these are, also where an earlier version of it had a few others; None for no verb's."""

    def share(verb: str) -> float:
        names = {each.name for each in _fields(verb)}
        return len(names & stored.keys()) / len(names | stored.keys())

    best = max(VERBS, key=share)
    return best if share(best) >= IN_COMMON else None


def differing(verb: str, stored: Mapping[str, Any]) -> tuple[Differing, ...]:
    """The settings of a run that differ from the defaults, which may depend on its other settings; no arguments."""
    found = []
    for each, value, default in _compared(verb, stored):
        if value != default and not option_of(each).argument:
            found.append(Differing(_word(each), _text(value), _text(default), option_of(each).help))
    return tuple(found)


def command_again(verb: str, stored: Mapping[str, Any]) -> str:
    """The command line that gives the same run, in a folder of its own."""
    words, arguments = ["geodesic", *verb.split()], list[str]()
    for each, value, default in _compared(verb, stored):
        option, name = option_of(each), _word(each)
        several = value if isinstance(value, list) and not option.commas else [value]
        if option.argument:
            arguments += [str(part) for part in several if part is not None]
        elif value == default or value is None:
            continue
        elif isinstance(value, bool):
            words.append(name if value else name.replace("--", "--no-", 1))
        else:
            for text in map(_text, several):
                words += [f"{name}={text}"] if text.startswith("-") else [name, text]
    end = ["--"] if any(text.startswith("-") for text in arguments) else []
    return shlex.join([*words[: 1 + len(verb.split())], *words[1 + len(verb.split()) :], *end, *arguments])


def _compared(verb: str, stored: Mapping[str, Any]) -> list[tuple[Field[Any], Any, Any]]:
    """Each field that decides what is made, its value and its default, as JSON has them."""
    own = {each.name: stored.get(each.name, each.default) for each in _fields(verb)}
    found = []
    for each in _fields(verb):
        if each.name not in PLACE:
            by, default = option_of(each).by, None if each.default is MISSING else each.default
            if by is not None:
                default = by(SimpleNamespace(**own | {each.name: None}))
            found.append((each, _listed(own[each.name]), _listed(default)))
    return found


def _fields(verb: str) -> tuple[Field[Any], ...]:
    return fields(VERBS[verb])


def _listed(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else None if value is MISSING else value


def _word(each: Field[Any]) -> str:
    return (option_of(each).flags or (f"--{each.name.replace('_', '-')}",))[0]


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(map(_text, value))
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, float):
        return f"{value:.12g}"
    return "none" if value is None else str(value)
