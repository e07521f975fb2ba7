"""Both path lengths on images whose distances are known."""

import math

import pytest
import torch
from torch import Tensor

from geodesic_cli.errors import InputError
from geodesic_cli.evaluation import path_perception, stylegan_ppl
from geodesic_cli.evaluation.path_length import PAIRS_AT_ONCE, stylegan_ppl_of


def squared(a: Tensor, b: Tensor) -> Tensor:
    return (a - b).square().flatten(1).mean(1)


def flat(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)[:, None, None, None].expand(-1, 3, 12, 12)


def test_a_path_is_the_sum_variance_and_deviation_of_its_steps() -> None:
    found = path_perception(flat(0.0, 0.1, 0.4, 0.4), squared)
    assert found.distances == pytest.approx((0.01, 0.09, 0.0))
    assert found.path_ppl == pytest.approx(0.1)
    assert found.pdv == pytest.approx(sum((d - 0.1 / 3) ** 2 for d in (0.01, 0.09, 0.0)) / 3)
    assert found.std == pytest.approx(found.pdv**0.5)
    assert found.largest_share == pytest.approx(2.7)


def test_halving_the_steps_halves_path_ppl_because_distances_are_quadratic() -> None:
    coarse = path_perception(flat(*torch.linspace(0, 1, 9).tolist()), squared).path_ppl
    fine = path_perception(flat(*torch.linspace(0, 1, 17).tolist()), squared).path_ppl
    assert coarse / fine == pytest.approx(2)


def test_an_even_path_has_no_variance_and_a_still_one_no_length() -> None:
    assert path_perception(flat(0, 0.25, 0.5), squared).pdv == pytest.approx(0, abs=1e-20)
    still = path_perception(flat(0.5, 0.5, 0.5), squared)
    assert (still.path_ppl, still.largest_share) == (0, 1)


def test_the_stylegan_form_does_not_depend_on_a_small_step() -> None:
    # x(u) has the gray value u: d / eps² is 1 for every pair.
    for eps in (0.1, 1e-3):
        found = stylegan_ppl(flat(0.1, 0.5), flat(0.1 + eps, 0.5 + eps), eps, squared)
        assert found.value == pytest.approx(1)
        assert found.std == pytest.approx(0, abs=1e-9)


def test_outliers_beyond_the_percentiles_are_left_out() -> None:
    distances = torch.cat([torch.full((398,), 1.0), torch.tensor([1e6, 0.0])]).double()
    found = stylegan_ppl_of(distances, 1.0)
    assert (found.pairs, found.value) == (400, 1.0)
    assert found.kept == 398
    few = stylegan_ppl_of(torch.tensor([1.0, 3.0]), 1.0)
    assert (few.kept, few.value, few.std, few.error) == (2, 2.0, pytest.approx(2**0.5), pytest.approx(1.0))


def test_batches_of_pairs_do_not_change_a_result() -> None:
    n = PAIRS_AT_ONCE + 3
    a, b = torch.rand(2, n, 3, 12, 12, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert stylegan_ppl(a, b, 1.0, squared) == stylegan_ppl_of(squared(a, b), 1.0)


def test_nothing_to_measure_is_refused() -> None:
    with pytest.raises(InputError, match="two images"):
        path_perception(flat(0.1), squared)
    with pytest.raises(InputError, match="above 0"):
        stylegan_ppl(flat(0.1), flat(0.1), 0.0, squared)
    with pytest.raises(InputError, match="above 0"):
        stylegan_ppl(flat(0.1), flat(0.1), math.nan, squared)
    with pytest.raises(InputError, match="at least one pair"):
        stylegan_ppl_of(torch.zeros(0), 1.0)
