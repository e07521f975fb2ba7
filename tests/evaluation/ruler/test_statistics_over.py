"""Errors of means, and two methods compared sequence by sequence."""

import pytest
import torch

from geodesic_cli.evaluation.ruler.catalogue import HIGH, LOW
from geodesic_cli.evaluation.ruler.statistics_over import aggregate, compared


def named(values: list[float]) -> dict[str, float]:
    return {f"pair {k}": value for k, value in enumerate(values)}


def test_a_method_against_itself_has_p_1_and_wins_half() -> None:
    values = named(torch.rand(12, generator=torch.Generator().manual_seed(0)).tolist())
    found = compared(values, dict(values), LOW)
    assert found is not None and (found.p, found.difference, found.won) == (1.0, 0.0, 0.5)
    assert not found.decided


def test_the_better_method_wins_whichever_way_is_good() -> None:
    base = torch.rand(12, generator=torch.Generator().manual_seed(0)).double()
    low, high = compared(named(base.tolist()), named((base + 0.1).tolist()), LOW), None
    high = compared(named(base.tolist()), named((base + 0.1).tolist()), HIGH)
    assert low is not None and high is not None
    assert low.p == pytest.approx(2 / 2**12) and low.won == 1 and high.won == 0
    assert low.decided and low.low == pytest.approx(-0.1)


def test_only_sequences_that_both_have_are_compared_and_few_decide_nothing() -> None:
    found = compared({"a": 1.0, "b": 2.0, "c": 9.0}, {"a": 0.0, "b": 1.0, "d": 5.0}, LOW)
    assert found is not None and found.n == 2 and found.difference == 1 and not found.decided
    assert compared({"a": 1.0}, {"b": 1.0}, LOW) is None


def test_the_interval_covers_the_mean_about_as_often_as_it_says() -> None:
    generator, inside = torch.Generator().manual_seed(0), 0
    for _ in range(200):
        made = aggregate(torch.randn(40, generator=generator, dtype=torch.float64).tolist())
        inside += made.low <= 0 <= made.high
    assert 178 <= inside <= 198


def test_one_value_has_no_standard_error() -> None:
    made = aggregate([2.0])
    assert (made.n, made.mean, made.se, made.low, made.high) == (1, 2.0, None, 2.0, 2.0)
    assert aggregate([1.0, 3.0]).se == pytest.approx(1.0)
