"""`geodesic toy`: what it claims about a path is true of the closed form, and the folder holds what it promises."""

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import geodesic_cli
from geodesic_cli import media
from geodesic_cli.errors import InputError
from geodesic_cli.geometry import Curve, DensityMetric, Status, analyse
from geodesic_cli.runs.names import first_free
from geodesic_cli.runs.observer import Silent
from geodesic_cli.runs.tensors import read_tensors
from geodesic_cli.settings import DENSITIES, ToySettings
from geodesic_cli.verbs.toy.computing import bend_per_alpha
from geodesic_cli.verbs.toy.result import Toy
from geodesic_cli.verbs.toy.run import NAMED, stem, toy
from geodesic_cli.verbs.toy.run import run as verb_run
from helpers import into_folder, normal

run = into_folder(verb_run)


@pytest.fixture(scope="module", params=DENSITIES)
def result(request: pytest.FixtureRequest) -> Toy:
    return toy(request.param, rays=3)


@pytest.fixture
def cloud(tmp_path: Path) -> Path:
    """Points about a half circle."""
    angle = torch.linspace(0, 3.14159, 200, dtype=torch.float64)
    points = torch.stack([angle.cos(), angle.sin()], 1) + 0.12 * normal(200, 2)
    path = tmp_path / "arch.csv"
    path.write_text("\n".join(f"{x},{y}" for x, y in points.tolist()))
    return path


def test_every_density_that_the_settings_name_can_be_made() -> None:
    assert set(NAMED) == set(DENSITIES)


def test_the_geodesic_is_one_and_is_shorter_and_denser_than_the_straight_line(result: Toy) -> None:
    assert result.converged
    assert result.status == Status.CONVERGED.value
    assert result.metrics["length_ratio"] < 0.7
    assert result.geodesic_report.min_log_density > result.straight_report.min_log_density + 1
    assert result.geodesic_report.mean_log_density > result.straight_report.mean_log_density
    fresh = result.metric.residual(result.solution.curve.refine(), order=4).relative
    assert fresh < 3 * ToySettings().tol


def test_what_the_score_tells_agrees_with_the_true_density(result: Toy) -> None:
    x = result.geodesic.x
    true = result.density.log_prob(x)
    assert float((result.geodesic_report.log_density - (true - true[0])).abs().max()) < 1e-3
    assert result.metrics["closed_form"]["largest_error_of_the_line_integral"] < 1e-3
    weight = (-result.metric.alpha * (true - true[0])).exp()
    length = float(((weight[1:] + weight[:-1]) / 2 * (x[1:] - x[:-1]).norm(dim=1)).sum())
    assert result.metrics["paths"]["geodesic"]["length"] == pytest.approx(length, rel=1e-4)


def test_the_first_and_the_last_point_are_a_and_b(result: Toy) -> None:
    _, a, b = NAMED[result.name]
    for curve in (result.straight, result.geodesic):
        assert (tuple(curve.x[0].tolist()), tuple(curve.x[-1].tolist())) == (a, b)


def test_the_history_begins_near_the_straight_line_and_ends_with_the_geodesic(result: Toy) -> None:
    first, last = result.history[0], result.history[-1]
    assert first.log_length == pytest.approx(result.straight_report.log_length, abs=0.2)
    assert last.log_length == pytest.approx(result.geodesic_report.log_length, abs=1e-3)
    calls = [moment.score_calls for moment in result.history]
    assert calls == sorted(calls)
    assert calls[-1] == result.solution.score_calls == result.metrics["evaluations"]["path"]


def test_the_rays_leave_a_at_equal_angles_and_are_geodesics(result: Toy) -> None:
    assert len(result.rays) == 3
    starts = [ray.velocity(order=4)[0] for ray in result.rays]
    turns = [torch.atan2(v[1], v[0]) for v in starts]
    gaps = [float(torch.remainder(b - a, 2 * torch.pi)) for a, b in pairwise(turns)]
    assert gaps == pytest.approx([torch.pi / 3] * 2, abs=0.02)
    for ray in result.rays:
        assert analyse(result.metric, ray).relative_residual < 0.1


def test_the_film_is_light_and_moves(tmp_path: Path) -> None:
    frames = toy("ring", rays=3).film()
    assert 2 < len(frames) <= 40
    assert not torch.equal(frames[0], frames[-1])
    assert torch.equal(frames[-2], frames[-1])
    media.write_gif(frames, tmp_path / "a.gif", 12)
    assert (tmp_path / "a.gif").stat().st_size < 3e6


