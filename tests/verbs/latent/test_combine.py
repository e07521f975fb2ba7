"""Sums of noises: at the norm of noise, drawn and judged."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from geodesic_cli.diffusion import LatentDiffusion
from geodesic_cli.errors import InputError
from geodesic_cli.media import read_image
from geodesic_cli.runs.observer import Silent
from geodesic_cli.runs.tensors import read_tensors
from geodesic_cli.settings import CombineSettings
from geodesic_cli.verbs.latent.combine import LatentSum, combined, formula, latent_combine, stem
from geodesic_cli.verbs.latent.combine import run as verb_run
from helpers import decibels, into_folder, normal

run = into_folder(verb_run)


@pytest.fixture(scope="module")
def found(model: LatentDiffusion) -> LatentSum:
    return latent_combine(model=model, against=model, steps=4)


def test_a_sum_has_the_norm_of_its_parts_and_their_direction() -> None:
    x = normal(3, 400)
    total = combined(x, (1, 1, -1))
    assert float(total.norm()) == pytest.approx(float(x.norm(dim=1).mean()))
    assert float(torch.nn.functional.cosine_similarity(total, x[0] + x[1] - x[2], dim=0)) == pytest.approx(1)


def test_random_noises_are_added_up_drawn_and_judged(found: LatentSum) -> None:
    assert found.parts.shape == (3, 3, 64, 64) and found.drawn.shape == (3, 64, 64)
    assert found.metrics["norm_of_the_sum"] == pytest.approx(3**0.5, abs=0.3)
    assert found.metrics["fit_error"] is not None and "fit error" in found.status
    assert len(found.metrics["distances"]) == 3
    assert found.against is not None and torch.equal(found.against.drawn, found.drawn)
    assert found._page().shape[1] > 1.7 * replace(found, against=None)._page().shape[1]


def test_one_image_alone_comes_back_as_it_was(model: LatentDiffusion, pair: Tensor) -> None:
    done = latent_combine(*pair, model=model, weights="1,0", fit=False)
    assert decibels(done.drawn, done.parts[0]) > 40
    assert done.status == "The result looks most like A."


def test_a_run_leaves_the_result_and_the_noises(files: tuple[str, str], tmp_path: Path) -> None:
    chosen = CombineSettings(images=files, weights="0.5,0.5", steps=2, device="cpu", out=str(tmp_path / "o"), fit=False)
    done = run(chosen, Silent(), "test")
    assert torch.allclose(read_image(tmp_path / "o/result.png"), done.drawn, atol=1 / 255)
    assert torch.equal(read_tensors(tmp_path / "o/noise.safetensors")[0]["sum"], done.total)
    for index, part in enumerate(done.parts):
        assert torch.allclose(read_image(tmp_path / f"o/parts/{index:05d}.png"), part, atol=1 / 255)
    assert (tmp_path / "o/sheet.png").is_file()


@pytest.mark.parametrize(
    ("weights", "words"),
    [((1, 1, -1), "A + B - C"), ((-1, 2), "-A + 2 B"), ((0.5, 0.5), "0.5 A + 0.5 B"), ((-0.5, 1), "-0.5 A + B")],
)
def test_a_sum_is_written_as_people_write_it(weights: tuple[float, ...], words: str) -> None:
    assert formula(weights) == words


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"weights": "1"}, "two or more weights"),
        ({"weights": "0,0"}, "not all of them 0"),
        ({"weights": "1,x"}, "--weights takes numbers"),
        ({"images": ("a", "b")}, "images: 2, weights: 3"),
        ({"tau": 0.5}, "at tau 1"),
    ],
)
def test_sums_that_make_no_sense_are_refused(wrong: dict[str, object], words: str) -> None:
    with pytest.raises(InputError, match=words):
        CombineSettings(**wrong)


def test_folders_are_called_after_the_images() -> None:
    assert stem(CombineSettings()) == "combine"
    assert stem(CombineSettings(images=("x/a.png", "b.png", "c.png"))) == "combine-a-b-c"
