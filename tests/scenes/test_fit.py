"""The scene that best explains an image: exact on renderings, honest on anything else."""

import math
from functools import cache

import pytest
import torch

from geodesic_cli.errors import InputError
from geodesic_cli.scenes import Fit, Scene, Solid, fit_all, render, sample

SCENES = sample(10, torch.Generator().manual_seed(11))
IMAGES = render(SCENES)


@cache
def fits() -> list[Fit]:
    """Of all scenes; every process that collects the tests would make them otherwise."""
    return fit_all(IMAGES)


def fit(image: torch.Tensor, solids: int = 1) -> Fit:
    return fit_all(image[None], solids)[0]


@pytest.mark.slow
def test_renderings_are_explained_by_their_own_labels() -> None:
    for scene, found in zip(SCENES, fits(), strict=True):
        truth, guess = scene.solids[0], found.scene.solids[0]
        assert (guess.shape, guess.colour, guess.material) == (truth.shape, truth.colour, truth.material)


def test_position_and_size_are_found_to_a_fraction_of_a_pixel() -> None:
    # A pixel is 0.07 world units at the centre of the table, and more in depth.
    for name, median, worst in (("x", 0.01, 0.07), ("y", 0.02, 0.15), ("size", 0.01, 0.05)):
        off = torch.tensor(
            [
                abs(getattr(scene.solids[0], name) - getattr(found.scene.solids[0], name))
                for scene, found in zip(SCENES, fits(), strict=True)
            ]
        )
        assert float(off.median()) < median, name
        assert float(off.max()) < worst, name


def test_the_error_of_a_rendering_is_small_and_that_of_an_empty_table_is_one() -> None:
    errors = torch.tensor([found.error for found in fits()])
    assert float(errors.median()) < 0.04
    assert float(errors.max()) < 0.3
    assert fit(render([Scene(())])[0]).error == pytest.approx(1.0, abs=0.05)


def test_a_double_exposure_is_far_from_every_scene() -> None:
    blends = torch.stack([(IMAGES[k] + IMAGES[k + 1]) / 2 for k in range(6)])
    errors = torch.tensor([found.error for found in fit_all(blends)])
    assert float(errors.min()) > 0.35


def test_noise_is_farther_from_a_scene_than_an_empty_table() -> None:
    assert fit(torch.rand(3, 64, 64, generator=torch.Generator().manual_seed(0))).error > 1.2


def test_a_little_noise_leaves_the_labels_alone() -> None:
    noise = 0.016 * torch.randn(IMAGES[:4].shape, generator=torch.Generator().manual_seed(1))
    for scene, found in zip(SCENES, fit_all((IMAGES[:4] + noise).clamp(0, 1)), strict=False):
        assert found.scene.solids[0].colour == scene.solids[0].colour
        assert found.scene.solids[0].shape == scene.solids[0].shape


def test_a_fit_does_not_depend_on_the_batch() -> None:
    alone = fit(IMAGES[3])
    assert alone.error == pytest.approx(fits()[3].error, abs=1e-4)
    assert alone.scene.solids[0].x == pytest.approx(fits()[3].scene.solids[0].x, abs=1e-4)


def test_larger_images_give_the_same_scene() -> None:
    large = fit(render([SCENES[0]], 160)[0])
    assert large.scene.solids[0].shape == SCENES[0].solids[0].shape
    assert large.scene.solids[0].x == pytest.approx(SCENES[0].solids[0].x, abs=0.03)


def test_two_solids_are_found_where_there_are_two_and_one_where_there_is_one() -> None:
    pair = Scene((Solid("cube", "red", x=-0.9, rotation=0.4), Solid("sphere", "blue", "metal", x=0.9, y=0.4)))
    found = fit(render([pair])[0], solids=2)
    assert {(s.shape, s.colour) for s in found.scene.solids} == {("cube", "red"), ("sphere", "blue")}
    assert found.error < 0.15
    assert len(fit(IMAGES[0], solids=2).scene.solids) == 1


def test_rotation_of_a_cube_is_found_modulo_a_quarter_turn() -> None:
    scene = Scene((Solid("cube", "yellow", x=0.1, y=-0.6, size=0.8, rotation=0.5 + math.pi),))
    found = fit(render([scene])[0]).scene.solids[0].rotation
    assert abs((found - 0.5 + math.pi / 4) % (math.pi / 2) - math.pi / 4) < 0.05


@pytest.mark.parametrize(
    ("images", "solids", "message"),
    [
        (torch.zeros(2, 64, 64), 1, "shape"),
        (torch.full((1, 3, 64, 64), math.nan), 1, "finite"),
        (torch.zeros(1, 3, 64, 64), 3, "one or two"),
    ],
)
def test_what_cannot_be_fitted_is_refused_in_a_sentence(images: torch.Tensor, solids: int, message: str) -> None:
    with pytest.raises(InputError, match=message):
        fit_all(images, solids)
