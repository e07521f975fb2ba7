"""The global search: it finds the motion that slerp misses, pays what it says, and gives the same bits again."""

import math
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor

from geodesic_cli.diffusion import LatentDiffusion
from geodesic_cli.frames.keyframes import Ends, embed
from geodesic_cli.frames.pacing import even_positions
from geodesic_cli.frames.paths import clean_latents
from geodesic_cli.geometry import Curve, DensityMetric, Euclidean, from_both_ends
from geodesic_cli.scenes import Scene, Solid, fit_all, render, sample
from geodesic_cli.search.candidates import (
    KNOWN,
    Candidate,
    at_frames,
    doubtful_at,
    polygon,
    preferred,
)
from geodesic_cli.search.outcome import GlobalPath
from geodesic_cli.search.search import DOUBTFUL_PATH, FINISH, SearchChoice, global_path, usual_alpha
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
    return global_path(model, ends, SearchChoice(**SMALL), cache=cache)


def test_the_global_path_is_far_shorter_than_slerp(found):
    assert found.path.method == "global"
    assert found.lengths["global"] < found.lengths["slerp"] - math.log(4)
    assert found.lengths["global"] <= min(found.lengths.values())


def test_on_the_global_path_the_object_moves(model, ends, found):
    u = even_positions(model, ends, found.path, 9, 6, 1.0)
    assert not bool(at_frames(found.doubtful, u).any())
    fits = fit_all(model.decode(clean_latents(model, ends, found.path, u, 6, 1.0), ends.shape))
    assert max(f.error for f in fits) < 0.2
    x = torch.tensor([f.scene.solids[0].x for f in fits])
    assert float((x[1:] - x[:-1]).min()) > -0.05
    assert float((x[1:] - x[:-1]).max()) < 0.6


def test_the_path_that_is_taken_is_a_geodesic_at_points_that_no_solver_looked_at(model, ends, found):
    metric = DensityMetric(model.score(ends.shape, ends.tau, ends.conditioning), 0.02)
    assert found.path.solution.converged
    assert metric.residual(found.path.curve.at_constant_speed(97)).relative < 0.05
    assert found.evaluations["finish"] > 0


def test_without_budget_nothing_is_finished_and_the_path_says_so(model, ends, cache, found):
    left = global_path(model, ends, SearchChoice(**SMALL | {"budget": 0}), cache=cache)
    assert "finish" not in left.evaluations
    assert left.path.solution.residual > SearchChoice().tol
    assert left.lengths["global"] >= found.lengths["global"] - 1e-3


def test_the_ends_are_kept_bit_for_bit(ends, found):
    for curve in found.curves.values():
        assert torch.equal(curve.x[0], ends.x[0]) and torch.equal(curve.x[-1], ends.x[1])
    assert torch.equal(found.way_points[[0, -1]], ends.x)
    assert found.way_positions[[0, -1]].tolist() == [0.0, 1.0]


def test_the_same_search_gives_the_same_bits_and_counts_every_evaluation(model, ends, found, cache):
    asked: list[int] = []
    told: list[tuple[str, int]] = []
    hook = model.predict.unet.register_forward_pre_hook(lambda module, inputs: asked.append(len(inputs[0])))
    again = global_path(
        model, ends, SearchChoice(**SMALL), cache=cache, on_stage=lambda name, spent: told.append((name, spent))
    )
    hook.remove()
    assert torch.equal(again.path.curve.x, found.path.curve.x)
    assert again.lengths == found.lengths and again.history == found.history
    assert again.evaluations["pool"] == 0 < found.evaluations["pool"]
    assert sum(asked) == sum(again.evaluations.values())
    stages, spent = zip(*told, strict=True)
    assert stages == ("pool", "search", "local", "refine", "finish")  # no growth: the path is nowhere improbable
    assert list(spent) == sorted(spent)
    assert sum(again.evaluations.values()) < 700


def test_without_density_there_is_nothing_to_gain(model, ends, cache):
    flat = global_path(model, ends, SearchChoice(**SMALL | {"alpha": 0.0}), cache=cache)
    chord = float((ends.x[1] - ends.x[0]).norm())
    assert math.exp(min(flat.lengths.values())) == pytest.approx(chord, rel=0.02)


