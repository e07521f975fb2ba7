"""A chunk is found from memory, halved when it runs out, and changes no result."""

import warnings
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

from geodesic_cli.diffusion.batching import Chunks, SmallerBatch, fitting, free_memory, item_cost
from geodesic_cli.errors import ModelError

CPU = torch.device("cpu")


class Narrow:
    """Doubles its input, and has memory for a few rows only."""

    def __init__(self, fits: int, error: type[Exception] = torch.OutOfMemoryError, words: str = "") -> None:
        self.fits, self.error, self.words = fits, error, words
        self.asked: list[int] = []

    def __call__(self, x: Tensor, y: Tensor) -> Tensor:
        self.asked.append(len(x))
        if len(x) > self.fits:
            raise self.error(self.words)
        return 2 * x + y


def columns(n: int) -> tuple[Tensor, Tensor]:
    x = torch.arange(3.0 * n, dtype=torch.float64).reshape(n, 3)
    return x, x.flip(0)


def ample(most: int = 64) -> Chunks:
    return Chunks(most, free=lambda device: 2**40)


def test_the_chunk_is_the_largest_power_of_two_that_fits_into_half_of_the_free_memory() -> None:
    assert fitting(cost=10, free=20 * 9) == 8
    assert fitting(cost=10, free=20 * 16) == 16
    assert fitting(cost=10, free=20 * 1000) == 64, "more than 64 bring nothing"
    assert fitting(cost=10, free=20 * 1000, most=100) == 100
    assert fitting(cost=10, free=5) == 1, "one item is always tried"
    assert fitting(cost=10, free=-3) == 1


def test_what_is_not_a_multiple_of_the_chunk_comes_back_whole_and_in_order() -> None:
    x, y = columns(11)
    network = Narrow(4)
    chunks = Chunks(free=lambda device: 8)  # half of it is 4 items of a byte
    assert torch.equal(chunks.map(network, x, y, cost=1, device=CPU), 2 * x + y)
    assert network.asked == [4, 4, 3]


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (torch.OutOfMemoryError, "CUDA out of memory."),
        (RuntimeError, "MPS backend out of memory"),
        (RuntimeError, "[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: not enough memory"),
    ],
)
def test_out_of_memory_halves_the_chunk_until_it_fits_and_is_told_once(error: type[Exception], words: str) -> None:
    x, y = columns(40)
    network, chunks = Narrow(9, error, words), ample()
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        first = chunks.map(network, x, y, cost=1, device=CPU)
        again = chunks.map(network, x, y, cost=1, device=CPU)
    assert torch.equal(first, 2 * x + y) and torch.equal(again, first)
    assert [one.category for one in heard] == [SmallerBatch]
    assert "64 latents at once: going on with 5" in str(heard[0].message)
    assert network.asked == [40, 20, 10] + 8 * [5] + 8 * [5], "what was learnt is kept"


def test_a_listener_hears_the_message_instead_of_a_warning() -> None:
    told: list[str] = []
    chunks = Chunks(free=lambda device: 2**40, notify=told.append)
    for fits in (8, 2):
        chunks.map(Narrow(fits), *columns(16), cost=1, device=CPU)
    assert len(told) == 1 and "going on with 8" in told[0]


def test_a_single_item_that_does_not_fit_is_an_error_with_advice() -> None:
    with pytest.raises(ModelError, match="--dtype bf16"):
        ample().map(Narrow(0), *columns(4), cost=1, device=CPU)


def test_another_failure_is_not_taken_for_a_lack_of_memory() -> None:
    with pytest.raises(RuntimeError, match="shapes"):
        ample().map(Narrow(1, RuntimeError, "the shapes do not fit"), *columns(4), cost=1, device=CPU)


def test_the_chunk_is_looked_up_once_so_that_a_run_repeats_itself() -> None:
    free = iter([64, 2])
    chunks = Chunks(free=lambda device: next(free))
    assert [chunks.size(1, CPU) for _ in range(3)] == [32, 32, 32]
    assert chunks.size(2, CPU) == 1, "another cost is another question"


def test_a_run_that_goes_on_takes_the_chunks_that_it_was_begun_with() -> None:
    written: dict[str, int] = {}
    first = Chunks(free=lambda device: 64)
    first.follow(None, written.update)
    assert first.size(1, CPU) == 32 and list(written.values()) == [32]
    told: list[str] = []
    more = Chunks(free=lambda device: 2**20, notify=told.append)
    assert more.size(1, CPU) == 64, "asked before the run's folder was open"
    more.follow(written, written.update)
    less = Chunks(free=lambda device: 40, notify=told.append)
    less.follow(written, written.update)
    assert more.size(1, CPU) == less.size(1, CPU) == 32, "half of the memory is left free by choice, not by need"
    assert not told and list(written.values()) == [32]


def test_where_less_memory_is_free_the_other_chunk_is_told_and_kept() -> None:
    written, told = {"cpu, 1 bytes each": 32, "cpu, 2 bytes each": 10**9, "cpu, 4 bytes each": -1}, list[str]()
    chunks = Chunks(free=lambda device: 16, notify=told.append)
    chunks.follow(written, written.update)
    assert [chunks.size(cost, CPU) for cost in (1, 2, 4)] == [8, 4, 2], "absurd sizes count for nothing"
    assert len(told) == 1 and "8 latents" in told[0] and "32 when this run was begun" in told[0]
    assert written == {"cpu, 1 bytes each": 8, "cpu, 2 bytes each": 4, "cpu, 4 bytes each": 2}


def test_no_items_are_one_empty_call() -> None:
    network = Narrow(4)
    assert ample().map(network, *columns(0), cost=1, device=CPU).shape == (0, 3)
    assert network.asked == [0]


def test_this_machine_says_how_much_memory_is_free() -> None:
    assert 2**26 < free_memory(CPU) < 2**46


def test_an_item_costs_more_where_the_network_is_wider_the_latent_larger_or_the_numbers_longer() -> None:
    def network(width: int) -> SimpleNamespace:
        return SimpleNamespace(config=SimpleNamespace(block_out_channels=(width,)))

    one = item_cost(network(64), (4, 8, 8), torch.float32)
    assert item_cost(network(128), (4, 8, 8), torch.float32) == 2 * one
    assert item_cost(network(64), (4, 16, 8), torch.float32) == 2 * one
    assert item_cost(network(64), (4, 8, 8), torch.float16) * 2 == one
    assert item_cost(SimpleNamespace(), (4, 8, 8), torch.float32) > 0
