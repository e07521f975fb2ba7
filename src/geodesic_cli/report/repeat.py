"""From the settings of a run to its verb, to what differs from the defaults, and to the command that repeats it."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, fields
from types import SimpleNamespace
from typing import Any

from geodesic_cli import settings
from geodesic_cli.errors import GeodesicError
from geodesic_cli.settings.option import option_of

VERBS: dict[str, type] = {
    "interpolate": settings.InterpolateSettings,
    "extrapolate": settings.ExtrapolateSettings,
    "video-analyze": settings.VideoAnalyzeSettings,
    "distance": settings.DistanceSettings,
    "mean": settings.MeanSettings,
    "evaluate": settings.EvaluateSettings,
    "invert": settings.InvertSettings,
    "latent/slerp": settings.SlerpSettings,
    "latent/direction": settings.DirectionSettings,
    "latent/line": settings.LineSettings,
    "latent/combine": settings.CombineSettings,
    "finetune": settings.FinetuneSettings,
    "isometry": settings.IsometrySettings,
    "toy": settings.ToySettings,
    "bench/solver": settings.BenchSettings,
    "bench/model": settings.BenchModelSettings,
}
"""The verbs that write the folder of a run, by the words that call them with strokes between."""
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
    """The settings of a run that have to be given to have them again, and what they are otherwise; no arguments."""
    found, given = [], _given(verb, stored)
    for each in given:
        if not option_of(each).argument:
            value, others = stored[each.name], [other for other in given if other != each]
            made = _made(verb, stored, others)
            default = _default(each, stored) if made is None else _listed(getattr(made, each.name))
            found.append(Differing(_words(each)[0], _text(value, ", "), _text(default, ", "), option_of(each).help))
    return tuple(found)


def command_again(verb: str, stored: Mapping[str, Any]) -> str:
    """The command line that gives the same run, in a folder of its own."""
    words, arguments = ["geodesic", *verb.split("/")], list[str]()
    for each in _given(verb, stored):
        option, value = option_of(each), stored[each.name]
        texts = list(map(_text, value if isinstance(value, list) and not option.commas else [value]))
        if option.argument:
            arguments += texts
        elif isinstance(value, bool):
            on, off = _words(each)
            words.append(on if value else off)
        else:
            name = _words(each)[0]
            for text in texts:
                words += [f"{name}={text}"] if text.startswith("-") else [name, text]
    end = ["--"] if any(text.startswith("-") for text in arguments) else []
    return shlex.join([*words, *end, *arguments])


def _given(verb: str, stored: Mapping[str, Any]) -> list[Field[Any]]:
    """The fields that have to be given: arguments, what is not the default, and what would not follow from these."""
    known = [each for each in _fields(verb) if each.name not in PLACE and stored.get(each.name) is not None]
    plain_ones = [each for each in known if option_of(each).by is None]
    given = [each for each in plain_ones if _listed(each.default) != stored[each.name]]
    following = [each for each in known if option_of(each).by is not None]
    for _ in following:
        other = _unlike(verb, stored, given, following)
        if not other:
            break
        given.append(min(other, key=lambda each: len(_unlike(verb, stored, [*given, each], following))))
    return [each for each in known if each in given]


def _unlike(
    verb: str, stored: Mapping[str, Any], given: Sequence[Field[Any]], following: Sequence[Field[Any]]
) -> list[Field[Any]]:
    """The fields that would not follow from those that are given."""
    made = _made(verb, stored, given)
    if made is None:
        return [each for each in following if each not in given and _default(each, stored) != stored[each.name]]
    return [each for each in following if _listed(getattr(made, each.name)) != stored[each.name] and each not in given]


def _made(verb: str, stored: Mapping[str, Any], given: Sequence[Field[Any]]) -> Any:
    """The settings that follow from those that are given; None where an older version alone allowed them."""
    try:
        return VERBS[verb](**{each.name: _tuple(stored[each.name]) for each in given})
    except (GeodesicError, TypeError, ValueError):
        return None


def _default(each: Field[Any], stored: Mapping[str, Any]) -> Any:
    """What a field is otherwise, beside the other settings; as JSON has it."""
    by = option_of(each).by
    return _listed(each.default) if by is None else _listed(by(_Beside(stored, each.name)))


class _Beside(SimpleNamespace):
    """The settings of a run with one of them, and whatever it has not, as None."""

    def __init__(self, stored: Mapping[str, Any], without: str) -> None:
        super().__init__(**{**stored, without: None})

    def __getattr__(self, name: str) -> None:
        return None


def _fields(verb: str) -> tuple[Field[Any], ...]:
    return fields(VERBS[verb])


def _listed(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else None if value is MISSING else value


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _words(each: Field[Any]) -> tuple[str, str]:
    """How an option is switched on, or called, and how it is switched off."""
    on, _, off = (option_of(each).flags or (f"--{each.name.replace('_', '-')}",))[0].partition("/")
    return on, off or on.replace("--", "--no-", 1)


def _text(value: Any, between: str = ",") -> str:
    if isinstance(value, list):
        texts = list(map(_text, value))
        return ("; " if between == ", " and any("," in text for text in texts) else between).join(texts) or "none"
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, float):
        return f"{value:.12g}"
    return "none" if value is None else str(value)
