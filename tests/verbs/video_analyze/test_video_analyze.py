"""From a clip to a verdict with the embedded model: jumps, turns back, stills, windows, resumption."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from geodesic_cli import media
from geodesic_cli.diffusion import LatentDiffusion
from geodesic_cli.errors import InputError, ModelError
from geodesic_cli.runs.names import first_free
from geodesic_cli.runs.observer import Silent
from geodesic_cli.scenes import Scene, Solid, motion, render
from geodesic_cli.settings import VideoAnalyzeSettings
from geodesic_cli.verbs.video_analyze.report import two_digits
from geodesic_cli.verbs.video_analyze.run import VideoAnalysis, stem, video_analyze
from geodesic_cli.verbs.video_analyze.run import run as verb_run
from helpers import Recorder, failing, into_folder

run = into_folder(verb_run)

QUICK = {"draws": 2, "max_steps": 3, "device": "cpu"}
BALL = Scene((Solid("sphere", "red", x=-0.9, size=0.65),))


def rolling(*positions: float) -> Tensor:
    return render([Scene((replace(BALL.solids[0], x=-0.9 + 1.8 * u),)) for u in positions], subsamples=4)


def even(count: int) -> list[float]:
    return [k / (count - 1) for k in range(count)]


def written(frames: Tensor, folder: Path) -> str:
    folder.mkdir()
    for k, frame in enumerate(frames):
        media.write_png(frame, folder / f"{k:03d}.png")
    return str(folder)


@pytest.fixture(scope="module")
def smooth(model: LatentDiffusion) -> VideoAnalysis:
    return video_analyze(rolling(*even(13)), model=model, **QUICK)


def test_smooth_motion_keeps_nearer_to_a_geodesic_than_its_perturbed_copies(smooth: VideoAnalysis) -> None:
    assert smooth.report is not None
    assert smooth.report.ratios["perturbed"] < 0.5
    assert smooth.report.event.kind == "bend"
    assert smooth.metrics["frames_that_move"] == 13
    for number in smooth.report.ratios.values():
        assert f"{two_digits(number)} times" in smooth.report.detail
    assert len(smooth.verdict) < 160 and smooth.verdict.count(".") <= 2


def test_a_jump_and_a_turn_back_depart_more_and_are_found(model: LatentDiffusion, smooth: VideoAnalysis) -> None:
    u = even(24)
    jump = video_analyze(rolling(*u[:6], *u[17:]), model=model, **QUICK)
    back = video_analyze(rolling(*even(7), *even(7)[:-1][::-1]), model=model, **QUICK)
    assert smooth.report and jump.report and back.report
    assert (jump.report.event.kind, jump.report.event.first) == ("jump", 5)
    assert (back.report.event.kind, back.report.event.frame) == ("turn back", 6)
    assert jump.report.departure > back.report.departure > smooth.report.departure


def test_a_turn_back_that_is_held_in_h264_is_found_and_the_held_frames_are_named(
    model: LatentDiffusion, tmp_path: Path
) -> None:
    u = even(7)
    media.write_mp4(rolling(*u, 1.0, 1.0, *u[:-1][::-1]), tmp_path / "held.mp4", 24)
    found = video_analyze(tmp_path / "held.mp4", model=model, **QUICK)
    assert found.report is not None
    assert (found.report.event.kind, found.report.event.frame) == ("turn back", 6)
    assert found.metrics["joined"] == [7, 8] and found.metrics["frames_that_move"] == 13
    assert found.report.windows[0].solver == "ENDS_MEET", "but for a codec's noise the clip ends where it began"
    media.write_mp4(rolling(*[0.4] * 6), tmp_path / "still.mp4", 24)
    assert "all 6 frames show the same picture" in video_analyze(tmp_path / "still.mp4", model=model, **QUICK).verdict


def test_the_same_seed_gives_the_same_numbers(model: LatentDiffusion, smooth: VideoAnalysis) -> None:
    again = video_analyze(rolling(*even(13)), model=model, **QUICK)
    assert again.report == smooth.report
    other = video_analyze(rolling(*even(13)), model=model, seed=1, **QUICK)
    assert other.report is not None and smooth.report is not None
    assert other.report.means["perturbed"] != smooth.report.means["perturbed"]
    assert other.report.means["clip"] == smooth.report.means["clip"]


def test_inverted_frames_bend_towards_higher_density(model: LatentDiffusion, smooth: VideoAnalysis) -> None:
    found = video_analyze(rolling(*even(13)), model=model, embedding="flow", steps=6, **QUICK)
    assert found.report is not None and smooth.report is not None
    assert found.report.aligned.mean < -0.1
    assert found.report.best.alpha < 0
    assert found.report.roughness < smooth.report.roughness


def test_identical_frames_and_two_different_ones_get_an_answer(model: LatentDiffusion, tmp_path: Path) -> None:
    still = video_analyze(rolling(0.2, 0.2, 0.2, 0.2), model=model, **QUICK)
    assert still.report is None
    assert "all 4 frames show the same picture." in still.verdict
    folder = written(rolling(0.2, 0.2, 0.7), tmp_path / "two")
    two = run(VideoAnalyzeSettings(clip=(folder,), out=str(tmp_path / "out"), device="cpu"), Silent(), "test")
    assert "only two of the 3 frames differ" in two.verdict
    assert {path.name for path in (tmp_path / "out").iterdir()} >= {"sheet.png", "metrics.json", "manifest.json"}


@pytest.mark.parametrize("after", [0, 3])
def test_a_network_that_gives_nan_ends_in_a_sentence(model: LatentDiffusion, after: int) -> None:
    with pytest.raises(ModelError, match=r"not finite.*--dtype fp32"):
        video_analyze(rolling(*even(5)), model=failing(model, after), **QUICK)


@pytest.mark.parametrize("count", [1, 2])
def test_too_few_frames_are_refused(model: LatentDiffusion, count: int) -> None:
    with pytest.raises(InputError, match=f"at least 3 frames is needed, and clip gives {count}"):
        video_analyze(rolling(*([0.2, 0.8][:count])), model=model, **QUICK)


def test_a_tensor_that_is_no_clip_is_refused(model: LatentDiffusion) -> None:
    with pytest.raises(InputError, match=r"in \[0, 1\]; these go from 2"):
        video_analyze(torch.full((4, 3, 64, 64), 2.0), model=model)
    with pytest.raises(InputError, match="start and stop are for files"):
        video_analyze(rolling(*even(5)), model=model, start="1")
    with pytest.raises(InputError, match="no option 'alfa'"):
        video_analyze(rolling(*even(5)), model=model, alfa=1)


def test_frames_of_another_size_are_fitted_and_mixed_ones_refused(model: LatentDiffusion, tmp_path: Path) -> None:
    large = render(list(motion("translation", BALL, 5, 1.0)), size=96)
    folder = written(large, tmp_path / "large")
    assert video_analyze(folder, model=model, **QUICK).metrics["frames"] == 5
    media.write_png(large[0, :, :80], Path(folder) / "004.png")
    with pytest.raises(InputError, match="must share one size"):
        video_analyze(folder, model=model, **QUICK)
    assert video_analyze(folder, model=model, size="64", **QUICK).metrics["frames"] == 5


@pytest.mark.slow
def test_a_run_that_is_stopped_between_windows_goes_on_to_the_same_bytes(tmp_path: Path) -> None:
    folder = written(rolling(*even(16)), tmp_path / "clip")
    options = {"window": 7, "overlap": 3, **QUICK}
    whole = run(VideoAnalyzeSettings(clip=(folder,), out=str(tmp_path / "whole"), **options), Silent(), "test")
    settings = VideoAnalyzeSettings(clip=(folder,), out=str(tmp_path / "parts"), **options)
    with pytest.raises(KeyboardInterrupt):
        run(settings, Recorder("Comparing", 3), "test")
    kept = sorted((tmp_path / "parts" / "checkpoint").iterdir())
    assert kept
    before = [path.stat().st_mtime_ns for path in kept]
    resumed = run(replace(settings, resume=True), Silent(), "test")
    assert [path.stat().st_mtime_ns for path in kept] == before
    assert resumed.report == whole.report
    for name in ("clip.csv", "analysis.png"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "parts" / name).read_bytes()
    rows = (tmp_path / "whole" / "clip.csv").read_text().splitlines()
    assert len(rows) == 17
    metrics = json.loads((tmp_path / "whole" / "metrics.json").read_text())
    assert metrics["verdict"] == whole.verdict
    assert len(metrics["windows"]) == 4


def test_a_resumed_run_refuses_other_frames(tmp_path: Path) -> None:
    folder = written(rolling(*even(9)), tmp_path / "clip")
    settings = VideoAnalyzeSettings(clip=(folder,), out=str(tmp_path / "out"), **QUICK)
    run(settings, Silent(), "test")
    media.write_png(rolling(0.5)[0], Path(folder) / "002.png")
    with pytest.raises(InputError, match="not those that this run was begun with"):
        run(replace(settings, resume=True), Silent(), "test")


def test_a_refused_clip_leaves_no_folder(tmp_path: Path) -> None:
    for clip in (str(tmp_path / "absent.mp4"), str(tmp_path)):
        with pytest.raises(InputError):
            run(VideoAnalyzeSettings(clip=(clip,), out=str(tmp_path / "out"), device="cpu"), Silent(), "test")
    assert not (tmp_path / "out").exists()
    folder = written(rolling(0.3, 0.6), tmp_path / "short")
    with pytest.raises(InputError, match="at least 3 frames"):
        run(VideoAnalyzeSettings(clip=(folder,), out=str(tmp_path / "out"), device="cpu"), Silent(), "test")
    assert not (tmp_path / "out").exists()


def test_the_folder_is_named_after_the_clip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert first_free("runs/" + stem(VideoAnalyzeSettings(clip=("a/clip.mp4",)))) == "runs/analysis-of-clip"
    Path("runs/analysis-of-clip").mkdir(parents=True)
    assert first_free("runs/" + stem(VideoAnalyzeSettings(clip=("a/clip.mp4",)))) == "runs/analysis-of-clip-2"


def test_settings_refuse_what_cannot_be() -> None:
    for wrong in (
        {"overlap": 16},
        {"overlap": 1},
        {"window": 4},
        {"stride": 0},
        {"embedding": "inverted"},
        {"tau": 0.0},
    ):
        with pytest.raises(InputError):
            VideoAnalyzeSettings(clip=("clip",), **wrong)
    assert asdict(VideoAnalyzeSettings(clip=("clip",)))["window"] == 17
