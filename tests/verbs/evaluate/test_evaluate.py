"""`geodesic evaluate` on frames that were made here: tables, resuming to the same bytes, what is not measured."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

import geodesic_cli
from geodesic_cli import media
from geodesic_cli.errors import InputError
from geodesic_cli.runs.job import Job
from geodesic_cli.runs.observer import Silent
from geodesic_cli.settings import EvaluateSettings
from geodesic_cli.verbs.evaluate.measuring import thumbnails
from geodesic_cli.verbs.evaluate.networks import LITE, Networks
from geodesic_cli.verbs.evaluate.reading import ToMeasure
from geodesic_cli.verbs.evaluate.run import Evaluation, run
from helpers import Recorder, into_folder

run_in = into_folder(run)
NAMES = [f"pair{k}" for k in range(7)]
WRITTEN = ("table.md", "table.tex", "sequences.csv", "metrics.json", "sheet.png")


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """ROOT/NAME/METHOD with a fade and a jump between the same ends, and the ends in ROOT-inputs."""
    root = tmp_path_factory.mktemp("results")
    generator = torch.Generator().manual_seed(0)
    for name in NAMES:
        a, b = torch.rand(2, 3, 8, 8, generator=generator).repeat_interleave(2, 2).repeat_interleave(2, 3)
        for k, image in enumerate((a, b)):
            put(image, root / "inputs" / f"{name}_{k}.png")
        for k in range(5):
            put(torch.lerp(a, b, k / 4), root / "drawn" / name / "fade" / f"{k}.png")
            put(b if k > 1 else a, root / "drawn" / name / "jump" / f"{k}.png")
    return root


def put(image: Tensor, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    media.write_png(image, path)


def settings_for(results: Path, out: Path | str | None = None, **more: object) -> EvaluateSettings:
    given = {"sources": (str(results / "drawn"),), "inputs": str(results / "inputs"), "protocol": "offline"}
    return EvaluateSettings(**{**given, "out": None if out is None else str(out), **more})


@pytest.fixture(scope="module")
def found(results: Path) -> Evaluation:
    return run(Job(settings_for(results), Silent()))


def test_each_number_has_its_errors_and_the_better_method_is_named(found: Evaluation) -> None:
    jump = found.scores.means["jump_mean_pyramid"]
    assert jump["jump"].mean == pytest.approx(4) and jump["fade"].mean < 2
    assert jump["fade"].n == len(NAMES) and jump["fade"].low <= jump["fade"].mean <= jump["fade"].high
    pair = found.scores.pairs["jump_mean_pyramid"]["fade", "jump"]
    assert pair.p == pytest.approx(2 / 2 ** len(NAMES)) and pair.won == 1
    assert found.scores.best("jump_mean_pyramid") == "fade"
    assert found.scores.best("re_mse") is None
    assert {each.ends for each in found.sequences} == {"given"}
    assert "**" in found.to_markdown() and r"\textbf" in found.to_latex()
    assert r"path\_pyramid" in found.to_latex() and "offline (" in found.to_markdown()


def test_a_sequence_scored_twice_under_another_name_has_p_1(results: Path) -> None:
    one = results / "drawn" / "pair0" / "fade"
    twice = results / "again"
    for path in sorted(one.iterdir()):
        put(media.read_image(path), twice / path.name)
    found = geodesic_cli.evaluate(str(one), str(twice), protocol="offline")
    assert found.scores.methods == ("fade", "again")
    (pair,) = found.scores.pairs["path_pyramid"].values()
    assert pair.p == 1 and pair.difference == 0 and pair.won == 0.5


def test_frames_in_memory_are_measured_and_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    frames = torch.linspace(0, 1, 5)[:, None, None, None].expand(-1, 3, 16, 16)
    found = geodesic_cli.evaluate(frames, protocol="vbench")
    assert found.scores.means["flicker"]["method 1"].mean == pytest.approx(0.75)
    assert list(tmp_path.iterdir()) == []


def test_the_folder_has_tables_a_page_and_a_row_for_each_sequence(results: Path, tmp_path: Path) -> None:
    made = run_in(settings_for(results, tmp_path / "run"))
    folder = made.folder
    rows = list(csv.DictReader((folder / "sequences.csv").read_text().splitlines()))
    assert len(rows) == 2 * len(NAMES) and rows[0]["ends"] == "given" and float(rows[0]["path_pyramid"]) > 0
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["protocol"]["digest"] in (folder / "table.md").read_text()
    assert metrics["means"]["flicker"]["fade"]["n"] == len(NAMES)
    assert metrics["sources"] == metrics["costs"] == {}, "what others drew is not ours"
    page = (folder / "report.html").read_text()
    for words in ("Methods compared sequence by sequence", "The sequences that fare worst", "Wilcoxon"):
        assert words in page


def test_a_run_that_is_killed_anywhere_ends_in_the_same_bytes(results: Path, tmp_path: Path) -> None:
    whole = run_in(settings_for(results, tmp_path / "whole", limit=3)).folder
    parts = settings_for(results, tmp_path / "parts", limit=3)
    for after in (1, 2, 1):
        with pytest.raises(KeyboardInterrupt):
            run_in(replace(parts, resume=(tmp_path / "parts").exists()), Recorder("Measuring", after))
    ended = run_in(replace(parts, resume=True)).folder
    for name in WRITTEN:
        assert (whole / name).read_bytes() == (ended / name).read_bytes(), name


def test_the_sheet_has_no_frame_twice(results: Path) -> None:
    found, long = (thumbnails(ToMeasure("a", "b", memory=torch.rand(count, 3, 16, 16)), 7, 16) for count in (5, 12))
    assert len(found) == 5 and len(long) == 7
    assert len({frame.numpy().tobytes() for frame in found}) == 5


def test_what_needs_weights_is_named_before_anything_is_read_and_nothing_takes_its_place(
    results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "empty"))
    found = run(Job(settings_for(results, protocol="diffmorpher", limit=1), Silent()))
    assert not found.complete and found.scores.means == {} and found.scores.sets == {}
    assert "needs pt_inception-2015-12-05-6726825d.pth" in found.scores.lacking["kid"]
    assert "Not measured: needs" in found.to_markdown()
    rows = found.metrics["published"]
    assert rows[0]["method"] == "DiffMorpher" and rows[0]["second_hand"]


def test_another_number_of_frames_than_the_protocol_s_is_warned_of(results: Path) -> None:
    watch = Recorder()
    run(Job(settings_for(results, protocol="diffmorpher", limit=1), watch))
    assert any("sequences of 17 frames, and these have 5" in line for line in watch.warnings)


def test_what_cannot_be_measured_is_refused(results: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        run(Job(EvaluateSettings(sources=("nowhere",)), Silent()))
    with pytest.raises(InputError, match="got none"):
        EvaluateSettings()
    with pytest.raises(InputError, match="Did you mean 'slerp'"):
        EvaluateSettings(pairs="x", methods="slrep")
    with pytest.raises(InputError, match="command line"):
        geodesic_cli.evaluate(pairs="scenes:2")
    with pytest.raises(InputError, match="belong together"):
        EvaluateSettings(samples="x")
    put(torch.rand(3, 16, 33), tmp_path / "strip.png")
    with pytest.raises(InputError, match="multiple of 4"):
        run(Job(EvaluateSettings(sources=(str(tmp_path),), strip=4), Silent()))


def test_a_strip_is_cut_into_its_frames(tmp_path: Path) -> None:
    put(torch.linspace(0, 1, 4).repeat_interleave(16).expand(3, 16, -1), tmp_path / "x.png")
    found = run(Job(EvaluateSettings(sources=(str(tmp_path),), strip=4, protocol="vbench"), Silent()))
    assert found.sequences[0].frames == 4
    assert found.scores.means["flicker"][tmp_path.name].mean == pytest.approx(2 / 3, abs=0.01)


def test_what_is_refused_leaves_no_folder_behind(
    results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    picture = results / "inputs" / "pair0_0.png"
    for given in ({"sources": (str(picture),)}, {"samples": str(results / "inputs"), "real": "none"}):
        with pytest.raises(InputError):
            run_in(EvaluateSettings(**given))
    assert not Path("runs").exists()


def test_two_sets_of_images_are_compared_by_what_is_here(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def mean_colours(word: str) -> Networks:
        return Networks(features={word: lambda images: images.mean((2, 3))})

    monkeypatch.setattr("geodesic_cli.verbs.evaluate.run.networks_for", lambda *_: mean_colours(LITE))
    folder = str(results / "inputs")
    found = run(Job(EvaluateSettings(samples=folder, real=folder), Silent()))
    assert found.scores.sets["frechet_efficientnet_lite0"]["inputs"].value == pytest.approx(0, abs=1e-4)
    assert found.scores.sets["frechet_efficientnet_lite0"]["inputs"].images == 2 * len(NAMES)


def test_sets_are_measured_of_inner_frames_against_each_input_once(
    results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    networks = Networks(features={LITE: lambda images: images.mean((2, 3))})
    monkeypatch.setattr("geodesic_cli.verbs.evaluate.run.networks_for", lambda *_: networks)
    found = run(Job(settings_for(results, protocol="everything"), Silent()))
    number = found.scores.sets["frechet_efficientnet_lite0"]["fade"]
    assert (number.images, number.inputs) == (3 * len(NAMES), 2 * len(NAMES))
    assert found.scores.sets["kernel_efficientnet_lite0"]["fade"].spread is not None
