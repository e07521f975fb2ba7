"""`geodesic distance`: order, what is written, resuming, and what is refused."""

import csv
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

import geodesic_cli
from geodesic_cli import media
from geodesic_cli.diffusion import LatentDiffusion
from geodesic_cli.errors import InputError
from geodesic_cli.geometry import Status
from geodesic_cli.runs.job import Job
from geodesic_cli.runs.observer import Silent
from geodesic_cli.scenes import Scene, Solid, render
from geodesic_cli.settings import DistanceSettings, shared
from geodesic_cli.verbs.distance.run import Distances, distance, dry_run, run
from helpers import Recorder, into_folder

run_in = into_folder(run)


def along_a_line(places: list[float]) -> Tensor:
    return render([Scene((Solid("sphere", "red", x=x, y=0.1),)) for x in places])


@pytest.fixture(scope="module")
def line(model: LatentDiffusion) -> Distances:
    """Four scenes along a line, not given in their order."""
    return distance(*along_a_line([-0.3, -0.75, 0.15, -0.52]), model=model)


@pytest.fixture(scope="module")
def frames(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("frames")
    for k, image in enumerate(along_a_line([-0.3, -0.1, 0.1])):
        media.write_png(image, folder / f"{k}.png")
    return str(folder)


def test_distances_along_a_line_have_its_order(line: Distances) -> None:
    order = [1, 3, 0, 2]
    d = line.distances[order][:, order]
    for i in range(4):
        assert d[i, i:].tolist() == sorted(d[i, i:].tolist())
        assert d[i, : i + 1].tolist() == sorted(d[i, : i + 1].tolist(), reverse=True)
    assert torch.equal(line.distances, line.distances.T)
    assert [near[0] for near in line.nearest(1)] in ([3, 3, 0, 1], [3, 3, 0, 0])


def test_every_distance_has_an_uncertainty_and_what_it_cost(line: Distances) -> None:
    apart = ~torch.eye(4, dtype=torch.bool)
    assert bool((line.spreads[apart] > 0).all())
    assert float(line.spreads[line.converged & apart].max()) < 0.1
    assert line.metrics["evaluations"] < 800
    assert line.metrics["dimension"] == 256
    assert abs(line.metrics["bend"] - shared.BEND) < 1e-9


def test_the_row_that_is_not_converged_is_marked_so(model: LatentDiffusion, tmp_path: Path) -> None:
    images = along_a_line([-0.9, 0.9])
    for k, image in enumerate(images):
        media.write_png(image, tmp_path / f"{k}.png")
    files = tuple(str(tmp_path / f"{k}.png") for k in range(2))
    made = run_in(DistanceSettings(images=files, out=str(tmp_path / "run"), device="cpu", max_steps=1))
    assert not made.converged[0, 1]
    assert "1 of them is marked" in made.status
    assert made.metrics["not_converged"] == [[1, 2]]
    (row,) = csv.DictReader((tmp_path / "run" / "distances.csv").read_text().splitlines())
    assert (row["first"], row["last"], row["converged"]) == ("1", "2", "no")
    assert row["status"] != Status.CONVERGED.value


@pytest.mark.slow
def test_a_run_that_was_stopped_again_and_again_goes_on_to_the_same_bytes(frames: str, tmp_path: Path) -> None:
    settings = DistanceSettings(images=(frames,), out=str(tmp_path / "a"), device="cpu", tol=0.3, bend=2)
    for k, (stage, after) in enumerate([("Looking", 2), ("Linking", 1), ("Linking", 1), ("Writing", 2)]):
        with pytest.raises(KeyboardInterrupt):
            run_in(replace(settings, resume=k > 0), Recorder(stop_in=stage, after=after))
    resumed = run_in(replace(settings, resume=True))
    whole = run_in(replace(settings, out=str(tmp_path / "b")))
    assert torch.equal(resumed.distances, whole.distances)
    assert torch.equal(resumed.spreads, whole.spreads)
    for name in ("distances.csv", "distances.png", "plane.png", "distances.safetensors"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    assert resumed.metrics | {"seconds": 0} == whole.metrics | {"seconds": 0}


def test_a_part_of_a_folder_is_chosen_as_in_other_verbs(frames: str, model: LatentDiffusion) -> None:
    for cut in ({"stop": "2"}, {"stride": 2}, {"max_frames": 2}):
        made = distance(frames, model=model, alpha=0.0, **cut)
        assert made.distances.shape == (2, 2)
        assert float(made.distances[0, 1]) == pytest.approx(float(made.euclidean[0, 1]), rel=1e-5)


def test_without_a_density_the_distance_is_that_in_latents(model: LatentDiffusion) -> None:
    made = distance(*along_a_line([-0.5, 0.0, 0.7]), model=model, bend=0.0)
    torch.testing.assert_close(made.distances, made.euclidean, rtol=1e-5, atol=1e-9)
    assert bool(made.converged.all())


def test_the_same_image_twice_is_no_distance_from_itself(model: LatentDiffusion) -> None:
    images = along_a_line([0.2])
    made = distance(images[0], images[0], model=model)
    assert made.distances.tolist() == [[0, 0], [0, 0]]
    assert made.share == 1


def test_a_dry_run_counts_and_writes_nothing(frames: str, tmp_path: Path) -> None:
    settings = DistanceSettings(images=(frames,), out=str(tmp_path / "none"), device="cpu")
    plan = dry_run(Job(settings, Silent()))
    assert plan.metrics["stages"] == {"Looking at straight lines": 27, "Linking": 240}
    assert "in all, about" in plan.text
    assert not (tmp_path / "none").exists()


def test_one_image_has_no_distance(files: tuple[str, str]) -> None:
    with pytest.raises(InputError, match="needs two images; got 1"):
        geodesic_cli.distance(*files, max_frames=2, stride=2)


def test_a_place_in_a_film_means_nothing_to_images(files: tuple[str, str]) -> None:
    with pytest.raises(InputError, match="--start and --stop"):
        geodesic_cli.distance(*files, start="1")
