"""Which optimiser a training has, and what is kept of its memory."""

import sys
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from geodesic_cli.errors import InputError
from geodesic_cli.settings import FinetuneSettings
from geodesic_cli.verbs.finetune.optimiser import make_optimiser, remembered_of, require_optimiser, restored


class Small(torch.optim.Adam):
    """Stands for the one of bitsandbytes, whose step counter is a number."""


def test_eight_bits_need_their_package_and_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    monkeypatch.setitem(sys.modules, "bitsandbytes.optim", None)
    with pytest.raises(InputError, match="--use-8bit-adam needs the package bitsandbytes"):
        require_optimiser(FinetuneSettings(use_8bit_adam=True))
    require_optimiser(FinetuneSettings())


def test_eight_bits_are_those_of_the_package_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    there: Any = SimpleNamespace(AdamW8bit=Small)
    monkeypatch.setitem(sys.modules, "bitsandbytes", SimpleNamespace(optim=there))
    monkeypatch.setitem(sys.modules, "bitsandbytes.optim", there)
    weights = {"a": torch.nn.Parameter(torch.zeros(2))}
    made = make_optimiser(weights, FinetuneSettings(use_8bit_adam=True, adam_beta1=0.8))
    assert isinstance(made, Small)
    assert made.param_groups[0]["betas"][0] == 0.8
    assert type(make_optimiser(weights, FinetuneSettings())) is torch.optim.AdamW


@pytest.mark.parametrize("eight_bit", [False, True])
def test_a_memory_taken_apart_and_put_together_is_the_same(eight_bit: bool) -> None:
    state = {"step": 3 if eight_bit else torch.tensor(3.0), "state1": torch.arange(4, dtype=torch.uint8)}
    kept = remembered_of(state)
    again = {name: restored(name, value, torch.zeros(1), eight_bit) for name, value in kept.items()}
    assert again["step"] == 3 and isinstance(again["step"], int) == eight_bit
    assert torch.equal(again["state1"], state["state1"])  # type: ignore[arg-type]


def test_the_memory_of_the_package_itself_is_put_together_again() -> None:
    pytest.importorskip("bitsandbytes", reason="needs the package bitsandbytes")
    chosen = FinetuneSettings(use_8bit_adam=True)

    def steps(count: int, state: Any = None) -> tuple[torch.Tensor, Any]:
        weight = torch.nn.Parameter(torch.ones(100, 50))  # below 4,096 numbers the package keeps 32 bits
        made = make_optimiser({"a": weight}, chosen)
        if state is not None:
            weight.data, memory = state
            made.state[weight] = {name: restored(name, value, weight, True) for name, value in memory.items()}
        for _ in range(count):
            weight.grad = 2 * weight.detach()
            made.step()
        return weight.data.clone(), remembered_of(made.state[weight])

    half = steps(2)
    assert half[1]["state1"].dtype == torch.uint8
    assert torch.equal(steps(2, half)[0], steps(4)[0])
