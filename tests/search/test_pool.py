"""Samples are drawn once, kept by what decides their content, and read again bit for bit."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from geodesic_cli.diffusion import Conditioning, LatentDiffusion
from geodesic_cli.errors import InputError
from geodesic_cli.runs.places import cache_folder
from geodesic_cli.search.pool import BLOCK, POOLS, Pool, Sampling, pool

SHAPE = (4, 8, 8)
TAU = 0.1
STEPS = 3


@pytest.fixture(scope="module")
def condition(model: LatentDiffusion) -> Tensor:
    return model.prompts.embed("a red rubber cube")


def drawn(model: LatentDiffusion, condition: Tensor, folder: Path | None, size: int = 4, **options) -> Pool:
    return pool(model, SHAPE, condition, options.pop("tau", TAU), size, Sampling(steps=STEPS, **options), folder)


def test_a_pool_is_paid_for_once(model, condition, tmp_path):
    first = drawn(model, condition, tmp_path)
    assert first.evaluations == first.cold == BLOCK * (STEPS + 1) + BLOCK
    again = drawn(model, condition, tmp_path)
    assert again.evaluations == 0 and again.cold == first.cold
    assert torch.equal(first.z, again.z) and torch.equal(first.scores, again.scores)
    assert drawn(model, condition, tmp_path, size=BLOCK).evaluations == 0


def test_without_a_folder_the_samples_are_the_same(model, condition, tmp_path):
    kept, free = drawn(model, condition, tmp_path), drawn(model, condition, None)
    assert torch.equal(kept.z, free.z) and torch.equal(kept.scores, free.scores)


def test_a_larger_pool_begins_with_the_smaller_one(model, condition, tmp_path):
    small, large = drawn(model, condition, tmp_path), drawn(model, condition, tmp_path, size=BLOCK + 1)
    assert large.z.shape == (BLOCK + 1, 256) and torch.equal(large.z[:4], small.z)
    assert large.evaluations == BLOCK * (STEPS + 2)
    assert not torch.equal(large.z[0], large.z[BLOCK])


def test_another_noise_level_needs_new_scores_only(model, condition, tmp_path):
    low, high = drawn(model, condition, tmp_path), drawn(model, condition, tmp_path, tau=0.3)
    assert torch.equal(low.z, high.z) and high.evaluations == BLOCK
    assert not torch.equal(low.scores, high.scores)


def test_the_scores_are_those_of_the_model_at_the_samples(model, condition):
    some = drawn(model, condition, None)
    signal = model.predict.schedule.level(TAU)[0]
    exact = model.score(SHAPE, TAU, Conditioning(condition, condition))(signal * some.z.double(), torch.zeros(4))
    torch.testing.assert_close(some.scores, exact, rtol=1e-3, atol=1e-3)


def test_another_seed_or_prompt_makes_another_pool(model, condition, tmp_path):
    first = drawn(model, condition, tmp_path)
    assert not torch.equal(first.z, drawn(model, condition, tmp_path, seed=1).z)
    assert not torch.equal(first.z, drawn(model, model.prompts.embed("a cube"), tmp_path).z)


def test_a_file_that_was_cut_short_is_made_anew(model, condition, tmp_path):
    first = drawn(model, condition, tmp_path)
    for file in tmp_path.iterdir():
        file.write_bytes(file.read_bytes()[:100])
    again = drawn(model, condition, tmp_path)
    assert again.evaluations == first.evaluations and torch.equal(again.z, first.z)
    assert not list(tmp_path.glob("*.part"))


def test_a_cache_that_cannot_be_written_is_no_failure(model, condition, tmp_path):
    (tmp_path / "file").write_text("in the way")
    assert drawn(model, condition, tmp_path / "file").evaluations > 0


def test_the_cache_lies_where_the_system_wants_it(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder(POOLS) == tmp_path / "geodesic" / "pools"
    for useless in ("", "relative/folder"):
        monkeypatch.setenv("XDG_CACHE_HOME", useless)
        assert cache_folder(POOLS) == Path.home() / ".cache" / "geodesic" / "pools"


def test_a_pool_of_nothing_is_refused(model, condition):
    with pytest.raises(InputError, match="at least one"):
        drawn(model, condition, None, size=0)
