"""What `geodesic check --model` finds, on models that are right and on models that are not."""

import json
from pathlib import Path

import pipelines
import pytest

from geodesic_cli.settings.about import CheckSettings
from geodesic_cli.verbs.about.trying import ModelReport, try_model
from helpers import Recorder


def tried(model: str, **more: object) -> ModelReport:
    return try_model(CheckSettings(model=model, device="cpu", **more), Recorder())  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["clevr-mini", "emoji-mini", "scenes-ddpm"])
def test_a_model_that_is_right(name: str) -> None:
    """The test pictures are rendered scenes. A model that draws no scenes is judged by what it draws."""
    report = tried(name)
    assert not report.wrong and report.verdict == f"{name} works on this machine."
    found = json.loads(json.dumps(report.facts))
    assert found["own_roundtrip_db" if name == "emoji-mini" else "roundtrip_db"] > 30
    assert found["score_size"]["0.5"] == pytest.approx(1, abs=0.1)
    assert found["noise_match"]["0.5"] > 0.9
    assert found["pair"]["converged"] and found["pair"]["evaluations"] < 100
    assert set(found["seconds"]) == {"load", "autoencoder", "score", "pair"}
    assert found["peak_gigabytes"] > 0.1
    assert "million weights" in found["parts"]["network"]


def test_random_weights_are_no_model_and_the_report_names_no_folder(tmp_path: Path) -> None:
    report = tried(str(pipelines.build(pipelines.SD1, tmp_path / "mine")), side=64)
    assert report.verdict == "mine does not work as it should on this machine."
    assert "The autoencoder brings the test pictures back with" in report.wrong[0]
    assert "The network does not find the noise" in report.wrong[1]
    assert report.facts["side"] == 64
    assert str(tmp_path) not in json.dumps([report.facts, report.wrong])


def test_a_scheduler_of_another_model_is_found_out(tmp_path: Path) -> None:
    import shutil

    from geodesic_cli.diffusion import ALIASES

    folder = Path(shutil.copytree(ALIASES["clevr-mini"], tmp_path / "m"))
    path = folder / "scheduler" / "scheduler_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"prediction_type": "v_prediction"}))
    (said,) = [line for line in tried(str(folder)).wrong if "does not find the noise" in line]
    assert "prediction_type" in said


def test_a_model_that_cannot_be_loaded_is_a_sentence(tmp_path: Path) -> None:
    report = tried(str(tmp_path / "nowhere"))
    assert len(report.wrong) == 1 and "\n" not in report.wrong[0]
    assert list(report.facts) == ["seconds"]
