"""What `inspect.signature`, `help`, editors and type checkers see of the functions is what the records say."""

import inspect
import runpy
from dataclasses import MISSING, fields
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

import geodesic_cli
from geodesic_cli.errors import InputError
from geodesic_cli.settings import (
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
    from_options,
)
from geodesic_cli.settings.option import option_of

ROOT = Path(__file__).parents[2]
RECORDS = {
    "distance": DistanceSettings,
    "evaluate": EvaluateSettings,
    "extrapolate": ExtrapolateSettings,
    "finetune": FinetuneSettings,
    "interpolate": InterpolateSettings,
    "invert": InvertSettings,
    "isometry": IsometrySettings,
    "latent_combine": CombineSettings,
    "latent_direction": DirectionSettings,
    "latent_line": LineSettings,
    "latent_slerp": SlerpSettings,
    "mean": MeanSettings,
    "toy": ToySettings,
    "video_analyze": VideoAnalyzeSettings,
}
every_function = pytest.mark.parametrize("name", RECORDS)


def test_every_function_is_here() -> None:
    assert {*RECORDS, "GeodesicError", "__version__"} == set(geodesic_cli.__all__) == set(dir(geodesic_cli))


@every_function
def test_every_option_stands_in_the_signature_with_its_default_and_in_the_help(name: str) -> None:
    function = getattr(geodesic_cli, name)
    found = inspect.signature(function).parameters
    assert not any(each.kind is each.VAR_KEYWORD for each in found.values())
    for field in fields(RECORDS[name]):
        if field.name in ("out", "resume", "overwrite"):
            assert field.name not in found
            continue
        assert field.name in found, field.name
        if field.default is not MISSING and found[field.name].kind is not inspect.Parameter.VAR_POSITIONAL:
            assert found[field.name].default == field.default, field.name
        if not option_of(field).argument and field.name not in ("against", "data", "model"):
            first = option_of(field).help.split()[0]
            assert f"{field.name}: {first}" in inspect.getdoc(function)
    assert {"observer", "progress"} <= set(found)


def test_an_unknown_option_is_still_refused_with_a_sentence() -> None:
    with pytest.raises(InputError, match="no option 'bent'"):
        geodesic_cli.toy("ring", bent=2)


def test_the_stub_is_what_the_functions_say() -> None:
    made = runpy.run_path(str(ROOT / ".ci" / "stub.py"))
    assert made["STUB"].read_text("utf-8") == made["text"](), "run: python .ci/stub.py"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"nodes": "5"}, "nodes is a whole number; got '5'"),
        ({"bend": "much"}, "bend is a number; got 'much'"),
        ({"bend": [1.0]}, "bend is a number"),
        ({"gif": 1}, "gif is true or false"),
        ({"nodes": None}, "nodes is a whole number; got None"),
        ({"nodes": 9.5}, "nodes is a whole number; got 9.5"),
        ({"nodes": True}, "nodes is a whole number; got True"),
    ],
)
def test_a_value_of_the_wrong_type_gets_a_sentence(options: dict[str, object], words: str) -> None:
    with pytest.raises(InputError, match=words):
        geodesic_cli.toy("ring", **options)


@pytest.mark.parametrize("wrong", [3, None, ["clevr-mini"]])
def test_what_is_no_model_gets_a_sentence(wrong: object) -> None:
    for call in (geodesic_cli.invert, geodesic_cli.finetune, geodesic_cli.isometry):
        with pytest.raises(InputError, match="takes the name of a model"):
            call(model=wrong)


def test_numbers_and_paths_of_any_library_are_taken() -> None:
    made = from_options(
        InterpolateSettings,
        "interpolate",
        {"frames": np.int64(5), "bend": np.float32(2), "tau": Fraction(1, 2), "lora": Path("x"), "prompt": None},
        {"images": ("a", "b"), "model": "clevr-mini"},
    )
    assert (made.frames, made.bend, made.tau, made.lora, made.prompt) == (5, 2.0, 0.5, ("x",), ())
    assert type(made.frames) is int and type(made.bend) is float
