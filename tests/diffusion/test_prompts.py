"""What of a prompt is not read as it may be meant is told once, in a sentence."""

from dataclasses import replace
from pathlib import Path

import pipelines
import pytest

from geodesic_cli.diffusion import LatentDiffusion, load
from geodesic_cli.diffusion.prompts import PromptEncoder, PromptRemark

LONG = "a red cube and a blue sphere and a green cylinder and a yellow cube and a cyan sphere"


def told(model: LatentDiffusion) -> tuple[PromptEncoder, list[str]]:
    said: list[str] = []
    return replace(model.prompts, notify=said.append), said


def test_a_prompt_that_is_read_in_parts_is_told_once(model: LatentDiffusion) -> None:
    prompts, said = told(model)
    full, short = prompts.embed(LONG), prompts.embed(LONG.partition(" cube and a cyan")[0])
    assert full.tokens.shape[1] == 2 * short.tokens.shape[1]
    assert said == [
        f"The prompt '{LONG[:37]}...' is longer than the 16 tokens that the text encoder reads at once; it is read in "
        "2 parts."
    ]
    prompts.embed(LONG)
    assert len(said) == 1
    prompts.embed("a red cube and a blue sphere")
    assert len(said) == 1


def test_without_a_listener_python_warns(model: LatentDiffusion) -> None:
    with pytest.warns(PromptRemark, match="is longer than the 16 tokens"):
        replace(model.prompts).embed(LONG)


def test_words_that_a_small_vocabulary_has_not_are_named(model: LatentDiffusion) -> None:
    prompts, said = told(model)
    prompts.embed("a huge red cube, big")
    assert said == ["The model does not know these words of the prompt 'a huge red cube, big': huge, big."]


def test_numbers_that_are_no_weights_are_named(model: LatentDiffusion) -> None:
    prompts, said = told(model)
    prompts.embed("a (red:1.3) cube")
    assert not said
    prompts.embed("a (red:1.3) cube (at 10:30) and (blue:-1)")
    assert said[-1].endswith("are read as plain text: (at 10:30), (blue:-1).")


@pytest.mark.parametrize("kind", ["sd1", "xl"])
def test_what_fits_says_nothing_and_one_token_more_is_a_second_part(tmp_path: Path, kind: str) -> None:
    shapes = {"sd1": pipelines.SD1, "xl": pipelines.XL}[kind]
    prompts, said = told(load(str(pipelines.build(shapes, tmp_path)), "cpu"))
    prompts.embed("x" * 75)
    assert not said, "75 tokens, and the begin and the end"
    prompts.embed("x" * 75 + "y")
    assert said == [
        f"The prompt '{'x' * 37}...' is longer than the 77 tokens that the text encoder reads at once; it is read in "
        "2 parts."
    ]


def test_a_prompt_that_only_one_encoder_reads_whole(tmp_path: Path) -> None:
    prompts, said = told(load(str(pipelines.build_sd3(tmp_path)), "cpu"))
    prompts.embed("x" * 80)
    assert said == [
        f"The prompt '{'x' * 37}...' is cut after the 77 tokens that 2 of the text encoders can read: 'xxxxx' is lost."
    ]


def test_weights_that_a_model_cannot_read_are_named(tmp_path: Path) -> None:
    prompts, said = told(load(str(pipelines.build_flux(tmp_path)), "cpu"))
    prompts.embed("a (red:1.3) cube")
    assert said == ["Weights of words in the prompt 'a (red:1.3) cube' are read as plain text: (red:1.3)."]