@pytest.mark.slow
def test_a_path_across_an_improbable_region_lets_the_graph_grow_while_the_budget_lasts(model, ends, cache, monkeypatch):
    monkeypatch.setattr(
        "geodesic_cli.search.search.improbable", lambda log_densities, dimension: 0.01
    )  # every path crosses one
    monkeypatch.setattr("geodesic_cli.search.search.GAIN", -1.0)
    poor = global_path(model, ends, SearchChoice(**SMALL | {"budget": 0}), cache=cache)
    assert poor.graph["rounds"] == 0 and "grow" not in poor.evaluations
    rich = global_path(model, ends, SearchChoice(**SMALL | {"budget": 1500}), cache=cache)
    assert rich.graph["rounds"] >= 2 and rich.evaluations["grow"] > 0
    assert rich.graph["nodes"] > poor.graph["nodes"]
    assert sum(rich.evaluations.values()) <= 1500
    assert rich.lengths["global"] <= poor.lengths["global"]
    assert rich.path.method == poor.path.method == "global"
    assert rich.status == DOUBTFUL_PATH


def test_a_refined_path_is_shorter_than_the_polygon_that_it_began_with(model, ends, found):
    assert len(found.way_points) >= 3
    straight = polygon(found.way_points, 257)
    metric = DensityMetric(model.score(ends.shape, ends.tau, ends.conditioning), 0.02)
    assert found.lengths["global"] < float(metric.log_length(straight)) - 0.05


@pytest.mark.slow
def test_lengths_are_those_of_a_far_finer_measure(model, ends, found):
    metric = DensityMetric(model.score(ends.shape, ends.tau, ends.conditioning), 0.02)
    u = torch.linspace(0, 1, 257, dtype=torch.float64)
    for name in ("slerp", "local", "global"):
        fine = Curve(found.curves[name](u), found.curves[name].space)
        exact = from_both_ends(float(metric.log_length(fine)), float(metric.log_density(fine)[-1]), 0.02)
        assert found.lengths[name] == pytest.approx(exact, abs=0.05)


def test_a_valley_on_the_way_is_marked_and_a_slope_is_not():
    flat = vector(0.0, 5.0, -25.0, 3.0, 4.0)
    assert doubtful_at(flat, 15.0).tolist() == [False, False, True, False, False]
    assert not bool(doubtful_at(vector(0.0, -100.0, -200.0), 15.0).any())


def test_between_paths_that_are_equally_long_the_one_over_samples_is_kept() -> None:
    def candidate(log_length: float, dip: float = 0.0, change: float = 0.0) -> Candidate:
        curve = Curve(torch.zeros(2, 2), Euclidean())
        return Candidate(curve, None, log_length, torch.tensor([0.0, -dip, 0.0, change]), falls=15.0)

    def winner(**found: Candidate) -> str:
        return preferred({"local": candidate(1.0), **found}, alpha=0.02)

    assert winner() == "local"
    assert winner(**{"global": candidate(0.9)}) == "global"
    assert winner(**{"global": candidate(1.0 + 0.9 * KNOWN)}) == "global"
    assert winner(**{"global": candidate(1.0 + 1.1 * KNOWN)}) == "local"
    assert winner(**{"global": candidate(1.0 + 0.9 * KNOWN, dip=30.0)}) == "local"
    assert winner(**{"global": candidate(0.9, dip=30.0)}) == "global"
    assert winner(**{"global": candidate(math.nan)}) == "local"
    # One end sees the global path shorter by 0.1 and the other one longer by 0.5: they do not know.
    assert winner(**{"global": candidate(1.2, change=30.0)}) == "global"
    assert winner(**{"global": candidate(1.2, change=3.0)}) == "local"


def test_a_length_is_the_same_from_either_end() -> None:
    # ln L has weight 1 at the first end; from the other end it is ln L + alpha l, and l changes its sign.
    there, change = 1.3, 40.0
    back = there + 0.02 * change
    assert from_both_ends(there, change, 0.02) == pytest.approx(from_both_ends(back, -change, 0.02))


