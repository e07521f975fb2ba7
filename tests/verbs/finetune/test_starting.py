"""How long a training is: passes counted in steps."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from geodesic_cli.errors import InputError
from geodesic_cli.media import write_png
from geodesic_cli.settings import FinetuneSettings
from geodesic_cli.verbs.finetune.data import Scenes, read_folder
from geodesic_cli.verbs.finetune.processes import Processes
from geodesic_cli.verbs.finetune.starting import require_data, with_steps


@pytest.mark.parametrize(
    ("batch", "several", "processes", "steps"), [(2, 1, 1, 9), (2, 2, 1, 6), (2, 1, 2, 6), (9, 1, 1, 3)]
)
def test_passes_are_steps_of_whole_batches(
    tmp_path: Path, batch: int, several: int, processes: int, steps: int
) -> None:
    for k in range(5):
        write_png(torch.rand(3, 8, 8), tmp_path / f"{k}.png")
    settings = FinetuneSettings(num_train_epochs=3, train_batch_size=batch, gradient_accumulation_steps=several)
    assert settings.max_train_steps is None
    found = with_steps(settings, read_folder(tmp_path, 8, 0), Processes(0, processes))
    assert found.max_train_steps == steps
    assert found.validation_steps == max(1, steps // 4)
    seen = with_steps(replace(settings, validation_epochs=2), read_folder(tmp_path, 8, 0), Processes(0, processes))
    assert seen.validation_steps == 2 * steps // 3


def test_scenes_have_no_passes_and_a_number_of_steps_wins() -> None:
    with pytest.raises(InputError, match="counts passes through a folder"):
        with_steps(FinetuneSettings(num_train_epochs=3), Scenes(8, 0), Processes())
    with pytest.raises(InputError, match=r"--validation-epochs counts passes .* Pass --validation-steps"):
        with_steps(FinetuneSettings(validation_epochs=1), Scenes(8, 0), Processes())
    given = FinetuneSettings(num_train_epochs=3, max_train_steps=7, validation_epochs=1, validation_steps=2)
    assert with_steps(given, Scenes(8, 0), Processes()).validation_steps == 2
    assert with_steps(given, Scenes(8, 0), Processes()).max_train_steps == 7


def test_a_model_of_other_pictures_is_not_tuned_on_scenes_unless_they_are_asked_for() -> None:
    for model in ("clevr-mini", "scenes-ddpm"):
        require_data(FinetuneSettings(model=model))
    for model in ("emoji-mini", "sd15", "somebody/model"):
        with pytest.raises(InputError, match=f"Images to learn from are needed.*not for {model}"):
            require_data(FinetuneSettings(model=model))
        require_data(FinetuneSettings(model=model, data="scenes"))
        require_data(FinetuneSettings(model=model, dataset_name="me/cats"))
