"""A training that is watched: its table while it goes on, and what trackers are told."""

import csv
import math
from pathlib import Path
from typing import Any

import accelerate.tracking
import pytest
from tiny import write_pixel_model

from geodesic_cli.errors import InputError
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
