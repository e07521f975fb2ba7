"""The lists of models and of what this machine has."""

import shutil
from pathlib import Path

import huggingface_hub.constants as constants
import pytest
import torch

from geodesic_cli.diffusion import ALIASES
from geodesic_cli.verbs.about.check import check
from geodesic_cli.verbs.about.models import models


@pytest.fixture
def cache(tmp_path: Path, monkeypatch) -> Path:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    return tmp_path


def put(cache: Path, source: str) -> Path:
    """A whole model in the cache, as the Hub's tools leave it."""
    repository = cache / f"models--{source.replace('/', '--')}"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("a" * 40)
    return Path(shutil.copytree(ALIASES["clevr-mini"], repository / "snapshots" / ("a" * 40)))


def test_in_an_empty_cache_only_the_embedded_model_is_here(cache: Path) -> None:
    listed = {model.name: model for model in models()}
    assert set(listed) >= {"clevr-mini", "sd15", "sd21-base", "sdxl"}
    here = {name for name, model in listed.items() if model.folder is not None}
    assert "clevr-mini" in here
    assert here == {name for name, model in listed.items() if model.sources == ("part of this package",)}
    assert listed["clevr-mini"].download is None
    assert listed["sdxl"].memory_fp32 == pytest.approx(2 * listed["sdxl"].memory_fp16, abs=0.01)


def test_what_is_in_the_cache_is_found_under_any_of_its_names(cache: Path) -> None:
    folder = put(cache, "Manojb/stable-diffusion-2-1-base")
    other = put(cache, "someone/something")
    listed = {model.name: model for model in models()}
    assert listed["sd21-base"].folder == str(folder)
    assert listed["someone/something"].folder == str(other)
    shutil.rmtree(folder / "unet")
    assert "lacks unet" in {model.name: model for model in models()}["sd21-base"].note


def test_the_report_names_what_would_be_chosen(cache: Path) -> None:
    report = check("cpu")
    assert report.facts["device"] == "cpu"
    assert report.facts["dtype"] == "fp32"
    assert report.facts["libraries"]["torch"] == torch.__version__
    assert report.facts["cache"] == str(cache)
    assert report.facts["models"]["sd15"] is None
    assert any("Only the models of this package" in line for line in report.advice)


def test_the_report_says_what_offline_means(cache: Path, monkeypatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setenv("HF_TOKEN", "secret-token")
    report = check("cpu")
    assert report.facts["offline"] is True
    assert any("HF_HUB_OFFLINE is set" in line for line in report.advice)
    assert "secret-token" not in str(report)


def test_a_device_that_is_not_there_is_advice_and_no_failure(cache: Path) -> None:
    report = check("gpu")
    assert report.facts["device"] == "cpu"
    assert any("'gpu' is not available" in line for line in report.advice)
