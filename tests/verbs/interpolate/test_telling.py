"""What an interpolation says of itself: names, marks and the verdict."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from geodesic_cli import media, plots
from geodesic_cli.diffusion import LatentDiffusion
from geodesic_cli.frames.pacing import pacer
from geodesic_cli.geometry import Status
from geodesic_cli.runs.observer import Silent
from geodesic_cli.settings import InterpolateSettings
from geodesic_cli.verbs.interpolate.run import Interpolation, interpolate
from geodesic_cli.verbs.interpolate.run import run as verb_run
from geodesic_cli.verbs.interpolate.searching import Found
from geodesic_cli.verbs.interpolate.telling import NAMED_ONE_BY_ONE, curve_labels, doubtful, spacing, verdict
from helpers import into_folder

run = into_folder(verb_run)
QUICK = {"frames": 3, "nodes": 9, "steps": 4, "tau": 0.6, "pacing": "path"}


@pytest.fixture(scope="module")
def unsolved(model: LatentDiffusion, pair: Tensor) -> Interpolation:
    return interpolate(pair[0], pair[1], model=model, compare=True, bend=8.0, max_steps=1, tol=1e-4, **QUICK)


def test_a_path_whose_residual_is_above_the_tolerance_claims_no_geodesic(unsolved: Interpolation) -> None:
    name = unsolved.metrics["names"]["geodesic"]
    residual = unsolved.report.relative_residual
    assert name == f"local short path, residual {residual:.2g}, not converged"
    assert f"short path, residual {residual:.2g}" in unsolved.status and "is a geodesic" not in unsolved.status
    assert unsolved.metrics["names"]["slerp"] == "great circle"


def test_a_solved_path_is_called_a_geodesic(model: LatentDiffusion, pair: Tensor) -> None:
    made = interpolate(pair[0], pair[1], model=model, bend=1.0, tol=0.2, **QUICK)
    assert made.metrics["names"] == {"geodesic": "local geodesic"}
    assert made.status == Status.CONVERGED.value


@pytest.mark.parametrize(("method", "words"), [("slerp", "great circle"), ("lerp", "straight line")])
def test_what_is_not_solved_says_what_it_leaves_out(
    model: LatentDiffusion, pair: Tensor, method: str, words: str
) -> None:
    made = interpolate(pair[0], pair[1], model=model, method=method, **QUICK)
    assert words in made.status and "--method geodesic" in made.status


def test_plots_say_which_path_is_in_the_frames_and_which_lost(unsolved: Interpolation) -> None:
    settings = InterpolateSettings(images=("a", "b"), method="geodesic")
    reports = {
        name: replace(unsolved.report, log_length=length) for name, length in (("slerp", 3.0), ("geodesic", 2.0))
    }
    labels = curve_labels(settings, {"slerp": "great circle", "geodesic": "local geodesic"}, reports)
    assert labels == {"slerp": "great circle (not chosen, longer)", "geodesic": "local geodesic (in frames/)"}
    reports["geodesic"] = replace(unsolved.report, log_length=4.0)
    labels = curve_labels(settings, {"slerp": "great circle", "geodesic": "local geodesic"}, reports)
    assert labels == {"slerp": "great circle (not chosen)", "geodesic": "local geodesic (in frames/, longer)"}
    assert curve_labels(settings, {"geodesic": "local geodesic"}, {"geodesic": unsolved.report}) == {
        "geodesic": "local geodesic"
    }


def test_doubtful_frames_are_named_or_counted() -> None:
    assert doubtful([]) == "None of the frames drawn lies there."
    assert doubtful([4]) == "Frame 4 lies there, as the sheet marks."
    assert doubtful([4, 5, 6]) == "Frames 4, 5 and 6 lie there, as the sheet marks."
    assert doubtful(list(range(NAMED_ONE_BY_ONE + 1))).startswith(
        f"{NAMED_ONE_BY_ONE + 1} frames from 0 to {NAMED_ONE_BY_ONE}"
    )


def test_a_search_says_that_its_path_is_no_geodesic(unsolved: Interpolation) -> None:
    from geodesic_cli.verbs.interpolate.legs import Leg

    path, report = unsolved.path, replace(unsolved.report, relative_residual=0.56)
    found = Found(path, torch.zeros(3, dtype=torch.bool), {"status": "It was found.", "evaluations": {}})
    leg = Leg(None, {"global": path}, {"global": report}, (), found, 0)  # type: ignore[arg-type]  # no ends are needed
    told = verdict(InterpolateSettings(images=("a", "b"), method="global"), leg)
    assert told.startswith("It was found. It is a short path, residual 0.56; a geodesic has at most 0.03.")


def test_sheet_and_plots_of_a_run_have_the_names_and_the_marks(
    files: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sheets, curves, histories = [], [], []
    monkeypatch.setattr(media, "sheet", lambda *given: sheets.append(given) or torch.ones(3, 8, 8))
    monkeypatch.setattr(plots, "density_and_speed", lambda series, path: curves.append(series))
    monkeypatch.setattr(plots, "length_history", lambda series, path: histories.append(series))
    asked = InterpolateSettings(
        images=(*files, files[0]), method="slerp", compare=True, bend=8.0, max_steps=1, tol=1e-4, device="cpu",
        out=str(tmp_path / "o"), between=1, **{name: value for name, value in QUICK.items() if name != "frames"},
    )  # fmt: skip
    run(asked, Silent(), "x")
    rows, labels, marks = sheets[0]
    assert labels[:2] == ["straight line", "great circle"] and "not converged" in labels[2]
    assert marks == media.SheetMarks(written=(1,), given=(0, 2, 4))
    assert len(rows) == 3
    assert [name.split(" (")[0].split(",")[0] for name in curves[0]] == [
        "straight line",
        "great circle",
        "local short path",
    ]
    assert list(histories[0]) == [f"image {k} to {k + 1}, not converged (not chosen)" for k in (1, 2)]


def test_it_is_said_how_frames_are_spaced(model: LatentDiffusion) -> None:
    even = pacer("even", model, model.latent_shape(64, 64))
    assert spacing(None, False, 1) == "Frames at equal steps of u, the position along the path."
    assert spacing(even, False, 1) == "Frames at equal steps in the autoencoder's latents."
    assert spacing(even, True, 1).startswith("Frames at steps that are small at both ends and large in the middle, in")
    assert spacing(even, False, 2) == "Frames at equal steps in the autoencoder's latents, from each image to the next."
