"""Prompts that are read from the images."""

import pytest
import torch

from geodesic_cli.diffusion.tuning.likeliest import NOISES, evaluations_to_choose
from geodesic_cli.errors import InputError
from geodesic_cli.frames.captioning import OWN, captions_in, prompts_read
from geodesic_cli.runs.observer import Observer
from geodesic_cli.scenes import render, sample


class Counting(Observer):
    """Counts what it is told."""

    def __init__(self) -> None:
        self.total = self.done = 0

    def stage(self, name: str, total: int, unit: str = "evaluations") -> None:
        """The stage."""
        self.total = total

    def advance(self, amount: int, note: str = "") -> None:
        """Progress."""
        self.done += amount


@pytest.fixture(scope="module")
def read(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("captions")
    scenes = sample(3, torch.Generator().manual_seed(11))
    wrong = ("a green rubber cube", "a purple metal sphere", "a yellow rubber cylinder")
    captions = (*(scene.caption for scene in scenes), *wrong)
    images = render(scenes)
    asked: list[int] = []
    hook = model.predict.unet.register_forward_pre_hook(lambda module, inputs: asked.append(len(inputs[0])))
    watch = Counting()
    found = prompts_read(model, images, captions, folder=folder, observer=watch)
    first = sum(asked)
    again = prompts_read(model, images, captions, folder=folder)
    hook.remove()
    return scenes, found, again, first, sum(asked) - first, watch


def test_the_caption_of_a_scene_is_the_likeliest_one(read):
    scenes, found, *_ = read
    assert found == tuple(scene.caption for scene in scenes)


def test_every_evaluation_is_counted_and_paid_for_once(read):
    _, found, again, first, second, watch = read
    assert first == 3 * evaluations_to_choose(6) == watch.total == watch.done
    assert again == found and second == 0


def test_one_caption_needs_no_choice_but_costs_what_is_told():
    assert evaluations_to_choose(1) == sum(NOISES)


def test_a_model_brings_its_own_captions_along():
    assert "a red rubber cube" in captions_in(OWN, "clevr-mini")
    assert "alien monster, noto" in captions_in(OWN, "emoji-mini")


@pytest.mark.parametrize(
    "text, words", [("", "1 to"), ("\n \n", "1 to"), (b"\xff\xfe\x00x\xff", "cannot be read"), (None, "cannot be read")]
)
def test_a_file_without_captions_is_refused(text, words, tmp_path):
    file = tmp_path / "captions.txt"
    if text is not None:
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(InputError, match=words):
        captions_in(str(file), "clevr-mini")


def test_a_model_without_captions_says_so():
    with pytest.raises(InputError, match="brings no captions"):
        captions_in(OWN, "scenes-ddpm")


def test_lines_are_told_apart_and_counted_once(tmp_path):
    file = tmp_path / "captions.txt"
    file.write_text("a dog\n\n  a cat \na dog\n")
    assert captions_in(str(file), "clevr-mini") == ("a dog", "a cat")
