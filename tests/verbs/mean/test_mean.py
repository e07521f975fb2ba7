"""`geodesic mean`: the middle of a motion, weights, resuming, and what is refused."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

import geodesic_cli
from geodesic_cli import media
from geodesic_cli.diffusion import LatentDiffusion
from geodesic_cli.errors import InputError
from geodesic_cli.geometry.curve import Curve
from geodesic_cli.geometry.sets.links import Link
from geodesic_cli.geometry.sets.means import Mean
from geodesic_cli.geometry.solution import Status
from geodesic_cli.runs.job import Job
from geodesic_cli.runs.observer import Silent
from geodesic_cli.scenes import Scene, Solid, fit_all, render
from geodesic_cli.settings import MeanSettings
from geodesic_cli.verbs.mean.run import MeanImage, _sentence, dry_run, mean, run
from helpers import Recorder, into_folder

run_in = into_folder(run)


def along_a_line(places: list[float]) -> Tensor:
    return render([Scene((Solid("sphere", "red", x=x, y=0.1),)) for x in places])


def write(images: Tensor, folder: Path) -> tuple[str, ...]:
    for k, image in enumerate(images):
        media.write_png(image, folder / f"{k}.png")
    return tuple(str(folder / f"{k}.png") for k in range(len(images)))


@pytest.fixture(scope="module")
def middle(model: LatentDiffusion) -> MeanImage:
    return mean(*along_a_line([-0.6, -0.35, 0.2, -0.1]), model=model, frames=3)


@pytest.mark.slow
def test_the_mean_of_scenes_along_a_line_is_the_one_in_the_middle(middle: MeanImage) -> None:
    (found,) = fit_all(middle.image[None])
    (solid,) = found.scene.solids
    assert abs(solid.x + 0.2125) <= 0.2
    assert abs(solid.y - 0.1) <= 0.2
    assert (solid.shape, solid.colour) == ("sphere", "red")
    assert found.error < 0.25


@pytest.mark.slow
def test_the_geodesics_go_from_the_mean_to_each_image(middle: MeanImage) -> None:
    assert middle.paths.shape == (4, 3, 3, 64, 64)
    for path in middle.paths:
        torch.testing.assert_close(path[0], middle.image, rtol=0, atol=1e-3)
    ends = fit_all(middle.paths[:, -1])
    assert [round(end.scene.solids[0].x, 1) for end in ends] == pytest.approx([-0.6, -0.35, 0.2, -0.1], abs=0.1)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_mean_of_twelve_scenes_is_reached_and_lies_in_the_middle(model: LatentDiffusion) -> None:
    made = mean(*along_a_line(torch.linspace(-1.2, 1.2, 12).tolist()), model=model, frames=2)
    assert made.converged and made.mean.residual <= 0.1
    (found,) = fit_all(made.image[None])
    (solid,) = found.scene.solids
    assert (solid.shape, solid.colour) == ("sphere", "red")
    assert math.hypot(solid.x, solid.y - 0.1) <= 0.2


def test_a_weight_draws_the_mean_to_its_image(model: LatentDiffusion) -> None:
    images = along_a_line([-0.3, 0.0])
    rough = {"bend": 1.0, "frames": 2, "tol": 0.3, "moves": 6, "mean_tol": 0.05}
    heavy = mean(*images, model=model, weights="9,1", **rough)
    assert float(heavy.distances[0]) < 0.3 * float(heavy.distances[1])
    alone = mean(*images, model=model, weights="0,1", **rough)
    assert float(alone.distances[1]) == 0


def test_without_a_density_the_mean_is_the_average(model: LatentDiffusion) -> None:
    images = along_a_line([-0.5, 0.0, 0.7])
    made = mean(*images, model=model, bend=0.0, frames=2, mean_tol=1e-4)
    torch.testing.assert_close(made.image, made.average, rtol=0, atol=1e-3)
    assert made.converged


@pytest.mark.slow
@pytest.mark.parametrize(
    ("stage", "after"),
    [
        ("Moving", 1),
        *(pytest.param(*other, marks=pytest.mark.slow) for other in (("Linking", 2), ("Moving", 2), ("Writing", 2))),
    ],
)
def test_a_run_that_was_stopped_goes_on_to_the_same_bytes(tmp_path: Path, stage: str, after: int) -> None:
    files = write(along_a_line([-0.3, 0.0]), tmp_path)
    settings = MeanSettings(
        images=files,
        out=str(tmp_path / "a"),
        device="cpu",
        tol=0.3,
        bend=2,
        moves=2,
        weights="2,1",
        mean_tol=0.001,
        frames=2,
    )
    with pytest.raises(KeyboardInterrupt):
        run_in(settings, Recorder(stop_in=stage, after=after))
    resumed = run_in(replace(settings, resume=True))
    whole = run_in(replace(settings, out=str(tmp_path / "b")))
    assert torch.equal(resumed.mean.x, whole.mean.x)
    for name in ("mean.safetensors", "distances.csv", "sheet.png"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    assert resumed.metrics | {"seconds": 0} == whole.metrics | {"seconds": 0}


@pytest.mark.slow
def test_a_mean_goes_on_with_more_moves_and_back_with_fewer(tmp_path: Path) -> None:
    files = write(along_a_line([-0.3, 0.0]), tmp_path)
    rough = {"device": "cpu", "tol": 0.3, "bend": 2.0, "weights": "2,1", "mean_tol": 0.001, "frames": 2}
    first, more = (
        MeanSettings(images=files, out=str(tmp_path / "a"), moves=moves, resume=moves > 1, **rough) for moves in (1, 2)
    )
    before = run_in(first)
    longer = run_in(more)
    whole = run_in(replace(more, out=str(tmp_path / "b"), resume=False))
    assert longer.metrics["evaluations"] > before.metrics["evaluations"]
    assert torch.equal(longer.mean.x, whole.mean.x)
    assert longer.metrics | {"seconds": 0} == whole.metrics | {"seconds": 0}
    again = run_in(replace(first, resume=True))
    assert again.metrics | {"seconds": 0} == before.metrics | {"seconds": 0}


@pytest.mark.slow
def test_a_mean_that_is_not_reached_says_so(tmp_path: Path) -> None:
    files = write(along_a_line([-0.9, 0.9]), tmp_path)
    made = run_in(MeanSettings(images=files, out=str(tmp_path / "run"), device="cpu", max_steps=1, moves=1, frames=2))
    assert not made.converged
    assert "converge" in made.status or "not reached" in made.status


def test_what_is_said_of_a_mean_names_what_is_left_and_what_that_means() -> None:
    def told(residual: float, status: Status, *missed: int, of: Status = Status.STALLED) -> str:
        ends = [of if k + 1 in missed else Status.CONVERGED for k in range(12)]
        links = tuple(Link(Curve(torch.zeros(2, 2)), end, 0.0, 0.0, 0.0, 0.0) for end in ends)
        return _sentence(Mean(torch.zeros(2), status, residual, links, 3, 9), list(missed), 12, 0.1)

    assert told(0.08, Status.CONVERGED).endswith("cancel to 8.0% of the distances.")
    rough = told(0.08, Status.STALLED, 2, 12)
    assert "cancel to 8.0% of the distances. The paths to images 2 and 12 are no geodesics" in rough
    assert rough.endswith("the pull of these images is known only roughly. Lower --bend.")
    one = told(0.08, Status.MAX_STEPS, 3, of=Status.MAX_STEPS)
    assert "The path to image 3 is no geodesic" in one and one.endswith("Raise --max-steps, or lower --bend.")
    assert "The paths to 9 images are" in told(0.08, Status.STALLED, *range(1, 10))
    left = told(0.2, Status.MAX_STEPS)
    assert "20.0% of the distances is left as pull. The sum of squared distances is at most about 2%" in left
    assert left.endswith("Raise --moves, or lower --bend.")
    assert told(0.2, Status.MAX_STEPS, 1, of=Status.SETTLED).endswith("Raise --moves, or raise --tol, or lower --bend.")


def test_a_dry_run_counts_and_writes_nothing(files: tuple[str, str], tmp_path: Path) -> None:
    plan = dry_run(Job(MeanSettings(images=files, out=str(tmp_path / "none"), device="cpu"), Silent()))
    assert plan.metrics["stages"]["Moving the mean"] > 0
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("weights", "words"),
    [("1", "each of 2 images; got 1"), ("1,x", "got '1,x'"), ("0,0", "not all 0"), ("1,-1", "at least 0")],
)
def test_weights_that_fit_no_images_are_refused(files: tuple[str, str], weights: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        geodesic_cli.mean(*files, weights=weights)