@pytest.mark.slow
def test_the_same_seed_gives_the_same_pictures(tmp_path: Path) -> None:
    for name in ("one", "two"):
        run(ToySettings(density="banana", rays=1, out=str(tmp_path / name)), Silent(), "test")
    for name in ("toy.png", "evolution.png", "evolution.gif", "path.safetensors"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes(), name


def test_a_run_leaves_a_folder_with_all_that_it_lists(tmp_path: Path) -> None:
    result = run(ToySettings(density="ring", out=str(tmp_path / "o"), rays=2), Silent(), "geodesic toy ring")
    manifest = json.loads((tmp_path / "o" / "manifest.json").read_text())
    names = sorted(path.name for path in (tmp_path / "o").iterdir())
    assert manifest["files"] == [name for name in names if name != "manifest.json"]
    assert {"toy.png", "evolution.png", "evolution.gif", "metrics.json", "path.safetensors"} <= set(names)
    assert manifest["status"] == result.status
    assert manifest["settings"]["density"] == "ring"
    assert json.loads((tmp_path / "o" / "metrics.json").read_text())["rays"]["count"] == 2
    with Image.open(tmp_path / "o" / "toy.png") as picture:
        assert picture.width > picture.height > 500
    tensors, about = read_tensors(tmp_path / "o" / "path.safetensors")
    assert torch.equal(tensors["x"], result.solution.curve.x)
    assert float(about["alpha"]) == result.metric.alpha


def test_without_a_film_and_without_rays_there_are_none(tmp_path: Path) -> None:
    result = run(ToySettings(density="ring", out=str(tmp_path / "o"), rays=0, gif=False), Silent(), "test")
    assert result.rays == ()
    assert not (tmp_path / "o" / "evolution.gif").exists()


def test_points_give_a_density_with_ends_on_it(cloud: Path) -> None:
    result = toy(points=cloud, rays=1)
    assert result.name == "arch"
    assert result.points is not None and result.points.shape == (200, 2)
    a, b = result.straight.x[0], result.straight.x[-1]
    assert float(a[0]) < -0.7 and float(b[0]) > 0.7
    assert result.converged
    assert float(result.geodesic.x[len(result.geodesic.x) // 2, 1]) > 0.5  # over the arch
    assert len(result.rays) == 1


def test_a_single_gaussian_has_ends_on_both_sides(tmp_path: Path) -> None:
    path = tmp_path / "blob.npy"
    np.save(path, normal(300, 2).numpy())
    result = toy(points=path, components=1, rays=0)
    assert result.metrics["components"] == 1
    assert float((result.straight.x[-1] - result.straight.x[0])[0]) > 2


@pytest.mark.parametrize("place", [(50.0, 40.0), (1e8, 3.0), (0.0, 0.0)])
def test_a_place_far_off_the_density_or_in_its_hollow_still_works(place: tuple[float, float], tmp_path: Path) -> None:
    result = toy("ring", b=place, rays=3)
    assert result.geodesic.x[-1].tolist() == list(place)
    assert bool(result.geodesic.x.isfinite().all())
    result.draw(tmp_path / "a.png")
    result.draw_evolution(tmp_path / "b.png")
    assert place != (1e8, 3.0) or len(result.film()) > 1


def test_a_line_through_the_middle_of_a_symmetric_density_gets_a_sensible_exponent() -> None:
    density = NAMED["ring"][0]()
    x = torch.tensor([[-2.0, 0.0], [2.0, 0.0], [-1.9, 0.6], [1.9, 0.6]], dtype=torch.float64)
    through, beside = (bend_per_alpha(density, Curve.straight(x[k], x[k + 1], 33)) for k in (0, 2))
    assert 0.2 < through / beside < 5
    there, back = (bend_per_alpha(density, Curve.straight(x[i], x[j], 33)) for i, j in ((2, 3), (3, 2)))
    assert there == pytest.approx(back)
    assert toy("ring", a=(-2, 0), b=(2, 0), rays=0).converged


def test_alpha_overrides_the_bend_and_zero_is_the_straight_line() -> None:
    result = toy("ring", alpha=0.0, rays=0)
    assert result.metric == DensityMetric(result.density, 0.0)
    assert result.metrics["length_ratio"] == pytest.approx(1, abs=1e-3)
    assert toy("ring", alpha=0.3, bend=100.0, rays=0).metric.alpha == 0.3


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"density": "rnig"}, "The densities are ring, banana, moons; got 'rnig'. Did you mean 'ring'?"),
        ({"density": "pudding"}, "For a density of your own pass --points FILE."),
        ({"a": (1.9, 0.6)}, "A and B are both 1.9,0.6. Pass another --a X,Y or --b X,Y."),
        ({"a": "1"}, "--a takes two numbers X,Y; got '1'. Pass --a 1.5,-2 for instance."),
        ({"b": "1,nan"}, "--b takes two numbers X,Y; got '1,nan'."),
        ({"b": (1, 2, 3)}, "--b takes two numbers X,Y; got '1.0,2.0,3.0'."),
        ({"rays": -1}, "--rays takes numbers from 0 to 200; got -1."),
        ({"components": 0}, "--components takes numbers from 1"),
        ({"points": "no.csv"}, "no.csv does not exist."),
        ({"benf": 1}, "toy() has no option 'benf'."),
        ({"out": "o"}, "toy() has no option 'out'."),
    ],
)
def test_what_cannot_be_used_is_one_sentence(options: dict, words: str) -> None:
    with pytest.raises(InputError) as caught:
        geodesic_cli.toy(**options)
    assert words in str(caught.value)


def test_a_refused_run_touches_no_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError):
        run(ToySettings(density="ring", a="1,1", b="1,1", out=str(tmp_path / "o")), Silent(), "test")
    assert not (tmp_path / "o").exists()


def test_the_first_free_folder_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert first_free("runs/" + stem(ToySettings(density="moons"))) == "runs/toy-moons"
    (tmp_path / "runs" / "toy-moons").mkdir(parents=True)
    assert first_free("runs/" + stem(ToySettings(density="moons"))) == "runs/toy-moons-2"
    assert first_free("runs/" + stem(ToySettings(points="data/my points.csv"))) == "runs/toy-my points"
