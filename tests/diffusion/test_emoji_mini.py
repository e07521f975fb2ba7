"""`emoji-mini`, the embedded model of pictures that nobody here drew: what it knows, what a user's pictures become."""

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from geodesic_cli.diffusion import ALIASES, Embedding, LatentDiffusion, load
from geodesic_cli.evaluation import psnr
from geodesic_cli.media import read_image, resize
from geodesic_cli.settings import InterpolateSettings

PICTURES = Path(__file__).parents[2] / "examples" / "images" / "emoji"


@pytest.fixture(scope="module")
def emoji() -> LatentDiffusion:
    return load("emoji-mini", device="cpu")


@pytest.fixture(scope="module")
def pictures() -> dict[str, Tensor]:
    """The sample pictures at the model's size, by the names of their files."""
    return {file.stem: resize(read_image(file), 64, 64) for file in sorted(PICTURES.glob("*.png"))}


def prompt(stem: str) -> str:
    name, _, style = stem.rpartition("-")
    return f"{name.replace('-', ' ')}, {style}"


def test_it_is_small_and_says_whose_pictures_it_learned_from() -> None:
    folder = Path(ALIASES["emoji-mini"])
    assert sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) < 30e6
    assert not [file for file in folder.rglob("*.*") if file.suffix not in (".json", ".safetensors", ".md", ".txt")]
    card = (folder / "README.md").read_text()
    for credit in ("Microsoft Corporation", "Google LLC", "Twitter, Inc", "MIT", "Apache-2.0", "CC-BY 4.0"):
        assert credit in card
    assert "to be measured" not in card
    assert json.loads((folder / "scheduler/scheduler_config.json").read_text())["prediction_type"] == "v_prediction"


def test_pictures_of_a_user_come_back_and_so_do_their_noises(
    emoji: LatentDiffusion, pictures: dict[str, Tensor]
) -> None:
    images = torch.stack(list(pictures.values()))
    shape, z = emoji.latent_shape(64, 64), emoji.encode(images)
    plain = psnr(images.double(), emoji.decode(z, shape).double())
    assert plain.mean() > 31 and plain.min() > 25 and (plain > 27).sum() >= len(plain) - 1
    few = slice(3, None, 8)
    said = Embedding.cat([emoji.prompts.embed(prompt(stem)) for stem in list(pictures)[few]])
    back = emoji.drop(emoji.lift(z[few], shape, said, 0.6, 15), shape, said, 0.6, 15)
    away = psnr(images[few].double(), emoji.decode(back, shape).double()) - plain[few]
    assert away.abs().max() < 1


def test_it_draws_what_a_prompt_names(emoji: LatentDiffusion, pictures: dict[str, Tensor]) -> None:
    stems = ["red-apple-3d", "bus-3d", "penguin-twemoji", "heavy-black-heart-3d"]
    drawn = emoji.sample([prompt(stem) for stem in stems], torch.Generator().manual_seed(1), 10, 3.0)
    small = avg_pool2d(torch.stack(list(pictures.values())), 16).flatten(1)
    near = torch.cdist(avg_pool2d(drawn, 16).flatten(1), small).argsort(1)[:, :3]
    named = [stem in {list(pictures)[k] for k in row} for stem, row in zip(stems, near.tolist(), strict=True)]
    assert sum(named) >= 3


def test_words_that_it_has_not_learned_are_named(emoji: LatentDiffusion) -> None:
    assert emoji.prompts.readers[0].unknown("a photograph of a zeppelin, 3d") == ["photograph", "zeppelin"]
    assert emoji.prompts.readers[0].unknown("a jack o lantern, noto") == []


def test_it_takes_the_local_geodesic_by_default() -> None:
    assert InterpolateSettings(images=("a", "b"), model="emoji-mini").method == "geodesic"
