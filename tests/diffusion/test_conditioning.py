"""Embeddings are values with rows."""

import pytest
import torch

from geodesic_cli.diffusion import Conditioning, Embedding


def some(n: int, pooled: bool = True, seed: int = 0) -> Embedding:
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randn(n, 4, 3, generator=generator)
    return Embedding(tokens, torch.randn(n, 2, generator=generator) if pooled else None)


@pytest.mark.parametrize("pooled", [True, False])
def test_rows_can_be_taken_split_and_put_together_again(pooled: bool) -> None:
    e = some(5, pooled)
    assert len(e) == 5
    assert Embedding.cat([e[0], e[1:3], e[torch.tensor([3, 4])]]).equal(e)
    assert Embedding.cat(e.split(2)).equal(e)
    assert [len(part) for part in e.split(2)] == [2, 2, 1]
    assert len(e[-1]) == 1
    assert e[-1].equal(e[4])
    assert e[1].expand(3)[2].equal(e[1])


def test_the_mean_of_two_embeddings_is_the_mean_of_all_their_numbers() -> None:
    a, b = some(1), some(1, seed=1)
    c = Conditioning(a, b)(torch.tensor([0.0, 0.5, 1.0]))
    assert c[0].equal(a)
    assert c[2].equal(b)
    assert torch.allclose(c.tokens[1], (a.tokens[0] + b.tokens[0]) / 2)
    assert torch.allclose(c.pooled[1], (a.pooled[0] + b.pooled[0]) / 2)


def test_contents_differ_where_any_number_does_and_not_with_the_dtype() -> None:
    e = some(2)
    other = Embedding(e.tokens, e.pooled + 1)
    assert e.content == e.to("cpu", torch.float64).content
    assert e.content != other.content
    assert not e.equal(other)
    assert not e.equal(Embedding(e.tokens))
    assert e.to("cpu", torch.bfloat16).pooled.dtype == torch.bfloat16
