"""A model that a verb opens tells the verb's observer when memory ran out, once."""

from dataclasses import replace

import pytest
import torch

from geodesic_cli.diffusion import LatentDiffusion, load
from geodesic_cli.errors import InputError
from geodesic_cli.runs.opening import open_model
from geodesic_cli.settings import BenchModelSettings, ExtrapolateSettings, InterpolateSettings
from helpers import Recorder


def test_memory_that_runs_out_is_told_to_the_observer_and_the_result_is_the_same(model: LatentDiffusion) -> None:
    ears = Recorder()
    opened = open_model(BenchModelSettings(device="cpu"), ears)

    def narrow(network, z, times, condition):
        if len(z) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return model.predict.ask(network, z, times, condition)

    predict = replace(opened.predict, ask=narrow)
    z = torch.randn(9, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    condition = model.prompts.null().expand(9)
    for _ in range(2):
        torch.testing.assert_close(predict(z, 400.0, condition), model.predict(z, 400.0, condition))
    assert len(ears.warnings) == 1 and "going on with 2" in ears.warnings[0]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"prompt": ("a cube",)}, "takes no prompt; got 'a cube'"),
        ({"invert_text": "quick"}, "no text to fit"),
        ({"density": "negative"}, "compares two prompts"),
        ({"vae": "a.safetensors"}, "Another autoencoder is for models with text"),
    ],
)
def test_what_only_means_something_to_a_model_with_text_is_refused_at_once(
    given: dict[str, object], words: str
) -> None:
    settings = InterpolateSettings(images=("a.png", "b.png"), model="scenes-ddpm", **given)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=words):
        open_model(settings)


def test_words_for_a_model_without_text_are_refused_with_one_sentence_at_both_doors() -> None:
    with pytest.raises(InputError, match="Embeddings are words of a prompt; scenes-ddpm takes none") as by_name:
        load("scenes-ddpm", device="cpu", embedding=("a.safetensors",))
    settings = ExtrapolateSettings(
        source=("clip",), model="scenes-ddpm", device="cpu", text_embedding=("a.safetensors",)
    )
    with pytest.raises(InputError) as by_verb:
        open_model(settings)
    assert str(by_name.value) == str(by_verb.value)


def test_a_model_without_text_is_one_for_every_verb() -> None:
    opened = open_model(ExtrapolateSettings(source=("clip",), model="scenes-ddpm", device="cpu"))
    assert not opened.prompts.encoders
