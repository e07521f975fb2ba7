import json
from pathlib import Path

import pytest
from pipelines import SD1, build
from typer.testing import CliRunner

from geodesic_cli.cli.app import app
from geodesic_cli.errors import InputError
from geodesic_cli.settings import FinetuneSettings, from_mapping

QUICK = ["--max-train-steps", "1", "--train-batch-size", "2", "--validation-steps", "0", "--device", "cpu"]


@pytest.fixture(autouse=True)
def measured_on_few(monkeypatch: pytest.MonkeyPatch) -> None:
    """The losses before and after take most of the time of so short a training."""
    monkeypatch.setattr("geodesic_cli.verbs.finetune.run.MEASURED_EXAMPLES", 4)


def invoke(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["finetune", *arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_the_command_writes_a_model_and_says_how_to_use_it(tmp_path: Path) -> None:
    out = str(tmp_path / "out")
    text = invoke("--iso", "--out", out, *QUICK)
    assert "isometry" in text and "denoises" in text
    assert f"--model {out}" in text
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["settings"]["regulariser"] == "iso"
    assert "unet/diffusion_pytorch_model.safetensors" in manifest["files"]


def test_an_adapter_is_announced_with_lora_and_json_is_one_object(tmp_path: Path) -> None:
    text = invoke("--iso", "--lora-rank", "2", "--out", str(tmp_path / "out"), "--json", *QUICK)
    metrics = json.loads(text)
    assert metrics["adapter"] is True
    assert metrics["steps"] == 1


def test_an_adapter_of_another_model_is_announced_with_that_model(tmp_path: Path) -> None:
    model, out = build(SD1, tmp_path / "sd1"), tmp_path / "out"
    text = invoke("--model", str(model), "--data", "scenes", "--lora-rank", "2", "--out", str(out), *QUICK)
    assert f"--model {model} --lora {out}" in text


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--iso", "--regulariser", "path-length"], "--iso is --regulariser iso"),
        (["--regulariser", "iso-euclidian"], "Did you mean 'iso-euclidean'"),
        (["--data", "nowhere"], "there is none at nowhere"),
        (["--mixed-precision", "fp16", "--device", "cpu"], "CUDA"),
        (["--dtype", "fp16"], "trained in fp32"),
        (["--resume"], "--out"),
        (["--resolution", "60"], "multiples of 8"),
        (["--learning-rate", "0"], "learning-rate"),
        (["--lora-alpha", "2"], "--lora-rank"),
        (["--model", "nothing-here"], "nothing-here"),
    ],
)
def test_what_cannot_be_is_one_sentence(
    arguments: list[str], word: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Exception, match=word.replace("(", r"\(")) as caught:
        CliRunner().invoke(app, ["finetune", *arguments], catch_exceptions=False)
    assert type(caught.value).__module__ == "geodesic_cli.errors"
    assert not (tmp_path / "runs").exists()


def test_defaults_depend_on_the_size_of_the_model() -> None:
    small, large = FinetuneSettings(), FinetuneSettings(model="sd15")
    assert small.learning_rate > large.learning_rate == 1e-5
    assert small.max_train_steps < large.max_train_steps
    assert FinetuneSettings(model="sd15", lora_rank=4).learning_rate == 1e-4
    assert FinetuneSettings(lora_rank=4).learning_rate == 1e-3


def test_a_config_is_read_back_and_a_wrong_key_is_named() -> None:
    assert from_mapping(FinetuneSettings, {"iso_lambda": 1, "regulariser": "iso"}).iso_lambda == 1.0
    with pytest.raises(InputError, match="iso_lambda"):
        from_mapping(FinetuneSettings, {"iso_lamda": 1})
