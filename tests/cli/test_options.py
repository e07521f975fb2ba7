"""An option is written once: what a record says is what the command, the function, the file and the variable have."""

import math
from dataclasses import MISSING, Field, fields
from typing import Any, get_type_hints

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from geodesic_cli.__main__ import WHOLE_HELP
from geodesic_cli.cli.app import app
from geodesic_cli.cli.outline import outline
from geodesic_cli.cli.root import OTHERS, VERBS
from geodesic_cli.errors import InputError
from geodesic_cli.settings import (
    BenchModelSettings,
    BenchSettings,
    CombineSettings,
    DirectionSettings,
    DistanceSettings,
    EvaluateSettings,
    ExtrapolateSettings,
    FinetuneSettings,
    InterpolateSettings,
    InvertSettings,
    IsometrySettings,
    LineSettings,
    MeanSettings,
    SlerpSettings,
    ToySettings,
    VideoAnalyzeSettings,
    from_mapping,
    from_options,
)
from geodesic_cli.settings.option import AtLeast, Between, OneOf, option_of

RECORDS: dict[str, Any] = {
    "interpolate": InterpolateSettings,
    "extrapolate": ExtrapolateSettings,
    "video-analyze": VideoAnalyzeSettings,
    "distance": DistanceSettings,
    "mean": MeanSettings,
    "evaluate": EvaluateSettings,
    "invert": InvertSettings,
    "latent slerp": SlerpSettings,
    "latent direction": DirectionSettings,
    "latent line": LineSettings,
    "latent combine": CombineSettings,
    "finetune": FinetuneSettings,
    "isometry": IsometrySettings,
    "toy": ToySettings,
    "bench solver": BenchSettings,
    "bench model": BenchModelSettings,
}
FLAGS = {
    "config",
    "as_json",
    "strict",
    "dry",
    "globally",
    "iso",
    "verbose",
    "list_weights",
    "fetch",
    "many_pairs",
    "many_part",
    "sweep",
}
"""Options of the command line that are no settings."""
NEEDED: dict[str, dict[str, Any]] = {
    "interpolate": {"images": ("a", "b")},
    "extrapolate": {"source": ("a",)},
    "video-analyze": {"clip": ("a",)},
    "distance": {"images": ("a", "b")},
    "mean": {"images": ("a", "b")},
    "evaluate": {"sources": ("a",)},
    "invert": {"images": ("a",)},
    "latent slerp": {"images": ("a", "b")},  # without images there is only one noise level
    "latent direction": {"source": "a", "target": "b"},
    "latent line": {"images": ("a",)},
    "latent combine": {"images": ("a", "b", "c")},
}
"""What a record cannot do without."""
BOUNDED = [
    (verb, field.name)
    for verb, kind in RECORDS.items()
    for field in fields(kind)
    if isinstance(option_of(field).check, AtLeast | Between | OneOf)
]
every_verb = pytest.mark.parametrize("verb", RECORDS)


def command_of(verb: str) -> Any:
    command: Any = get_command(app)
    for word in verb.split():
        command = command.commands[word]
    return command


def words_of(verb: str) -> list[str]:
    given = NEEDED.get(verb, {}).values()
    return [word for value in given for word in ((value,) if isinstance(value, str) else value)]


def by_name(kind: Any) -> dict[str, Field[Any]]:
    return {field.name: field for field in fields(kind)}


@every_verb
def test_the_command_has_the_options_and_the_defaults_of_the_record(verb: str) -> None:
    kind = RECORDS[verb]
    params = {param.name: param for param in command_of(verb).params}
    assert params.keys() - FLAGS == by_name(kind).keys()
    for name, field in by_name(kind).items():
        option, param = option_of(field), params[name]
        if option.commas:
            assert param.default == ",".join(map(str, field.default))
        else:
            assert param.default == (field.default if field.default not in (MISSING, ()) else None), name
        assert param.required == (field.default is MISSING)
        if not option.argument:
            words = " ".join(option.flags or ("--" + name.replace("_", "-"),)).replace("/", " ").split()
            assert [*param.opts, *param.secondary_opts] == words
        assert param.help == option.help and option.help.endswith(".")


@every_verb
def test_an_absurd_number_is_refused_by_every_option_that_takes_one(verb: str) -> None:
    kind, hints = RECORDS[verb], get_type_hints(RECORDS[verb])
    tried = 0
    for name in by_name(kind):
        whole, real = hints[name] in (int, int | None), hints[name] in (float, float | None)
        for value in (10**20,) if whole else (math.nan, math.inf, -math.inf, 1e300) if real else ():
            with pytest.raises(InputError) as refused:
                kind(**NEEDED.get(verb, {}) | {name: value})
            assert name.replace("_", "-") in str(refused.value) or name in str(refused.value), (name, value)
            tried += 1
    assert tried


@every_verb
def test_the_function_and_the_config_file_have_the_settings_of_the_record(verb: str) -> None:
    kind, needed = RECORDS[verb], NEEDED.get(verb, {})
    made = kind(**needed)
    free = {name: getattr(made, name) for name in by_name(kind).keys() - needed.keys() - {"out", "resume", "overwrite"}}
    assert from_options(kind, verb, free, needed) == made
    with pytest.raises(InputError, match="Its options are"):
        from_options(kind, verb, {"out": "x"}, needed)
    if "config" in {param.name for param in command_of(verb).params}:
        stored = {name: getattr(made, name) for name in by_name(kind)}  # as config.toml has it: no None, lists
        stored = {
            name: list(value) if type(value) is tuple else value for name, value in stored.items() if value is not None
        }
        assert from_mapping(kind, stored) == made


