"""Two models side by side: the same work for both, one sheet, and names that tell them apart."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tiny import write_pixel_model
from torch import Tensor

from geodesic_cli.diffusion import LatentDiffusion
from geodesic_cli.diffusion.loading.unconditional import load_unconditional
from geodesic_cli.errors import InputError
from geodesic_cli.media import read_image, write_png
from geodesic_cli.runs.observer import Silent
from geodesic_cli.settings import CombineSettings, DirectionSettings, InvertSettings, LineSettings, SlerpSettings
from geodesic_cli.verbs.latent.beside import owned, sized_as
from geodesic_cli.verbs.latent.direction import latent_direction
from geodesic_cli.verbs.latent.invert import Inversion, invert
from geodesic_cli.verbs.latent.invert import run as verb_run
from geodesic_cli.verbs.latent.slerp import latent_slerp
from geodesic_cli.verbs.latent.survival import which_is_better
from helpers import Recorder, into_folder

run = into_folder(verb_run)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_pixel_model(tmp_path_factory.mktemp("models") / "tiny", 16))


@pytest.fixture(scope="module")
def twins(model: LatentDiffusion, pair: Tensor) -> Inversion:
    """A model beside itself."""
    return invert(*pair, model=model, against=model, steps=3)


def test_a_model_beside_itself_brings_the_same_back_under_two_names(twins: Inversion) -> None:
    assert twins.against is not None
    assert torch.equal(twins.made.back, twins.against.made.back)
    assert twins.metrics["name"] == "clevr-mini (1)" and twins.metrics["against"]["name"] == "clevr-mini (2)"
    assert twins.metrics["against"]["transport"] == twins.metrics["transport"]
    assert twins.status.endswith("Both bring images back equally well.")


def test_the_sheet_has_the_rows_of_both(twins: Inversion) -> None:
    alone = replace(twins, against=None)
    assert twins._page().shape[1] > 1.7 * alone._page().shape[1]


def test_which_model_is_better_is_said_with_the_difference() -> None:
    said = which_is_better(("a", "Fine.", 30.0), ("b", "Better.", 34.5))
    assert said == "a: Fine. b: Better. b brings images back better, by 4.5 dB."
    assert which_is_better(("a", "", 173.0), ("b", "", 140.0)).endswith("equally well.")


def test_a_second_model_of_another_size_sees_the_images_at_its_own(
    model: LatentDiffusion, pair: Tensor, tiny: str
) -> None:
    done = invert(*pair, model=model, against=load_unconditional(tiny, "cpu"), steps=2, observer=Recorder())
    assert done.against is not None
    assert done.against.images.shape == (2, 3, 16, 16)
    assert done._page().shape[0] == 3


def test_a_run_with_a_second_model_writes_what_is_of_each_and_goes_on(tiny: str, pair: Tensor, tmp_path: Path) -> None:
    write_png(pair[0], tmp_path / "a.png")
    chosen = InvertSettings(
        images=(str(tmp_path / "a.png"),), model=tiny, against=tiny, steps=2, device="cpu", out=str(tmp_path / "o")
    )
    with pytest.raises(KeyboardInterrupt):
        run(chosen, Recorder(stop_in="Writing", after=0), "test")
    assert (tmp_path / "o/checkpoint/against-00000.safetensors").is_file()
    done = run(replace(chosen, resume=True), Silent(), "test")
    assert done.against is not None
    for name in ("reconstructions/00000.png", "noise.safetensors"):
        assert (tmp_path / "o" / name).is_file() and (tmp_path / f"o/against-{name}").is_file()
    assert read_image(tmp_path / "o/sheet.png").shape[0] == 3
    assert "tiny (2)" in (tmp_path / "o/report.html").read_text()


def test_two_models_of_one_shape_join_the_same_noises(model: LatentDiffusion) -> None:
    found = latent_slerp(model=model, against=model, pairs=1, frames=2, steps=2, fit=False)
    assert found.against is not None
    assert torch.equal(found.ends, found.against.ends)
    assert found._page().shape[1] > replace(found, against=None)._page().shape[1]
    assert found.metrics["against"]["paths"]["slerp"]["path_ppl"] == found.metrics["paths"]["slerp"]["path_ppl"]


def test_a_direction_is_found_in_each_model_by_itself(tiny: str, tmp_path: Path) -> None:
    for label, level in (("dark", 0.2), ("bright", 0.8)):
        (tmp_path / label).mkdir()
        for k in range(5):
            write_png(level + 0.1 * torch.rand(3, 16, 16), tmp_path / label / f"{k}.png")
    quick = {"labels": str(tmp_path), "held_out": 1, "steps": 2, "strengths": "1"}
    model = load_unconditional(tiny, "cpu")
    found = latent_direction("dark", "bright", model=model, against=model, observer=Recorder(), **quick)
    assert found.against is not None
    assert torch.equal(found.direction, found.against.direction)
    assert found._page().shape[1] > 1.3 * replace(found, against=None)._page().shape[1]
    assert found.metrics["against"]["name"] == "tiny (2)"


@pytest.mark.parametrize(
    ("record", "needed"),
    [
        (InvertSettings, {"images": ("a",)}),
        (SlerpSettings, {}),
        (DirectionSettings, {"source": "a", "target": "b"}),
        (LineSettings, {}),
        (CombineSettings, {}),
    ],
)
def test_an_adapter_of_no_second_model_is_refused(record: type, needed: dict[str, object]) -> None:
    with pytest.raises(InputError, match="--against-lora needs the model that it adapts"):
        record(**needed, against_lora=("x",))


def test_long_names_are_shortened_and_pictures_are_brought_to_one_size() -> None:
    assert owned("", "noise") == "noise"
    assert owned("a", "noise") == "a\nnoise"
    assert len(owned("x" * 60, "noise").split("\n")[0]) <= 24
    assert sized_as(torch.rand(2, 3, 8, 8), torch.rand(1, 3, 16, 16)).shape == (2, 3, 16, 16)
