"""The kernel distance against sums written out, and against another implementation where one is installed."""

import numpy as np
import pytest
import torch

from geodesic_cli.errors import InputError
from geodesic_cli.evaluation.kernel_distance import kernel_distance
from helpers import normal


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_it_is_the_sum_over_all_pairs_of_unlike_rows() -> None:
    x, y = normal(9, 5, seed=1), normal(9, 5, seed=2) + 0.3
    a, b = x.numpy(), y.numpy()

    def k(p: np.ndarray, q: np.ndarray) -> float:
        return (float(p @ q) / 5 + 1) ** 3

    own = sum(k(s[i], s[j]) for s in (a, b) for i in range(9) for j in range(9) if i != j) / (9 * 8)
    cross = sum(k(p, q) for p in a for q in b) / 81
    assert kernel_distance(x, y, generator(), subsets=1).value == pytest.approx(own - 2 * cross, abs=1e-12)


def test_it_is_that_of_torchmetrics_on_equal_features() -> None:
    metrics = pytest.importorskip("torchmetrics.image.kid")
    x, y = normal(40, 8, seed=1), normal(40, 8, seed=2) + 0.5
    expected = float(metrics.poly_mmd(x, y, degree=3, gamma=None, coef=1.0))
    assert kernel_distance(x, y, generator(), subsets=1).value == pytest.approx(expected, abs=1e-6)


def test_it_has_no_bias_at_small_sizes_and_sees_a_shift() -> None:
    same = [kernel_distance(normal(12, 6, seed=s), normal(12, 6, seed=100 + s), generator()).value for s in range(60)]
    spread = float(np.std(same)) / 60**0.5
    assert abs(float(np.mean(same))) < 3 * spread
    shifted = [
        kernel_distance(normal(12, 6, seed=s), normal(12, 6, seed=100 + s) + 1, generator()).value for s in range(20)
    ]
    assert min(shifted) > float(np.mean(same))


def test_what_it_cannot_compare_is_refused() -> None:
    with pytest.raises(InputError, match="two images or more"):
        kernel_distance(normal(1, 4), normal(5, 4), generator())
    with pytest.raises(InputError, match="finite"):
        kernel_distance(normal(3, 4) * float("nan"), normal(5, 4), generator())
