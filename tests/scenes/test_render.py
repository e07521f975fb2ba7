"""The ray tracer against geometry that can be worked out by hand."""

import math
import sys
from dataclasses import replace

import pytest
import torch

from geodesic_cli.errors import InputError
from geodesic_cli.scenes import Scene, Solid, render, sample
from geodesic_cli.scenes.render import render_tensors
from geodesic_cli.scenes.scene import SceneTensors

EMPTY = render([Scene(())])[0]


def touched(scene: Scene, size: int = 64) -> torch.Tensor:
    return (render([scene], size)[0] - render([Scene(())], size)[0]).abs().amax(0) > 0.02


def test_images_are_in_range_float32_and_of_the_size_asked_for() -> None:
    scenes = sample(4, torch.Generator().manual_seed(0), solids=2)
    images = render(scenes, (48, 80))
    assert images.shape == (4, 3, 48, 80)
    assert images.dtype == torch.float32
    assert images.is_contiguous()
    assert float(images.min()) >= 0
    assert float(images.max()) <= 1
    assert render([], 32).shape == (0, 3, 32, 32)


def test_rendering_is_a_pure_function_of_the_scene_whatever_else_is_in_the_batch() -> None:
    scenes = sample(70, torch.Generator().manual_seed(1))
    together = render(scenes)
    assert torch.equal(together, render(scenes))
    assert torch.equal(together[67], render([scenes[67]])[0])


def test_a_solid_off_to_the_left_changes_only_the_left() -> None:
    left = touched(Scene((Solid("sphere", "red", x=-1.2, y=0.5),)))
    assert left[:, :32].any()
    assert not left[:, 40:].any()


def test_mirrored_positions_have_mirrored_outlines() -> None:
    # The light is not symmetric, so the outline is compared: pixels much redder than the table.
    def outline(x: float) -> torch.Tensor:
        image = render([Scene((Solid("sphere", "red", x=x, y=0.3),))], 128)[0]
        return image[0] - image[2] > 0.12

    assert (outline(0.8) != outline(-0.8).flip(1)).float().mean() < 0.003


def test_a_sphere_covers_the_solid_angle_that_it_subtends() -> None:
    camera = sys.modules["geodesic_cli.scenes.render"]  # the package's attribute of that name is the function
    size = 0.7
    eye = torch.tensor(camera._EYE)
    distance = float((torch.tensor([0.0, 0.0, size]) - eye).norm())
    angle = math.asin(size / distance)
    pixel = 2 * camera._HALF_VIEW / 256
    expected = math.pi * (math.tan(angle) / pixel) ** 2  # a disc, but for a small perspective stretch
    image = render([Scene((Solid("sphere", "yellow", size=size),))], 256)[0]
    seen = float(((image[0] - image[2]) > 0.2).sum())
    assert seen == pytest.approx(expected, rel=0.06)


def test_a_larger_or_nearer_solid_covers_more_pixels() -> None:
    base = Solid("cube", "green", y=0.0, size=0.6)
    area = touched(Scene((base,))).sum()
    assert touched(Scene((replace(base, size=0.8),))).sum() > 1.3 * area
    assert touched(Scene((replace(base, y=-1.0),))).sum() > 1.1 * area


def test_the_nearer_solid_hides_the_farther_one() -> None:
    near, far = Solid("cube", "red", y=-1.0, size=0.8), Solid("sphere", "blue", y=1.2, size=0.5)
    both = render([Scene((near, far))])[0]
    swapped = render([Scene((far, near))])[0]
    assert torch.allclose(both, swapped, atol=1e-6)
    alone = render([Scene((near,))])[0]
    red = alone[0] - alone[2] > 0.3
    assert float((both - alone).abs()[:, red].max()) < 0.35  # the shadow may fall on it, blue never shows


def test_a_cube_turned_by_a_quarter_is_the_same_cube_and_by_an_eighth_is_not() -> None:
    cube = Solid("cube", "purple", rotation=0.2)
    quarter, eighth = (replace(cube, rotation=0.2 + part * math.pi) for part in (0.5, 0.25))
    images = render([Scene((s,)) for s in (cube, quarter, eighth)])
    assert torch.allclose(images[0], images[1], atol=1e-4)
    assert float((images[0] - images[2]).abs().max()) > 0.1


def test_a_shadow_falls_on_the_side_away_from_the_light() -> None:
    scene = Scene((Solid("cylinder", "cyan", x=0.0, y=0.0, size=0.7),))
    change = render([scene])[0] - EMPTY
    dark = (change.mean(0) < -0.05) & ((change[0] - change[2]).abs() < 0.02)  # darker and still gray: a shadow
    columns = dark.nonzero()[:, 1].float()
    assert len(columns) > 10
    assert float(columns.mean()) > 34  # the light stands to the left


def test_metal_has_a_brighter_highlight_than_rubber() -> None:
    rubber, metal = (render([Scene((Solid("sphere", "blue", m, size=0.8),))], 128)[0] for m in ("rubber", "metal"))
    assert float(metal.amin(0).max()) > float(rubber.amin(0).max()) + 0.1


def test_more_subsamples_converge_to_one_picture() -> None:
    s = SceneTensors.of(sample(3, torch.Generator().manual_seed(2)))
    fine = render_tensors(s, 64, 64, 8)
    errors = [float((render_tensors(s, 64, 64, k) - fine).pow(2).mean().sqrt()) for k in (1, 2, 4)]
    assert errors[0] > 1.6 * errors[1] > 2.5 * errors[2]
    assert errors[2] < 0.004


def test_the_picture_is_affine_in_the_base_colour() -> None:
    # `fit` finds colours in closed form on the strength of this.
    s = SceneTensors.of([Scene((Solid("sphere", "gray", "metal"),))])
    dark, half, light = (
        render_tensors(replace(s, colour=torch.full((1, 1, 3), level)), 64, 64, 2) for level in (0.0, 0.2, 0.4)
    )
    open_to_more = light < 1  # a highlight is clipped at white
    assert float(open_to_more.float().mean()) > 0.99
    assert torch.allclose(half[open_to_more], ((dark + light) / 2)[open_to_more], atol=1e-5)


def test_gradients_reach_position_and_colour() -> None:
    s = SceneTensors.of([Scene((Solid("sphere", "red"),))])
    x, colour = s.x.clone().requires_grad_(), s.colour.clone().requires_grad_()
    render_tensors(replace(s, x=x, colour=colour), 32, 32, 2).sum().backward()
    assert x.grad is not None
    assert colour.grad is not None
    assert bool(x.grad.isfinite().all())
    assert float(colour.grad.abs().sum()) > 0


def test_a_size_of_nothing_is_refused() -> None:
    with pytest.raises(InputError, match="positive size"):
        render([Scene(())], 0)
