"""Command lines of diffusers' training scripts, as their README has them, with our name in front."""

import shlex
from pathlib import Path

import pytest
import torch
from pipelines import SD1, build
from typer.main import get_command
from typer.testing import CliRunner

from geodesic_cli.cli.app import app
from geodesic_cli.cli.command import GroupedCommand
from geodesic_cli.cli.pasted import ALWAYS, REFUSED, RENAMED, WITH_VALUE, WITHOUT_VALUE, translated
from geodesic_cli.errors import InputError
from geodesic_cli.media import write_png

TEXT_TO_IMAGE = """
  --pretrained_model_name_or_path=sd15 --train_data_dir=photos --use_ema --resolution=512 --center_crop --random_flip
  --train_batch_size=1 --gradient_accumulation_steps=4 --gradient_checkpointing --max_train_steps=15000
  --learning_rate=1e-05 --max_grad_norm=1 --lr_scheduler="constant" --lr_warmup_steps=0 --output_dir="sd-naruto-model"
  --validation_prompts "a robot" "a cat" --enable_xformers_memory_efficient_attention --report_to wandb
"""
LORA = """
  --pretrained_model_name_or_path sd15 --train_data_dir photos --caption_column="text" --resolution=512 --random_flip
  --train_batch_size=1 --num_train_epochs=100 --checkpointing_steps=5000 --learning_rate=1e-04 --rank 8
  --lr_scheduler="constant_with_warmup" --lr_warmup_steps=0 --seed=42 --output_dir="lora" --validation_prompt="cute"
  --validation_epochs=1 --snr_gamma 5 --noise_offset 0.1 --dataloader_num_workers=8 --mixed_precision=fp16
"""


def words_of_finetune() -> list[str]:
    command = get_command(app).commands["finetune"]  # type: ignore[attr-defined]
    return [word for param in command.params for word in (*param.opts, *param.secondary_opts)]


def read(line: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """What the parser of the command makes of a line."""
    command: GroupedCommand = get_command(app).commands["finetune"]  # type: ignore[attr-defined]
    return command.make_context("finetune", shlex.split(line)).params


def test_a_line_of_the_text_to_image_script_is_read(monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    found = read(TEXT_TO_IMAGE, monkeypatch)
    wanted = {
        "model": "sd15", "data": "photos", "resolution": 512, "random_flip": True, "train_batch_size": 1,
        "gradient_accumulation_steps": 4, "gradient_checkpointing": True, "max_train_steps": 15000,
        "learning_rate": 1e-5, "max_grad_norm": 1.0, "lr_scheduler": "constant", "lr_warmup_steps": 0,
        "out": "sd-naruto-model", "validation_prompt": ["a robot", "a cat"], "report_to": ["wandb"],
    }  # fmt: skip
    assert {name: found[name] for name in wanted} == wanted
    assert "xformers" in capsys.readouterr().err


def test_a_line_of_the_lora_script_is_read(monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    found = read(LORA, monkeypatch)
    wanted = {
        "model": "sd15", "lora_rank": 8, "num_train_epochs": 100, "lr_scheduler": "constant_with_warmup", "seed": 42,
        "validation_prompt": ["cute"], "snr_gamma": 5.0, "noise_offset": 0.1, "mixed_precision": "fp16", "out": "lora",
        "checkpointing_steps": 5000, "validation_epochs": 1,
    }  # fmt: skip
    assert {name: found[name] for name in wanted} == wanted
    notes = capsys.readouterr().err
    assert "--dataloader-num-workers" in notes and "one step ahead" in notes


def test_what_would_be_another_training_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for word, advice in REFUSED.items():
        with pytest.raises(InputError, match=f"has no {word}"):
            translated("finetune", [word.replace("-", "_").replace("__", "--", 1), "1"], [])
        assert advice.endswith(".")


def test_the_tables_name_no_option_of_ours_but_as_the_target() -> None:
    ours = set(words_of_finetune())
    assert set(RENAMED.values()) <= ours
    assert not {*RENAMED, *ALWAYS, *WITH_VALUE, *WITHOUT_VALUE, *REFUSED} & ours


def test_other_verbs_take_underscores_and_leave_values_alone() -> None:
    line = ["a_b.png", "--max_steps", "x_y", "--out=my_run", "--", "--a_b"]
    assert translated("interpolate", line, []) == ["a_b.png", "--max-steps", "x_y", "--out=my_run", "--", "--a_b"]
    assert translated("interpolate", ["--rank", "3"], []) == ["--rank", "3"]


def test_a_pasted_line_of_the_text_to_image_script_runs_and_leaves_a_model_of_diffusers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The line of diffusers' README with a folder for the model, one for the pictures, fewer steps and no tracker."""
    from diffusers import UNet2DConditionModel

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("geodesic_cli.verbs.finetune.run.MEASURED_EXAMPLES", 2)
    build(SD1, tmp_path / "my-sd")
    (tmp_path / "photos").mkdir()
    for number in range(2):
        write_png(torch.full((3, 32, 32), 0.4 * number), tmp_path / "photos" / f"{number}.png")
    line = (
        TEXT_TO_IMAGE.replace("sd15", "my-sd")
        .replace("=512", "=32")
        .replace("=15000", "=2")
        .replace("--report_to wandb", "")
    )
    done = CliRunner().invoke(app, ["finetune", *shlex.split(line), "--validation_epochs=1", "--cache_latents"])
    assert done.exit_code == 0, done.output
    assert UNet2DConditionModel.from_pretrained(tmp_path / "sd-naruto-model" / "unet", local_files_only=True)
    assert len(list((tmp_path / "sd-naruto-model" / "previews").iterdir())) == 3  # before, and after each pass
