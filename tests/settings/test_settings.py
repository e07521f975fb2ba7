"""Settings: every bad value is one sentence, every default stands in one place."""

import pytest

from geodesic_cli.errors import InputError
from geodesic_cli.settings import (
    EvaluateSettings,
    FinetuneSettings,
    InterpolateSettings,
    MeanSettings,
    from_mapping,
    from_options,
)
from geodesic_cli.settings.option import free_in

PAIR = ("a.png", "b.png")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"frames": 1}, "--frames needs at least 2; got 1. The first and the last image are the first"),
        ({"alpha": -1.0}, "--alpha takes numbers from 0 to 1e+06; got -1."),
        ({"alpha": float("nan")}, "--alpha takes numbers from 0 to 1e+06; got nan."),
        ({"bend": -0.1}, "--bend takes numbers from 0 to 1000; got -0.1. 0 is the great circle; 1 to 4 is useful."),
        ({"tau": 0.0}, "--tau takes numbers above 0 and up to 1; got 0."),
        ({"tau": 1.2}, "--tau takes numbers above 0 and up to 1; got 1.2."),
        ({"nodes": 2}, "--nodes needs at least 5; got 2."),
        ({"steps": 0}, "--steps needs at least 1; got 0."),
        ({"max_steps": 0}, "--max-steps needs at least 1; got 0."),
        ({"tol": 0.0}, "--tol takes numbers above 0"),
        ({"fps": 0.0}, "--fps takes numbers from 0.1 to 240; got 0."),
        ({"seed": -1}, "--seed takes numbers from 0"),
        ({"seed": 10**20}, "--seed takes numbers from 0"),
        ({"resume": True}, "--resume needs the folder of the run to go on with. Pass --resume FOLDER."),
        ({"guidance": -1.0}, "--guidance takes numbers from 0 to 100"),
        (
            {"method": "slep"},
            "--method is one of geodesic, slerp, lerp, global, blend, corrected, published, attention; "
            "got 'slep'. Did you mean 'slerp'?",
        ),
        ({"pacing": "evn"}, "--pacing is one of path, even, features, lpips, perceptual; got"),
        ({"prompt": ("a", "b", "c")}, "takes one prompt or 2; got 3. Pass --prompt once for all images"),
        ({"images": ()}, "needs two images; got none."),
    ],
)
def test_a_value_that_makes_no_sense_is_one_sentence_with_what_would(changes: dict, message: str) -> None:
    with pytest.raises(InputError) as caught:
        InterpolateSettings(**{"images": PAIR, **changes})
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "method"),
    [
        ({}, "global"),
        ({"density": "guided", "guidance": 2.0}, "global"),
        ({"tau": 0.2, "alpha": 0.05, "compare": True}, "global"),
        ({"method": "slerp"}, "slerp"),
        ({"model": "sd-1.5"}, "geodesic"),
        ({"bend": 4.0}, "geodesic"),
        ({"solver": "relaxation"}, "geodesic"),
        ({"nodes": 33}, "geodesic"),
        ({"noise_bank": 2}, "geodesic"),
        ({"images": ("clip.mp4",)}, "geodesic"),
        ({"density": "unconditional"}, "geodesic"),
    ],
)
def test_the_embedded_model_searches_unless_asked_for_what_only_the_local_solver_has(given: dict, method: str) -> None:
    made = InterpolateSettings(**{"images": PAIR, **given})
    assert made.method == method
    assert made.bend == (None if method == "global" else 4.0)


def test_a_misspelt_key_is_answered_with_the_nearest_one() -> None:
    with pytest.raises(InputError, match=r"no setting 'frmaes'. Did you mean 'frames'\?"):
        from_mapping(InterpolateSettings, {"images": ["a", "b"], "frmaes": 9})


def test_a_mapping_gives_the_settings_that_it_names() -> None:
    made = from_mapping(InterpolateSettings, {"images": ["a", "b"], "prompt": ["x"], "tau": 0.4})
    assert made == InterpolateSettings(images=("a", "b"), prompt=("x",), tau=0.4)


@pytest.mark.parametrize(
    ("key", "value", "wanted"),
    [
        ("frames", "17", "a whole number"),
        ("frames", 17.5, "a whole number"),
        ("frames", True, "a whole number"),
        ("tau", "low", "a number"),
        ("model", 3, "a text"),
        ("compare", 1, "a text"),
        ("prompt", 3, "a list of texts"),
        ("alpha", "1", "a number"),
    ],
)
def test_a_value_of_the_wrong_kind_is_answered_with_the_right_kind(key: str, value: object, wanted: str) -> None:
    with pytest.raises(InputError, match=rf"The setting {key} is {wanted}; got {value!r}"):
        from_mapping(InterpolateSettings, {"images": ["a", "b"], key: value})


def test_a_lone_prompt_and_a_whole_number_are_taken_for_what_they_mean() -> None:
    made = from_mapping(InterpolateSettings, {"images": ["a", "b"], "prompt": "a red cube", "bend": 2, "alpha": 1})
    assert made.prompt == ("a red cube",)
    assert (made.bend, made.alpha) == (2.0, 1.0)
    assert isinstance(made.bend, float)


@pytest.mark.parametrize(("given", "held"), [(None, ()), ("a cube", ("a cube",)), (["a", "b"], ("a", "b"))])
def test_a_function_takes_no_text_one_or_several_where_a_list_of_texts_is_meant(given: object, held: object) -> None:
    made = from_options(InterpolateSettings, "interpolate", {"prompt": given}, {"images": ("a", "b")})
    assert made.prompt == held


@pytest.mark.parametrize(("given", "alpha"), [({}, None), ({"alpha": 0.03, "bend": 4.0}, 0.03), ({"bend": 4.0}, None)])
def test_a_search_takes_an_alpha_or_a_bend(given: dict, alpha: float | None) -> None:
    assert InterpolateSettings(images=PAIR, method="global", **given).alpha == alpha


def test_the_published_solver_is_that_of_the_authors_direction_unless_another_is_given() -> None:
    made = InterpolateSettings(images=PAIR, solver="published")
    assert (made.method, made.density, made.alpha) == ("geodesic", "paper", None)
    assert InterpolateSettings(images=PAIR, solver="published", density="conditional").density == "conditional"
    assert InterpolateSettings(images=PAIR, solver="relaxation").density == "conditional"


def test_what_may_change_when_a_run_goes_on_is_marked() -> None:
    assert free_in(MeanSettings(images=("a", "b"))) == ("moves",)
    assert free_in(EvaluateSettings(sources=("frames",))) == ("limit",)
    assert {"max_train_steps", "report_to"} < set(free_in(FinetuneSettings(data="images")))
    assert free_in(InterpolateSettings(images=("a", "b"))) == ()
