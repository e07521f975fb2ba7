"""A training that is watched: its table while it goes on, and what trackers are told."""

import csv
import math
import random
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import accelerate.tracking
import pytest
import torch
from tiny import write_pixel_model

from geodesic_cli.errors import InputError
from geodesic_cli.media import write_png
from geodesic_cli.runs.observer import Silent
from geodesic_cli.settings import FinetuneSettings
from geodesic_cli.verbs.finetune import watching
from geodesic_cli.verbs.finetune.run import run as verb_run
from helpers import Recorder, into_folder

run = into_folder(verb_run)


class Told:
    """A tracker that remembers."""

    requires_logging_directory = True
    made: list["Told"] = []  # noqa: RUF012

    def __init__(self, run_name: str, logging_dir: str) -> None:
        self.name, self.folder, self.rows, self.ended = run_name, logging_dir, [], False
        Told.made.append(self)

    def log(self, values: dict[str, float], step: int) -> None:
        self.rows.append((step, values))

    def finish(self) -> None:
        self.ended = True


@pytest.fixture
def tracker(monkeypatch: pytest.MonkeyPatch) -> type[Told]:
    monkeypatch.setattr(accelerate.tracking, "LOGGER_TYPE_TO_CLASS", {"told": Told})
    monkeypatch.setattr(watching, "PACKAGES", {"told": ("accelerate",)})
    Told.made.clear()
    return Told


def settings(folder: Path, **options: Any) -> FinetuneSettings:
    model = str(write_pixel_model(folder / "tiny"))
    fixed = {"data": "scenes", "train_batch_size": 2, "max_train_steps": 4, "validation_steps": 0, "device": "cpu"}
    return FinetuneSettings(model=model, out=str(folder / "run"), **{**fixed, **options})


def test_a_tracker_is_told_each_step_and_closed(tmp_path: Path, tracker: type[Told]) -> None:
    done = run(settings(tmp_path, report_to=("told",), regulariser="iso"), Silent(), "")
    (one,) = tracker.made
    assert (one.name, one.folder, one.ended) == ("run", str(tmp_path / "run" / "logs"), True)
    assert [step for step, _ in one.rows] == [1, 2, 3, 4]
    assert one.rows[0][1]["denoising"] == done.history[0][1]
    assert all(math.isfinite(value) for _, values in one.rows for value in values.values())


def test_a_tracker_is_closed_where_the_training_is_stopped_and_told_the_rest_later(
    tmp_path: Path, tracker: type[Told]
) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(settings(tmp_path, report_to=("told",), checkpointing_steps=1), Recorder(after=2), "")
    assert tracker.made[0].ended
    run(settings(tmp_path, report_to=("told",), checkpointing_steps=1, resume=True), Silent(), "")
    assert [step for step, _ in tracker.made[1].rows][-1] == 4


def test_the_table_is_there_while_the_training_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "TABLE_SECONDS", 0.0)
    monkeypatch.setattr(watching, "PLOT_SECONDS", 0.0)
    with pytest.raises(KeyboardInterrupt):
        run(settings(tmp_path, max_train_steps=50), Recorder(after=4), "")
    rows = list(csv.DictReader((tmp_path / "run" / "loss.csv").read_text("utf-8").splitlines()))
    assert [row["step"] for row in rows][:3] == ["1", "2", "3"]
    assert (tmp_path / "run" / "loss.png").is_file()


@pytest.mark.parametrize(
    ("name", "words"),
    [("tensorbord", "Did you mean 'tensorboard'"), ("aim", "needs the package aim, which is not installed")],
)
def test_a_tracker_that_cannot_be_had_is_one_sentence_before_the_work(tmp_path: Path, name: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        run(settings(tmp_path, report_to=(name,)), Silent(), "")
    assert not (tmp_path / "run").exists()


def test_the_files_of_tensorboard_have_the_losses(tmp_path: Path) -> None:
    reading = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    done = run(settings(tmp_path, report_to=("tensorboard",)), Silent(), "")
    found = reading.EventAccumulator(str(tmp_path / "run" / "logs" / "run")).Reload()
    told = [(event.step, event.value) for event in found.Scalars("denoising")]
    assert [step for step, _ in told] == [1, 2, 3, 4]
    assert [value for _, value in told] == pytest.approx([row[1] for row in done.history], rel=1e-6)


@pytest.mark.slow  # a minute: forty steps of emoji-mini, twice
def test_a_training_of_emoji_is_watched_killed_and_resumed_to_the_same_bytes(tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    for k in range(4):
        write_png(torch.full((3, 64, 64), k / 4), tmp_path / "pictures" / f"{k}.png")
    tracked = find_spec("tensorboard") is not None
    words = ["--model", "emoji-mini", "--data", str(tmp_path / "pictures"), "--iso", "--train-batch-size", "1"]
    words += ["--max-train-steps", "40", "--checkpointing-steps", "5", "--validation-steps", "0", "--device", "cpu"]
    words += ["--report-to", "tensorboard"] * tracked
    command = [sys.executable, "-m", "geodesic_cli", "finetune", *words, "--out"]
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    subprocess.run([*command, str(whole)], check=True, capture_output=True)
    with subprocess.Popen([*command, str(broken)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as training:
        after = random.choice([5, 10, 15, 20])
        while not (broken / f"checkpoint-{after}" / "state.safetensors").is_file():
            assert training.poll() is None, "it ended before it could be killed"
            time.sleep(0.05)
        told = losses_told(broken / "logs" / "broken") if tracked else []
        training.kill()
    assert training.returncode == -signal.SIGKILL
    assert len(told) >= after * tracked  # each step was there while the training went on
    subprocess.run([*command, str(broken), "--resume"], check=True, capture_output=True)
    for name in ("unet/diffusion_pytorch_model.safetensors", "loss.csv"):
        assert (broken / name).read_bytes() == (whole / name).read_bytes(), name


def losses_told(folder: Path) -> list[int]:
    """The steps whose loss is in the files of TensorBoard now."""
    reading = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    return [event.step for event in reading.EventAccumulator(str(folder)).Reload().Scalars("denoising")]
