"""The global search: it finds the motion that slerp misses, pays what it says, and gives the same bits again."""

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor

from geodesic_cli.diffusion import LatentDiffusion
from geodesic_cli.scenes import Scene, Solid, fit_all, render
from geodesic_cli.tasks.global_path import DOUBTFUL, GlobalPath, _doubtful, _polygon, global_path
from geodesic_cli.tasks.keyframes import Ends, embed
from geodesic_cli.tasks.pacing import even_positions
from geodesic_cli.tasks.paths import clean
from helpers import vector

PROMPT = ("a red rubber sphere",)
SMALL = {"pool_size": 64, "nodes": 17, "max_steps": 15}


def sphere(x: float, y: float) -> Scene:
    return Scene((Solid("sphere", "red", x=x, y=y, size=0.65),))


@pytest.fixture(scope="module")
def ends(model: LatentDiffusion) -> Ends:
    return embed(model, render([sphere(-0.9, -0.2), sphere(0.9, 0.2)]), PROMPT, 0.1, 12)


@pytest.fixture(scope="module")
def cache(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("pools")


@pytest.fixture(scope="module")
def found(model: LatentDiffusion, ends: Ends, cache: Path) -> GlobalPath:
    return global_path(model, ends, cache=cache, **SMALL)


def test_the_global_path_is_far_shorter_than_slerp(found):
    assert found.path.method == "global"
    assert found.lengths["global"] < found.lengths["slerp"] - math.log(4)
    assert found.lengths["global"] <= min(found.lengths.values())


def test_on_the_global_path_the_object_moves(model, ends, found):
    u = even_positions(model, ends, found.path, 9, 6, 1.0)
    assert not bool(found.marked(u).any())
    fits = fit_all(model.decode(clean(model, ends, found.path, u, 6, 1.0), ends.shape))
    assert max(f.error for f in fits) < 0.2
    x = torch.tensor([f.scene.solids[0].x for f in fits])
    assert float((x[1:] - x[:-1]).min()) > -0.05
    assert float((x[1:] - x[:-1]).max()) < 0.6


def test_the_ends_are_kept_bit_for_bit(ends, found):
    for curve in found.curves.values():
        assert torch.equal(curve.x[0], ends.x[0]) and torch.equal(curve.x[-1], ends.x[1])
    assert torch.equal(found.way_points[[0, -1]], ends.x)
    assert found.way_positions[[0, -1]].tolist() == [0.0, 1.0]


def test_the_same_search_gives_the_same_bits_and_counts_every_evaluation(model, ends, found, cache):
    asked: list[int] = []
    told: list[tuple[str, int]] = []
    hook = model.predict.unet.register_forward_pre_hook(lambda module, inputs: asked.append(len(inputs[0])))
    again = global_path(model, ends, cache=cache, on_stage=lambda name, spent: told.append((name, spent)), **SMALL)
    hook.remove()
    assert torch.equal(again.path.curve.x, found.path.curve.x)
    assert again.lengths == found.lengths and again.history == found.history
    assert again.evaluations["pool"] == 0 < found.evaluations["pool"]
    assert sum(asked) == sum(again.evaluations.values())
    stages, spent = zip(*told, strict=True)
    assert stages == ("pool", "search", *(["grow"] * int(again.graph["rounds"])), "local", "refine")
    assert list(spent) == sorted(spent)


def test_without_a_budget_nothing_grows_and_without_density_there_is_nothing_to_gain(model, ends, cache):
    flat = global_path(model, ends, cache=cache, alpha=0.0, budget=0, **SMALL)
    assert flat.graph["rounds"] == 0 and "grow" not in flat.evaluations
    chord = float((ends.x[1] - ends.x[0]).norm())
    assert math.exp(min(flat.lengths.values())) == pytest.approx(chord, rel=0.02)


def test_a_valley_on_the_way_is_marked_and_a_slope_is_not():
    flat = vector(0.0, 5.0, 5.0 - 2 * DOUBTFUL, 3.0, 4.0)
    assert _doubtful(flat).tolist() == [False, False, True, False, False]
    assert not bool(_doubtful(vector(0.0, -100.0, -200.0)).any())


def test_points_along_a_polygon_are_evenly_spaced():
    corners: Tensor = torch.tensor([[0.0, 0.0], [1.0, 0.0], [1.0, 0.0], [1.0, 3.0]], dtype=torch.float64)
    curve = _polygon(corners, 5)
    torch.testing.assert_close(curve.segments, torch.ones(4, dtype=torch.float64))
    assert torch.equal(curve.x[[0, -1]], corners[[0, -1]])
