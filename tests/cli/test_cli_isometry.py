import json
from pathlib import Path

import pytest
from diffusers import DDPMScheduler
from networks import pixel_network
from typer.testing import CliRunner

from geodesic_cli.cli.app import app
from geodesic_cli.errors import GeodesicError, InputError

QUICK = ["--taus", "1", "--points", "2", "--pairs", "1", "--segments", "3", "--ppl-pairs", "0", "--steps", "3"]


@pytest.fixture(scope="module")
def pixels(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("ddpm")
    pixel_network().float().save_pretrained(folder / "unet")
    DDPMScheduler().save_pretrained(folder / "scheduler")
    return str(folder)


def inside(*arguments: str, **variables: str):
    return CliRunner().invoke(app, list(arguments), env=variables, catch_exceptions=False)


def test_one_model_gives_a_table_by_noise_level(pixels: str, tmp_path: Path) -> None:
    done = inside("isometry", pixels, *QUICK, "--out", str(tmp_path / "run"))
    assert done.exit_code == 0
    for word in ("tau 1", "isometry loss L (low is good)", "MCN, whole", "VoR of pooled h", "mRTL", "spectrum.png"):
        assert word in done.stdout
    assert "N = 2 points" not in done.stdout and "N = 2 points" in (tmp_path / "run" / "table.md").read_text("utf-8")
    with pytest.raises(GeodesicError, match="not empty"):
        inside("isometry", pixels, *QUICK, "--out", str(tmp_path / "run"))


def test_two_models_stand_side_by_side_and_json_has_both(pixels: str, tmp_path: Path) -> None:
    done = inside("isometry", pixels, "--against", pixels, *QUICK, "--out", str(tmp_path / "a"))
    assert "ratio" in done.stdout and "1.000" in done.stdout
    done = inside("isometry", pixels, "--against", pixels, *QUICK, "--json", "--out", str(tmp_path / "b"))
    assert len(json.loads(done.stdout)["models"]) == 2


def test_a_config_file_and_a_variable_are_read(pixels: str, tmp_path: Path) -> None:
    inside("isometry", pixels, *QUICK, "--out", str(tmp_path / "a"))
    again = inside(
        "isometry", pixels, "--config", str(tmp_path / "a" / "config.toml"), "--json", "--out", str(tmp_path / "b"),
        GEODESIC_ISOMETRY_POINTS="3",
    )  # fmt: skip
    found = json.loads(again.stdout)
    assert found["points"] == 3
    assert found["segments"] == 3


def test_bad_inputs_are_one_sentence() -> None:
    with pytest.raises(InputError, match="--points needs at least 2"):
        inside("isometry", "--points", "1")
    with pytest.raises(GeodesicError, match="no model 'nowhere'"):
        inside("isometry", "nowhere")


def test_help_explains_the_measures() -> None:
    done = inside("isometry", "--help")
    assert "--against" in done.stdout and "condition number" in done.stdout
