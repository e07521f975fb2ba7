"""A prompt is read whole: in parts, with weights, and with words of one's own."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pipelines
import pytest
import torch
from torch import Tensor

from geodesic_cli.diffusion import Embedding, LatentDiffusion, load
from geodesic_cli.diffusion.conditioning import Conditioning
from geodesic_cli.diffusion.score import guided
from geodesic_cli.diffusion.text_reader import TextReader, pieces

SHAPES = {"sd1": pipelines.SD1, "xl": pipelines.XL}


@pytest.fixture(scope="module", params=list(SHAPES))
def tiny(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> LatentDiffusion:
    model = load(str(pipelines.build(SHAPES[request.param], tmp_path_factory.mktemp("m"))), "cpu")
    return replace(model, prompts=replace(model.prompts, notify=lambda sentence: None))


def plain(reader: TextReader, prompt: str) -> Any:
    """As the encoder is asked by hand."""
    ids = reader.tokenizer(prompt, padding="max_length", max_length=77, truncation=True, return_tensors="pt").input_ids
    return reader.encoder(ids, output_hidden_states=True)


def states_of(model: LatentDiffusion, prompt: str) -> Tensor:
    outputs = [plain(reader, prompt) for reader in model.prompts.readers]
    if len(outputs) == 1:
        return outputs[0].last_hidden_state
    return torch.cat([output.hidden_states[-2] for output in outputs], -1)


@pytest.mark.parametrize("prompt", ["", "a cat", "x" * 75, "  two  spaces, and (signs) [too]"])
def test_a_prompt_that_fits_is_read_to_the_bit_as_it_always_was(tiny: LatentDiffusion, prompt: str) -> None:
    read = tiny.prompts.embed(prompt)
    assert torch.equal(read.tokens, states_of(tiny, prompt))
    if read.pooled is not None:
        assert torch.equal(read.pooled, plain(tiny.prompts.readers[-1], prompt).text_embeds)


def test_a_long_prompt_is_its_parts_one_after_the_other(tiny: LatentDiffusion) -> None:
    read = tiny.prompts.embed("x" * 75 + "y" * 75 + "z")
    parts = [states_of(tiny, text) for text in ("x" * 75, "y" * 75, "z")]
    # Inside a word a letter is another token than at its end, so the parts are compared where letters are inside.
    assert read.tokens.shape == (1, 3 * 77, parts[0].shape[2])
    whole = tiny.prompts.readers[0].tokenizer("x" * 75 + "y" * 75 + "z", add_special_tokens=False).input_ids
    ids = [place.token for part in tiny.prompts.readers[0].parts("x" * 75 + "y" * 75 + "z") for place in part]
    assert ids == whole
    assert torch.equal(read.tokens[:, 154:], parts[2])
    assert torch.equal(tiny.prompts.embed("x" * 76).tokens[:, 77:], states_of(tiny, "x"))
    if read.pooled is not None:
        first = " ".join("x" * 75)
        assert torch.equal(tiny.prompts.embed(first + " y").pooled, tiny.prompts.embed(first).pooled)


def test_long_and_short_prompts_and_none_go_together_and_answer_as_they_do_alone(tiny: LatentDiffusion) -> None:
    long, short, null = (tiny.prompts.embed(text) for text in ("x" * 200, "a cat", ""))
    z = torch.randn(2, 4, 4, 4, generator=torch.Generator().manual_seed(0))
    alone = torch.cat([tiny.predict(z[k : k + 1], 500.0, one) for k, one in enumerate((long, short))])
    together = tiny.predict(z, 500.0, Embedding.cat([long, short]))
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)
    path = Conditioning(short, long)
    ends = path(torch.tensor([0.0, 1.0]))
    torch.testing.assert_close(tiny.predict(z, 500.0, ends), tiny.predict(z, 500.0, Embedding.cat([short, long])))
    steered = guided(tiny.predict, long, null, 3.0)(z[:1], 500.0)
    without, with_prompt = (tiny.predict(z[:1], 500.0, one) for one in (null, long))
    torch.testing.assert_close(steered, without + 3 * (with_prompt - without), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("a cat", [("a cat", 1.0)]),
        ("", []),
        ("a (red:1.3) cube", [("a ", 1.0), ("red", 1.3), (" cube", 1.0)]),
        ("(a red cube:.5)", [("a red cube", 0.5)]),
        ("(a:0)(b:2)", [("a", 0.0), ("b", 2.0)]),
        ("a picture (16:9) at (10:30)", [("a picture (16:9) at (10:30)", 1.0)]),
        ("(at 10:30) sharp", [("(at 10:30) sharp", 1.0)]),
        ("(note: nothing), (open:1.2", [("(note: nothing), (open:1.2", 1.0)]),
        ("((nested:1.2))", [("(", 1.0), ("nested", 1.2), (")", 1.0)]),
    ],
)
def test_weights_are_read_and_times_and_shapes_are_not(prompt: str, expected: list[tuple[str, float]]) -> None:
    assert pieces(prompt) == expected


def test_a_weight_moves_the_states_of_its_words_away_from_nothing(tiny: LatentDiffusion) -> None:
    nothing, one, more = (tiny.prompts.embed(text).tokens for text in ("", "a red cube", "a (red:1.5) cube"))
    inside = slice(2, 5)  # the begin, `a`, and the three letters
    torch.testing.assert_close(more[:, inside], nothing[:, inside] + 1.5 * (one - nothing)[:, inside])
    assert torch.equal(more[:, :2], one[:, :2]) and torch.equal(more[:, 5:], one[:, 5:])
    assert torch.equal(tiny.prompts.embed("a (red:1) cube").tokens, one)


def test_vectors_stand_in_the_places_of_their_word(tiny: LatentDiffusion) -> None:
    """Vectors that are those of tokens give what the tokens give, in the later parts as well."""
    readers = []
    for reader in tiny.prompts.readers:
        ids = reader.tokenizer("qv", add_special_tokens=False).input_ids
        readers.append(replace(reader, words={"<my>": reader.encoder.get_input_embeddings().weight[ids]}))
    prompts = replace(tiny.prompts, readers=tuple(readers))
    for own, written in (("a <my> cat", "a qv cat"), ("A <MY>", "a qv"), ("x" * 74 + " <my>", None)):
        read = prompts.embed(own)
        if written is not None:
            assert read.equal(tiny.prompts.embed(written))
    parts = readers[0].parts("x" * 74 + " <my>")
    assert [len(part) for part in parts] == [74, 2], "a word is not parted"
    assert prompts.embed("a <my>x").equal(tiny.prompts.embed("a <my>x")), "it stands alone, or it is text"


def test_one_after_the_other_no_vector_stays(tiny: LatentDiffusion) -> None:
    reader = tiny.prompts.readers[0]
    width = reader.encoder.get_input_embeddings().weight.shape[1]
    own = replace(reader, words={"w": torch.ones(2, width)})
    before = reader.states("a w")[0]
    assert not torch.equal(own.states("a w")[0], before)
    assert torch.equal(reader.states("a w")[0], before)


def test_an_encoder_of_the_older_kind_finds_its_end(tmp_path: Path) -> None:
    """Where the configuration says 2 the end is the largest token, which a word of one's own must not be."""
    import json

    folder = pipelines.build(pipelines.XL, tmp_path)
    config = folder / "text_encoder_2" / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"eos_token_id": 2}))
    tiny = load(str(folder), "cpu")
    readers = []
    for reader in tiny.prompts.readers:
        ids = reader.tokenizer("q", add_special_tokens=False).input_ids
        readers.append(replace(reader, words={"<my>": reader.encoder.get_input_embeddings().weight[ids]}))
    assert replace(tiny.prompts, readers=tuple(readers)).embed("a <my> b").equal(tiny.prompts.embed("a q b"))
