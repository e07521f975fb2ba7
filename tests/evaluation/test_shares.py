"""Intervals of shares."""

import pytest

from geodesic_cli.evaluation.shares import share_interval


@pytest.mark.parametrize(
    ("count", "total", "low", "high"),
    [(0, 10, 0.0, 0.2775), (5, 10, 0.2366, 0.7634), (10, 10, 0.7225, 1.0), (12, 24, 0.3143, 0.6857), (0, 0, 0.0, 1.0)],
)
def test_the_interval_is_that_of_wilson(count: int, total: int, low: float, high: float) -> None:
    assert share_interval(count, total) == pytest.approx((low, high), abs=1e-3)


def test_more_images_are_surer() -> None:
    widths = [high - low for low, high in (share_interval(n // 2, n) for n in (4, 16, 64, 256))]
    assert widths == sorted(widths, reverse=True)
