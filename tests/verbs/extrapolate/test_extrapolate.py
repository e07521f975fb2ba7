"""A sequence goes on: at its own speed, towards high density, until it may not; resumable to the byte."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

import geodesic_cli
from geodesic_cli import media
from geodesic_cli.diffusion import LatentDiffusion
from geodesic_cli.errors import InputError, ModelError
from geodesic_cli.runs.observer import Silent
from geodesic_cli.scenes import Scene, Solid, fit_all, motion, render
from geodesic_cli.settings import ExtrapolateSettings
from geodesic_cli.verbs.extrapolate.run import Extrapolation, extrapolate
from geodesic_cli.verbs.extrapolate.run import run as verb_run
from geodesic_cli.verbs.extrapolate.writing import RayEnding, told
from helpers import Recorder, decibels, failing, into_folder

run = into_folder(verb_run)

GIVEN, MADE = 6, 2
FAST = Scene((Solid("sphere", "red", x=-1.0, y=0.2, size=0.65),))


@pytest.fixture(scope="module")
def ball() -> Tensor:
    """A ball that rolls to the right by 0.1 a frame, from x = -0.8, (8, 3, 64, 64)."""
    start = Scene((Solid("sphere", "red", x=-0.8, y=0.1, size=0.7),))
    return render(list(motion("translation", start, GIVEN + MADE, 0.1 * (GIVEN + MADE - 1))))


@pytest.fixture
def folder(ball: Tensor, tmp_path: Path) -> str:
    """The first frames as files."""
    place = tmp_path / "clip"
    place.mkdir()
    for k, frame in enumerate(ball[:GIVEN]):
        media.write_png(frame, place / f"{k}.png")
    return str(place)


def settings(source: str, out: Path, **more: object) -> ExtrapolateSettings:
    return ExtrapolateSettings(source=(source,), **({"frames": MADE, "out": str(out)} | more))  # type: ignore[arg-type]


def contents(out: Path) -> dict[str, bytes]:
    """Everything but what holds the time, the place or the command."""
    free = {"manifest.json", "config.toml", "log.txt", "metrics.json"}
    return {
        str(path.relative_to(out)): path.read_bytes()
        for path in sorted(out.rglob("*"))
        if path.is_file() and path.name not in free
    }


def test_a_rolling_ball_rolls_on(model: LatentDiffusion, ball: Tensor) -> None:
    result = extrapolate(ball[:GIVEN], model=model, frames=MADE)
    assert result.complete and result.known == (0, GIVEN) and len(result.frames) == GIVEN + MADE
    assert torch.equal(result.frames[:GIVEN], ball[:GIVEN])
    for k in range(GIVEN, GIVEN + MADE):
        found = fit_all(result.frames[k : k + 1])[0].scene.solids[0]
        assert (found.shape, found.colour) == ("sphere", "red")
        assert abs(found.x - (-0.8 + 0.1 * k)) < 0.5 * 0.1 * (k - GIVEN + 1), "nearer than the repeated last frame"


def test_backward_is_forward_of_the_reversed_sequence(model: LatentDiffusion, ball: Tensor) -> None:
    both = extrapolate(ball[:GIVEN], model=model, frames=MADE, backward=True)
    other = extrapolate(ball[:GIVEN].flip(0), model=model, frames=MADE)
    assert both.known == (MADE, MADE + GIVEN) and len(both.frames) == GIVEN + 2 * MADE
    assert torch.equal(both.frames[:MADE].flip(0), other.frames[GIVEN:])
    assert list(both.metrics["rays"]) == ["after", "before"]


def test_the_guide_keeps_the_ray_where_the_model_finds_pictures_likely(model: LatentDiffusion, ball: Tensor) -> None:
    def last(**more: object) -> float:
        found = extrapolate(ball[:GIVEN], model=model, frames=3, max_drop=1e9, **more)
        return found.metrics["rays"]["after"]["log_density"][-1]

    away, straight, guided = last(guide=-10.0), last(guide=0.0), last()
    assert away < straight < guided
    assert guided > -20 > straight


def test_the_ray_ends_where_the_density_has_fallen_too_far(model: LatentDiffusion, ball: Tensor) -> None:
    result = extrapolate(ball[:GIVEN], model=model, frames=8, guide=0.0, max_drop=30.0)
    ray = result.continuations[0]
    assert ray.ending is RayEnding.LEFT_SUPPORT and not result.complete
    assert 0 < len(ray.arrivals) < 8 and ray.arrivals[-1].log_density >= -30
    assert "--max-drop" in result.status and len(result.frames) == GIVEN + len(ray.arrivals)


def test_a_ray_that_may_not_even_begin_leaves_the_sequence_as_it_is(model: LatentDiffusion, ball: Tensor) -> None:
    result = extrapolate(ball[:GIVEN], model=model, frames=2, alpha=0.05, max_drop=1e-3)
    assert torch.equal(result.frames, ball[:GIVEN])
    assert result.status.startswith("0 of 2")


@pytest.mark.parametrize("after", [0, 3])
def test_a_network_that_gives_nan_ends_in_a_sentence(model: LatentDiffusion, ball: Tensor, after: int) -> None:
    with pytest.raises(ModelError, match=r"not finite.*--dtype fp32"):
        extrapolate(ball[:GIVEN], model=failing(model, after), frames=MADE)


def test_every_method_finds_the_same_ray(model: LatentDiffusion, ball: Tensor) -> None:
    def ray(**more: object) -> tuple[Tensor, Tensor]:
        found = extrapolate(ball[:GIVEN], model=model, frames=1, **more).continuations[0]
        return found.departure.x, found.arrivals[-1].x

    start, fine = ray(substeps=32)
    for stepper, substeps in (("rk4", 12), ("adams-bashforth", 16), ("dormand-prince", 0)):
        end = ray(stepper=stepper, substeps=substeps)[1]
        assert (end - fine).norm() < 0.03 * (fine - start).norm(), stepper


def test_the_flow_embedding_comes_back_to_the_last_frame(model: LatentDiffusion, ball: Tensor) -> None:
    still = ball[:1].expand(2, -1, -1, -1)
    recorder = Recorder()
    result = extrapolate(still, model=model, frames=1, embedding="flow", tau=0.4, observer=recorder)
    assert any("Nothing moves" in warning for warning in recorder.warnings)
    assert any("all 2 frames" in warning for warning in recorder.warnings)
    back = model.decode(model.encode(ball[:1]), model.latent_shape(64, 64))[0].cpu()
    assert decibels(result.frames[-1], back) > 40
    assert result.metrics["evaluations"]["flow"] == 2 * 12 and result.metrics["evaluations"]["frames"] == 13


@pytest.fixture(scope="module")
def fast() -> Tensor:
    """A red ball that moves so fast that it does not stay red without a prompt."""
    return render(list(motion("translation", FAST, 11, 2.0)))[:8].mul(255).round().div(255)  # as a file holds it


@pytest.fixture(scope="module")
def doubts() -> list[str]:
    """The warnings of `untold`."""
    return []


@pytest.fixture(scope="module")
def untold(model: LatentDiffusion, fast: Tensor, doubts: list[str]) -> Extrapolation:
    """The fast ball, without a prompt."""
    recorder = Recorder()
    found = extrapolate(fast, model=model, frames=3, max_drop=1e9, observer=recorder)
    doubts.extend(recorder.warnings)
    return found


def test_frames_whose_colours_drift_are_marked_and_it_is_said_what_no_prompt_costs(
    model: LatentDiffusion, fast: Tensor, untold: Extrapolation, doubts: list[str]
) -> None:
    ray = untold.metrics["rays"]["after"]
    assert any("No --prompt" in warning for warning in doubts)
    assert ray["drifted"] == [k for k, drift in enumerate(ray["drift"], 1) if drift > 0.25] and 3 in ray["drifted"]
    assert untold.complete and untold.drifted and "drifted" in untold.status and "--prompt" in untold.advice
    recorder = Recorder()
    told = extrapolate(fast, model=model, frames=3, prompt="a red rubber sphere", observer=recorder)
    assert not told.drifted and not told.advice and "drifted" not in told.status
    assert not any("No --prompt" in warning for warning in recorder.warnings)
    assert fit_all(told.frames[-1][None])[0].scene.solids[0].colour == "red"
    last = render(list(motion("translation", FAST, 11, 2.0)))[-1]
    assert decibels(told.frames[-1], last) > decibels(untold.frames[-1], last) + 2


def test_a_ray_ends_before_the_first_frame_that_drifts_too_far_also_when_resumed(
    model: LatentDiffusion, fast: Tensor, untold: Extrapolation, tmp_path: Path
) -> None:
    free = untold.metrics["rays"]["after"]
    held = extrapolate(fast, model=model, frames=3, max_drop=1e9, max_drift=0.25)
    ray = held.metrics["rays"]["after"]
    assert ray["status"] == "DRIFTED" and not held.complete and "--max-drift" in held.status
    assert ray["made"] == ray["asked"] - len(free["drifted"]) and max(ray["drift"], default=0.0) <= 0.25
    (tmp_path / "clip").mkdir()
    for k, frame in enumerate(fast):
        media.write_png(frame, tmp_path / "clip" / f"{k}.png")
    parts = settings(str(tmp_path / "clip"), tmp_path / "parts", frames=3, max_drop=1e9, max_drift=0.25)
    with pytest.raises(KeyboardInterrupt):
        run(parts, Recorder("Following", 1), "parts")
    resumed = run(replace(parts, resume=True), Silent(), "resumed")
    assert torch.equal(resumed.frames, held.frames)
    assert resumed.metrics["rays"]["after"]["drift"] == ray["drift"]


def test_a_target_prompt_changes_where_the_ray_goes(model: LatentDiffusion, ball: Tensor) -> None:
    held = extrapolate(ball[:GIVEN], model=model, frames=2, prompt="a red rubber sphere")
    moved = extrapolate(
        ball[:GIVEN], model=model, frames=2, prompt="a red rubber sphere", target_prompt="a blue metal cube"
    )
    assert not torch.equal(held.frames[-1], moved.frames[-1])


def test_a_run_writes_what_it_promises(folder: str, tmp_path: Path) -> None:
    out = tmp_path / "run"
    result = run(settings(folder, out, backward=True, compare=True), Silent(), "geodesic extrapolate")
    for name in ("sheet.png", "video.mp4", "video.gif", "density.png", "metrics.json", "path.safetensors"):
        assert (out / name).stat().st_size > 500, name
    frames = media.read_sequence(out / "frames")
    assert len(frames.frames) == GIVEN + 2 * MADE
    assert torch.equal(frames.frames[MADE : MADE + GIVEN], result.frames[MADE : MADE + GIVEN])
    assert media.read_metadata(out / "frames" / "00000.png")["known"] is False
    assert len(media.read_sequence(out / "video.mp4").frames) == GIVEN + 2 * MADE


def test_a_run_that_was_stopped_again_and_again_goes_on_with_the_same_bytes_and_not_with_other_frames(
    folder: str, tmp_path: Path, pair: Tensor
) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    run(settings(folder, whole), Silent(), "whole")
    for k, (stage, after) in enumerate([("Following", 2), ("Drawing", 1), ("Writing", 4)]):
        with pytest.raises(KeyboardInterrupt):
            run(settings(folder, broken, resume=k > 0), Recorder(stage, after), "broken")
    run(settings(folder, broken, resume=True), Silent(), "resumed")
    assert contents(broken) == contents(whole)
    media.write_png(pair[0], Path(folder) / f"{GIVEN - 1}.png")
    with pytest.raises(InputError, match="not those that this run was begun with"):
        run(settings(folder, broken, resume=True), Silent(), "second")


def test_a_film_keeps_its_own_rate(ball: Tensor, tmp_path: Path) -> None:
    media.write_mp4(ball[:GIVEN], tmp_path / "a.mp4", 12)
    run(settings(str(tmp_path / "a.mp4"), tmp_path / "run", frames=1), Silent(), "first")
    assert media.read_sequence(tmp_path / "run" / "video.mp4").fps == pytest.approx(12)


@pytest.mark.parametrize(
    ("frames", "options", "message"),
    [
        (torch.zeros(1, 3, 64, 64), {}, "at least 2 frames"),
        (torch.zeros(4, 64, 64), {}, "at least 2 frames"),  # one picture with transparency
        (torch.full((4, 3, 64, 64), 2.0), {}, r"\[0, 1\]"),
        (torch.zeros(4, 3, 64, 64), {"start": "1"}, "slice"),
        (torch.zeros(4, 3, 64, 64), {"order": 4}, "--context 5"),
        (torch.zeros(4, 3, 64, 64), {"speed": 4}, "no option 'speed'"),
        (torch.zeros(4, 3, 64, 64), {"target_prompt": "a cube"}, "--prompt"),
    ],
)
def test_what_cannot_be_continued_gives_one_sentence(
    model: LatentDiffusion, frames: Tensor, options: dict[str, object], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        extrapolate(frames, model=model, **options)


def test_the_function_is_the_packages() -> None:
    assert geodesic_cli.extrapolate is extrapolate


def test_shapes_that_melt_are_marked_and_named(model: LatentDiffusion, fast: Tensor, untold: Extrapolation) -> None:
    ray = untold.metrics["rays"]["after"]
    assert ray["drift"] == [max(pair) for pair in zip(ray["drift_of_colours"], ray["drift_of_shapes"], strict=True)]
    one = untold.continuations[0]
    melted = replace(one, colours=(0.0,) * 3, shapes=(0.0, 0.3, 0.4))
    assert melted.drifted == (2, 3)
    assert told(melted, 3).endswith(
        "Frames +2 and +3 have drifted: the shapes are no longer those of the known frames."
    )
    both = replace(melted, colours=(0.0, 0.0, 0.9))
    assert "the colours and the shapes are no longer" in told(both, 3)