def turned(found: GlobalPath, other: GlobalPath) -> None:
    assert found.path.method == other.path.method and found.status == other.status
    assert found.lengths == pytest.approx(other.lengths, abs=1e-6)
    assert found.comparable_to == pytest.approx(other.comparable_to, abs=1e-6)
    for name, curve in found.curves.items():
        torch.testing.assert_close(curve.x, other.curves[name].x.flip(0), rtol=0, atol=1e-5)
        if name in found.changes:
            assert found.changes[name] == pytest.approx(-other.changes[name], abs=1e-3)
    torch.testing.assert_close(found.way_positions, 1 - other.way_positions.flip(0))
    torch.testing.assert_close(found.log_density, (other.log_density - other.log_density[-1]).flip(0))
    assert torch.equal(found.doubtful, other.doubtful.flip(0))
    torch.testing.assert_close(found.points[:2], other.points[:2].flip(0), rtol=0, atol=1e-5)
    assert found.densities[0] == 0
    linked = {tuple(sorted(pair)) for pair in found.links.tolist()}
    assert linked == {tuple(sorted({0: 1, 1: 0}.get(k, k) for k in pair)) for pair in other.links.tolist()}


def test_the_images_in_the_other_order_give_the_reversed_path(model, found, cache):
    ends = embed(model, render([sphere(0.9, 0.2), sphere(-0.9, -0.2)]), PROMPT, 0.1, 12)
    turned(global_path(model, ends, SearchChoice(**SMALL), cache=cache), found)


def test_what_was_found_reads_backwards_and_forwards_again(found):
    again = found.reversed.reversed
    assert torch.equal(again.path.curve.x, found.path.curve.x)
    assert torch.equal(again.points, found.points) and torch.equal(again.links, found.links)
    torch.testing.assert_close(again.densities, found.densities)
    turned(found.reversed, found)


@pytest.mark.slow
def test_of_twenty_pairs_of_the_study_all_give_the_reversed_path(model, tmp_path):
    studies = str(Path(__file__).parents[2] / "examples" / "studies")
    sys.path[:0] = [studies, f"{studies}/global"]
    from shared import make_pairs

    for pair in make_pairs(50)[:20]:
        found = []
        for scenes in (pair, pair[::-1]):
            ends = embed(model, render(list(scenes)), tuple(scene.caption for scene in scenes), 0.1, 12)
            found.append(global_path(model, ends, cache=tmp_path))
        turned(*found)


def test_points_along_a_polygon_are_evenly_spaced():
    corners: Tensor = torch.tensor([[0.0, 0.0], [1.0, 0.0], [1.0, 0.0], [1.0, 3.0]], dtype=torch.float64)
    curve = polygon(corners, 5)
    torch.testing.assert_close(curve.segments, torch.ones(4, dtype=torch.float64))
    assert torch.equal(curve.x[[0, -1]], corners[[0, -1]])


@pytest.mark.slow
def test_the_same_picture_in_more_pixels_has_the_same_path(model: LatentDiffusion) -> None:
    """A ring with a gap: the long way round is known to be shorter by 6.06 in the logarithm, in any dimension."""
    from importlib.util import module_from_spec, spec_from_file_location

    file = Path(__file__).parents[2] / "examples/studies/global/dimensions.py"
    spec = spec_from_file_location("dimensions", file)
    assert spec is not None and spec.loader is not None
    study = module_from_spec(spec)
    spec.loader.exec_module(study)
    for dimension in (64, 256):
        network, alpha = study.Mixture(dimension, model.predict.schedule), usual_alpha(dimension)
        found, _ = study.searched(model, network, alpha)
        long_way, short_way = study.truth(dimension, network, alpha)
        assert short_way - long_way == pytest.approx(6.06, abs=0.03)
        assert found.path.method == "global" and not bool(found.doubtful.any())
        assert 0 <= found.lengths["global"] - long_way < 0.4
        assert found.lengths["local"] > long_way + 5


@pytest.mark.slow
def test_a_path_through_a_narrow_valley_is_finished_within_its_evaluations(model, cache):
    # Pair 3 of the study of global paths: refined, it has a residual of 0.4; with the usual steps the solver left it.
    scenes = sample(8, torch.Generator().manual_seed(70_001))[6:]
    ends = embed(model, render(scenes), tuple(scene.caption for scene in scenes), 0.1, 12)
    choice = SearchChoice(alpha=0.02)
    found = global_path(model, ends, choice, cache=cache)
    metric = DensityMetric(model.score(ends.shape, ends.tau, ends.conditioning), 0.02)
    assert found.path.method == "global" and found.path.solution.converged
    assert found.evaluations["finish"] <= FINISH * choice.nodes
    assert metric.residual(found.path.curve.at_constant_speed(97)).relative < 0.05
