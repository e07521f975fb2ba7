"""`geodesic models` and `geodesic check` as a user sees them."""

import json

import pytest
from typer.testing import CliRunner

from geodesic_cli.cli.app import app

run = CliRunner().invoke


@pytest.fixture(autouse=True)
def _empty_cache(tmp_path, monkeypatch) -> None:
    import huggingface_hub.constants as constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))


def test_the_table_of_models_names_them_all_and_fits_a_wide_screen() -> None:
    done = run(app, ["models"])
    assert done.exit_code == 0, done.output
    for name in ("clevr-mini", "sd15", "sd21-base", "sdxl", "part of this package", "--variant fp16"):
        assert name in done.output
    assert max(len(line) for line in done.output.splitlines()) <= 160


def test_models_as_json_is_a_list() -> None:
    listed = json.loads(run(app, ["models", "--json"]).stdout)
    assert {model["name"] for model in listed} >= {"clevr-mini", "sd15", "sd21-base", "sdxl"}
    assert listed[0]["folder"]


def test_the_report_is_a_table_with_advice() -> None:
    done = run(app, ["check", "--device", "cpu"])
    assert done.exit_code == 0, done.output
    for name in ("torch", "device", "dtype", "threads", "films", "cache", "offline", "models"):
        assert name in done.output
    assert "Only the models of this package are here" in done.output


def test_the_report_as_json_is_one_object_and_a_missing_device_is_no_failure() -> None:
    done = run(app, ["check", "--json", "--device", "cuda:7"])
    assert done.exit_code == 0
    told = json.loads(done.stdout)
    assert told["device"] == "cpu"
    assert any("cuda:7" in line for line in told["advice"])


def test_one_model_says_how_to_fetch_it_and_what_to_do_next() -> None:
    done = run(app, ["models", "sd15"])
    assert done.exit_code == 0, done.output
    for words in ("hf download", "Licence: CreativeML", "--variant fp16", "  sd15/unet/config.json", "--model ./sd15"):
        assert words in done.output
    told = json.loads(run(app, ["models", "sdxl", "--json"]).stdout)
    assert told["here"] is None and "text_encoder_2/model.safetensors" in told["files"]
    assert "hf download" not in run(app, ["models", "clevr-mini"]).output


def test_a_model_is_tested_and_its_report_can_be_pasted(tmp_path) -> None:
    done = run(app, ["check", "--model", "clevr-mini", "--device", "cpu"])
    assert done.exit_code == 0, done.output
    for words in ("clevr-mini works on this machine.", "there and back", "a small pair", "seconds", "versions"):
        assert words in done.stdout
    wrong = run(app, ["check", "--model", str(tmp_path / "nothing"), "--json"])
    assert wrong.exit_code == 1
    told = json.loads(wrong.stdout)
    assert told["wrong"] and "does not work" in told["verdict"] and told["machine"]["geodesic"]
