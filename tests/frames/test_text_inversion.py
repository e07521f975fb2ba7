"""Inverted embeddings are kept by what decides them, and a stopped descent is resumed."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from geodesic_cli.diffusion import LatentDiffusion
from geodesic_cli.diffusion.tuning.textual_inversion import QUICK
from geodesic_cli.errors import InputError
from geodesic_cli.frames.text_inversion import EVERY, TEXTS, inverted_conditioning
from geodesic_cli.runs.places import cache_folder
from helpers import Recorder

SHORT = replace(QUICK, steps=2 * EVERY + 3)


def inverted(model: LatentDiffusion, images: Tensor, folder: Path | None, watch: Recorder | None = None, **options):
    prompts = options.pop("prompts", ("a blue cube",))
    return inverted_conditioning(
        model, images, prompts, descent=options.pop("descent", SHORT), folder=folder, observer=watch, **options
    )


def test_killing_it_and_running_again_resumes_to_the_same_bits(model, pair, tmp_path) -> None:
    whole = inverted(model, pair[:1], None)[0]
    with pytest.raises(KeyboardInterrupt):
        inverted(model, pair[:1], tmp_path, Recorder(after=EVERY + 4))
    assert len(list(tmp_path.iterdir())) == 1
    second = Recorder()
    again = inverted(model, pair[:1], tmp_path, second)[0]
    assert torch.equal(whole.tokens, again.tokens)
    assert len(second.amounts) == 1 + SHORT.steps - EVERY, "the steps on disk were not made again"
    assert second.done == second.stages[-1][1] == SHORT.evaluations


def test_what_is_kept_is_read_and_costs_no_step(model, pair, tmp_path) -> None:
    first = inverted(model, pair, tmp_path, prompts=("a blue cube", "a yellow cylinder"))
    watch = Recorder()
    again = inverted(model, pair, tmp_path, watch, prompts=("a blue cube", "a yellow cylinder"))
    assert len(watch.amounts) == 2 and watch.done == watch.stages[-1][1]
    assert all(torch.equal(a.tokens, b.tokens) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[0].tokens, first[1].tokens)


def test_another_image_prompt_seed_or_descent_is_another_embedding(model, pair, tmp_path) -> None:
    few = replace(SHORT, steps=2)
    base = inverted(model, pair[:1], tmp_path, descent=few)[0]
    changed = pair[:1].clone()
    changed[0, 0, 0, 0] += 1 / 255
    others = [
        inverted(model, changed, tmp_path, descent=few)[0],
        inverted(model, pair[:1], tmp_path, descent=few, prompts=("a green cube",))[0],
        inverted(model, pair[:1], tmp_path, descent=few, seed=1)[0],
        inverted(model, pair[:1], tmp_path, descent=replace(few, rate=0.01))[0],
    ]
    assert len(list(tmp_path.iterdir())) == 5
    assert all(not torch.equal(base.tokens, other.tokens) for other in others)
    assert torch.equal(base.tokens, inverted(model, pair[:1], tmp_path, descent=few)[0].tokens)


def test_a_file_that_was_cut_short_is_made_anew(model, pair, tmp_path) -> None:
    few = replace(SHORT, steps=2)
    whole = inverted(model, pair[:1], tmp_path, descent=few)[0]
    (kept,) = tmp_path.iterdir()
    kept.write_bytes(kept.read_bytes()[:100])
    assert torch.equal(whole.tokens, inverted(model, pair[:1], tmp_path, descent=few)[0].tokens)


def test_equal_images_are_inverted_once_and_a_folder_that_cannot_be_written_does_no_harm(model, pair, tmp_path) -> None:
    few = replace(SHORT, steps=2)
    (tmp_path / "file").write_text("in the way")
    watch = Recorder()
    a, b = inverted(model, pair[[0, 0]], tmp_path / "file", watch, descent=few)
    assert a is b and watch.done == watch.stages[-1][1]


def test_prompts_are_none_one_or_one_for_each(model, pair) -> None:
    few = replace(SHORT, steps=1)
    assert len(inverted(model, pair, None, descent=few, prompts=())) == 2
    with pytest.raises(InputError, match="2 images take no prompt, one, or 2; got 3"):
        inverted(model, pair, None, prompts=("a", "b", "c"))


def test_the_folder_is_in_the_users_cache(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder(TEXTS) == tmp_path / "geodesic" / "text"
