"""Scenes: labels, captions, sampling and motion."""

import math

import pytest
import torch

from geodesic_cli.errors import InputError
from geodesic_cli.scenes import COLOURS, MATERIALS, SHAPES, Scene, Solid, motion, sample
from geodesic_cli.scenes.scene import SIZE_RANGE, X_RANGE, Y_RANGE


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_a_caption_names_colour_material_and_shape_of_every_solid() -> None:
    scene = Scene((Solid("sphere", "red"), Solid("cube", "blue", "metal")))
    assert scene.caption == "a red rubber sphere and a blue metal cube"
    assert Scene(()).caption == "an empty table"


def test_the_same_seed_gives_the_same_scenes() -> None:
    assert sample(5, seeded(3), solids=2) == sample(5, seeded(3), solids=2)
    assert sample(5, seeded(3)) != sample(5, seeded(4))


def test_samples_use_the_whole_vocabulary_and_stay_in_range() -> None:
    solids = [solid for scene in sample(400, seeded()) for solid in scene.solids]
    assert {s.shape for s in solids} == set(SHAPES)
    assert {s.colour for s in solids} == set(COLOURS)
    assert {s.material for s in solids} == set(MATERIALS)
    for values, (low, high) in (
        ([s.x for s in solids], X_RANGE),
        ([s.y for s in solids], Y_RANGE),
        ([s.size for s in solids], SIZE_RANGE),
    ):
        assert low <= min(values) < low + 0.1 * (high - low)
        assert high - 0.1 * (high - low) < max(values) <= high


def test_two_solids_never_stand_in_each_other() -> None:
    for scene in sample(200, seeded(), solids=2):
        one, other = scene.solids
        assert math.dist((one.x, one.y), (other.x, other.y)) > one.size + other.size


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [("shape", "cone", "sphere, cube, cylinder"), ("colour", "pink", "gray, red"), ("material", "glass", "rubber")],
)
def test_an_unknown_word_is_answered_with_the_known_ones(field: str, value: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        Solid(**{"shape": "cube", "colour": "red", field: value})


def test_a_solid_needs_a_positive_size_and_a_scene_at_most_two_solids() -> None:
    with pytest.raises(InputError, match="positive"):
        Solid("cube", "red", size=0)
    with pytest.raises(InputError, match="at most two"):
        Scene((Solid("cube", "red"),) * 3)


def test_motions_have_the_exact_number_of_scenes_and_end_where_they_should() -> None:
    start = Scene((Solid("cube", "red", x=-0.5, y=0.2, size=0.6), Solid("sphere", "blue", x=1.0)))
    moved = list(motion("translation", start, 5, 1.0))
    assert len(moved) == 5
    assert moved[0] == start
    assert moved[-1].solids[0].x == pytest.approx(0.5)
    assert all(scene.solids[1] == start.solids[1] for scene in moved)
    assert list(motion("rotation", start, 3, 0.8))[-1].solids[0].rotation == pytest.approx(0.8)
    assert list(motion("growth", start, 3, math.log(1.2)))[-1].solids[0].size == pytest.approx(0.72)
    round_the_table = [scene.solids[0] for scene in motion("orbit", start, 9, math.pi)]
    assert all(math.hypot(s.x, s.y) == pytest.approx(math.hypot(-0.5, 0.2)) for s in round_the_table)
    assert (round_the_table[-1].x, round_the_table[-1].y) == pytest.approx((0.5, -0.2))


def test_a_clip_that_cannot_be_is_refused() -> None:
    start = Scene((Solid("cube", "red"),))
    with pytest.raises(InputError, match="at least 2 frames"):
        list(motion("translation", start, 1))
    with pytest.raises(InputError, match="translation, rotation, growth or orbit"):
        list(motion("jump", start, 3))
    with pytest.raises(InputError, match="empty"):
        list(motion("growth", Scene(()), 3))
