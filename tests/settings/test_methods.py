"""Methods by their names: lists of them in every shape, each once, and what no method is."""

import pytest

from geodesic_cli.errors import InputError
from geodesic_cli.settings import EvaluateSettings, InterpolateSettings, from_mapping, from_options
from geodesic_cli.settings.methods import COMPARED_WITH, SOURCES, method_reason

PAIR = ("a.png", "b.png")


@pytest.mark.parametrize(
    ("given", "compare", "methods"),
    [
        (True, COMPARED_WITH, ("lerp", "slerp", "geodesic", "global")),
        ("Yes", COMPARED_WITH, ("lerp", "slerp", "geodesic", "global")),
        (False, "none", ("global",)),
        ("none", "none", ("global",)),
        ("local,geodesic, slerp", "geodesic,slerp", ("geodesic", "slerp", "global")),
        (["published", "attention"], "published,attention", ("published", "attention", "global")),
        ("global,blend", "global,blend", ("global", "blend")),
    ],
)
def test_a_list_of_methods_is_read_in_every_shape_and_none_is_twice(given, compare: str, methods: tuple) -> None:
    made = InterpolateSettings(images=PAIR, method="global", compare=given)
    assert (made.compare, made.methods) == (compare, methods)
    assert from_mapping(InterpolateSettings, {"images": list(PAIR), "method": "global", "compare": given}) == made
    assert from_options(InterpolateSettings, "x", {"compare": given, "method": "global"}, {"images": PAIR}) == made


@pytest.mark.parametrize(
    ("given", "told"),
    [("slrep", "got 'slrep'. Did you mean 'slerp'?"), (",", "needs one method at least"), ("locl", "mean 'local'?")],
)
def test_what_is_no_method_is_one_sentence(given: str, told: str) -> None:
    with pytest.raises(InputError) as caught:
        InterpolateSettings(images=PAIR, compare=given)
    assert told in str(caught.value) and str(caught.value).startswith("--compare ")


def test_local_is_another_name_and_published_has_the_settings_of_its_authors() -> None:
    assert InterpolateSettings(images=PAIR, method="local").method == "geodesic"
    assert EvaluateSettings(pairs="x", methods="local,published, geodesic").chosen == ("geodesic", "published")
    made = InterpolateSettings(images=PAIR, method="published")
    assert (made.density, made.tau) == ("paper", 0.6)
    assert made.text_option == ("method", "published")
    assert InterpolateSettings(images=PAIR, compare="published").density == "conditional"


def test_a_search_for_comparison_needs_a_density_that_it_takes() -> None:
    with pytest.raises(InputError, match="global search takes"):
        InterpolateSettings(images=PAIR, method="published", compare="global")


def test_every_method_says_where_it_is_from() -> None:
    assert all(text.endswith(".") and len(text) > 30 for text in SOURCES.values())
    for method, paper in {"attention": "AID", "published": "CVPR 2025", "corrected": "NoiseDiffusion"}.items():
        assert paper in SOURCES[method]


def test_a_method_that_nobody_asked_for_is_explained() -> None:
    assert "better way on 50 pairs with clevr-mini" in method_reason("global", "clevr-mini", 2)
    assert "neighbours in a clip" in method_reason("geodesic", "clevr-mini", 1)
    assert "of the local solver is asked for" in method_reason("geodesic", "clevr-mini", 2)
    assert "better way on 59 pairs with emoji-mini" in method_reason("geodesic", "emoji-mini", 2)
    assert "nothing was measured with this model" in method_reason("geodesic", "sd15", 3)