@every_verb
def test_a_variable_sets_every_option_that_may_not_be_repeated(verb: str, monkeypatch: pytest.MonkeyPatch) -> None:
    kind = RECORDS[verb]
    hints, words, expected = get_type_hints(kind), words_of(verb), {}
    examples = {bool: ("1", True), int: ("7", 7), float: ("0.5", 0.5), str: ("word", "word")}
    for name, field in by_name(kind).items():
        option, hint = option_of(field), hints[name]
        plain = str if option.commas else next((one for one in examples if hint in (one, one | None)), None)
        text, value = examples.get(plain, ("word", None))
        monkeypatch.setenv(f"GEODESIC_{verb}_{name}".upper().replace(" ", "_").replace("-", "_"), text)
        if plain is not None and option.variable and name not in NEEDED.get(verb, {}):
            expected[name] = value
    found = command_of(verb).make_context(verb, words).params
    assert {name: found[name] for name in expected} == expected
    for name in by_name(kind).keys() - expected.keys() - NEEDED.get(verb, {}).keys():
        assert found[name] in (None, [], ()), name


@pytest.mark.parametrize(("verb", "name"), BOUNDED)
def test_every_bound_is_held_at_and_beyond(verb: str, name: str) -> None:
    kind, needed = RECORDS[verb], NEEDED.get(verb, {})
    check: Any = option_of(by_name(kind)[name]).check
    word = f"--{name.replace('_', '-')}"
    if isinstance(check, OneOf):
        inside, outside, hint = list(check.allowed), [check.allowed[0][:-1] + "~"], check.allowed[0]
        said = f"{word} is one of {', '.join(check.allowed)}; got"
    elif isinstance(check, AtLeast):
        inside, outside, hint = [check.least, check.most], [check.least - 1, check.most + 1, 10**20], check.hint
        said = f"{word} needs at least"
    else:
        step = 1 if isinstance(check.low, int) and check.high > 1 else 1e-6
        inside = [check.high, check.low + step if check.open_below else check.low]
        outside = [check.low if check.open_below else check.low - 1, check.high * 1.1 + 1, float("nan"), float("inf")]
        hint, said = check.hint, f"{word} takes numbers"
    several = type(kind(**needed).__dict__[name]) is tuple
    for value in inside:
        try:
            kind(**needed | {name: (value,) if several else value})
        except InputError as error:  # what two options say together is another matter
            assert said not in str(error) and f"{word} takes at most" not in str(error), value
    for value in outside:
        with pytest.raises(InputError) as caught:
            kind(**needed | {name: (value,) if several else value})
        too_many = isinstance(check, AtLeast) and value > check.most
        assert str(caught.value).startswith(f"{word} takes at most {check.most}," if too_many else said)
        assert hint in str(caught.value)


@every_verb
def test_every_whole_number_has_bounds_and_an_absurd_one_is_told_what_would_do(verb: str) -> None:
    kind, needed = RECORDS[verb], NEEDED.get(verb, {})
    whole = [name for name, hint in get_type_hints(kind).items() if hint in (int, int | None, tuple[int, ...])]
    assert whole
    for name in whole:
        check: Any = option_of(by_name(kind)[name]).check
        assert isinstance(check, AtLeast | Between), name
        value: Any = (10**20,) if get_type_hints(kind)[name] == tuple[int, ...] else 10**20
        with pytest.raises(InputError) as caught:
            kind(**needed | {name: value})
        most = check.most if isinstance(check, AtLeast) else check.high
        assert f"{most:g}" in str(caught.value) or str(most) in str(caught.value), name


@every_verb
def test_help_fits_two_screens_with_the_common_options_on_the_first(verb: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    lines = CliRunner().invoke(app, [*verb.split(), "--help"]).output.splitlines()
    assert len(lines) <= 110
    common = lines.index("Common options:")
    assert lines.index("", common) <= 50
    headings = [line for line in lines if line.endswith(":") and not line.startswith(" ")]
    assert headings[0] in ("Arguments:", "Common options:") and headings[-1] == "Run:"
    assert all(len(line) <= 80 for line in lines[common:])


def test_the_verbs_stand_in_the_order_in_which_one_meets_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    text = CliRunner().invoke(app, ["--help"]).output
    assert text.index("Examples:") < text.index("Options:") < text.index("Commands:")
    listed = [line.split()[0] for line in text[text.index("Commands:") :].splitlines()[1:]]
    assert listed == [name.replace("_", "-") for name in (*VERBS, *OTHERS)]


@pytest.mark.parametrize("words", WHOLE_HELP)
def test_the_help_of_the_whole_is_the_same_without_the_options_of_the_commands(words: list[str]) -> None:
    short, whole = (CliRunner().invoke(program, words, prog_name="geodesic") for program in (outline, app))
    assert (short.output, short.exit_code) == (whole.output, whole.exit_code)
    assert "interpolate " in short.output
