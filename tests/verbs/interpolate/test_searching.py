"""`--method global` as a run: what it writes, what it tells, and that it resumes to the same bytes."""

import json
from pathlib import Path

import pytest
import torch

from geodesic_cli import media
from geodesic_cli.frames.paths import ImagePath as Route
from geodesic_cli.geometry import Curve, Euclidean
from geodesic_cli.runs.observer import Silent
from geodesic_cli.scenes import Scene, Solid, render
from geodesic_cli.settings import InterpolateSettings
from geodesic_cli.verbs.interpolate.run import run as verb_run
from geodesic_cli.verbs.interpolate.searching import Found
from helpers import Recorder, decibels, into_folder, vector

run = into_folder(verb_run)

TOLD = {"manifest.json", "metrics.json", "log.txt", "config.toml", "global.safetensors"}
"""Files that hold the time, or what the search has cost: nothing for a pool that is in the cache."""


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch) -> Path:
    folder = tmp_path_factory.getbasetemp() / "cache-of-search"
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    return folder


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> tuple[str, str]:
    folder = tmp_path_factory.mktemp("images")
    scenes = [Scene((Solid("sphere", "red", x=x, y=0.0, size=0.65),)) for x in (-0.5, 0.5)]
    names = tuple(str(folder / f"{name}.png") for name in "ab")
    for name, image in zip(names, render(scenes), strict=True):
        media.write_png(image, name)
    return names


def settings(files: tuple[str, str], out: Path, **changes) -> InterpolateSettings:
    quick = {"frames": 4, "nodes": 9, "steps": 6, "pacing": "path", "pool_size": 32, "budget": "900"}
    return InterpolateSettings(
        images=files, prompt=("a red rubber sphere",), method="global", out=str(out), device="cpu", **quick | changes
    )


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in TOLD
    }


@pytest.mark.slow
def test_a_search_writes_its_picture_and_its_numbers_and_goes_on_from_them(files, tmp_path, cache, monkeypatch):
    made = run(settings(files, tmp_path / "whole"), Silent(), "whole")
    metrics = json.loads((tmp_path / "whole" / "metrics.json").read_text())
    assert (metrics["tau"], metrics["alpha"], metrics["method"]) == (0.1, 0.02, "global")
    told = metrics["global"]
    assert told["winner"] in ("global", "graph", "local")
    assert told["log_lengths"]["slerp"] > min(told["log_lengths"].values())
    assert metrics["score_evaluations"] == sum(told["evaluations"].values())
    assert metrics["evaluations"]["path"] > metrics["score_evaluations"]
    assert made.status.startswith(told["status"])
    assert torch.equal(made.path.curve.x[0], made.path(vector(0))[0])
    assert (tmp_path / "whole" / "graph.png").stat().st_size > 10_000
    assert len(list(cache.rglob("*.safetensors"))) >= 2
    with pytest.raises(KeyboardInterrupt):
        run(settings(files, tmp_path / "broken"), Recorder("Drawing", 1), "broken")
    monkeypatch.setattr(
        "geodesic_cli.verbs.interpolate.searching.global_path", None
    )  # what was found is not searched for again
    run(settings(files, tmp_path / "broken", resume=True), Silent(), "resumed")
    assert contents(tmp_path / "broken") == contents(tmp_path / "whole")


def test_frames_in_an_improbable_region_are_named():
    doubtful = torch.zeros(129, dtype=torch.bool)
    doubtful[60:70] = True
    path = Route("global", Curve(torch.zeros(2, 3), Euclidean()), None, None, 0.02, 1.0)
    found = Found(path, doubtful, {"evaluations": {"pool": 3, "search": 4}, "status": "So."})
    assert found.marked(torch.linspace(0, 1, 5)) == [2]
    assert not found.certain
    assert found.evaluations == 7
    assert Found(path, torch.zeros(129, dtype=torch.bool), found.metrics).certain


def test_the_noise_level_and_the_exponent_follow_the_method_unless_given():
    def made(**given) -> InterpolateSettings:
        return InterpolateSettings(images=("a", "b"), **given)

    assert (made(method="geodesic").tau, made(method="geodesic").alpha) == (0.4, None)
    assert (made(method="global").tau, made(method="global").alpha) == (0.1, None)
    assert (made(method="global", tau=0.2, alpha=0.05).tau, made(method="global", alpha=0.05).alpha) == (0.2, 0.05)


def test_a_bend_that_an_alpha_overrides_is_said_to_be_unused(files, tmp_path):
    watch = Recorder()
    run(settings((files[0], files[0]), tmp_path / "run", bend=2.0, alpha=0.03), watch, "same")
    assert any("The bend of 2 is not used" in message and "0.03" in message for message in watch.warnings)


@pytest.mark.slow
def test_a_bend_sets_the_alpha_of_a_search(files, tmp_path):
    first = run(settings(files, tmp_path / "first", nodes=17), Silent(), "first")
    alpha, bend = first.metrics["alpha"], first.metrics["bend"]
    assert alpha == 0.02
    half = run(settings(files, tmp_path / "half", nodes=17, bend=bend / 2), Silent(), "half")
    assert half.metrics["alpha"] == pytest.approx(alpha / 2, rel=1e-3)
    assert half.metrics["bend"] == pytest.approx(bend / 2, rel=1e-3)


def test_identical_images_need_no_search(files, tmp_path):
    made = run(settings((files[0], files[0]), tmp_path / "run"), Silent(), "same")
    assert made.converged
    assert made.status == "The two images are the same: there is nothing to search for."
    assert made.metrics["score_evaluations"] == 0
    assert decibels(made.frames[0], made.frames[2]) > 40
