"""MSE, PSNR and SSIM against closed forms and, where it is installed, scikit-image."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from geodesic_cli.errors import InputError
from geodesic_cli.evaluation import mse, psnr, ssim
from geodesic_cli.evaluation.similarity import C1
from helpers import normal


def images(n: int = 2, side: int = 24, seed: int = 0) -> torch.Tensor:
    return torch.rand(n, 3, side, side, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def test_equal_images_have_no_error_infinite_psnr_and_ssim_one() -> None:
    a = images()
    assert mse(a, a).tolist() == [0, 0]
    assert psnr(a, a).tolist() == [math.inf, math.inf]
    assert bool(psnr(a, a * math.nan).isnan().all())
    assert torch.allclose(ssim(a, a), torch.ones(2, dtype=torch.float64), atol=1e-12)


def test_a_constant_shift_has_its_square_as_error() -> None:
    a = images() * 0.5
    assert torch.allclose(mse(a, a + 0.1), torch.full((2,), 0.01, dtype=torch.float64))
    assert torch.allclose(psnr(a, a + 0.1), torch.full((2,), 20.0, dtype=torch.float64))


@settings(max_examples=20, deadline=None)
@given(st.floats(0.05, 0.95), st.floats(0.05, 0.95))
def test_ssim_of_two_flat_images_is_its_luminance_term(a: float, b: float) -> None:
    flat = [torch.full((1, 3, 16, 16), value, dtype=torch.float64) for value in (a, b)]
    assert float(ssim(*flat)) == pytest.approx((2 * a * b + C1) / (a * a + b * b + C1), abs=1e-6)


def test_ssim_of_an_image_and_its_shift_has_only_a_luminance_term() -> None:
    # Variances and covariance are all the same, so the structure term is 1; the luminance term is close to 1 for
    # a small shift of a bright image, and follows from the mean under each window.
    a = 0.5 + 0.01 * normal(1, 3, 24, 24)
    assert float(ssim(a, a + 0.2)) == pytest.approx((2 * 0.5 * 0.7 + C1) / (0.25 + 0.49 + C1), abs=1e-4)


def test_ssim_of_noise_and_its_negative_is_negative() -> None:
    a = 0.5 + 0.1 * normal(1, 3, 32, 32)
    assert float(ssim(a, 1 - a)) < -0.8


def test_measures_are_symmetric_and_each_image_counts_for_itself() -> None:
    a, b = images(seed=0), images(seed=1)
    for measure in (mse, psnr, ssim):
        assert torch.allclose(measure(a, b), measure(b, a))
        assert torch.allclose(measure(a, b)[:1], measure(a[:1], b[:1]))


def test_ssim_agrees_with_scikit_image_where_it_is_installed() -> None:
    metrics = pytest.importorskip("skimage.metrics")
    a, b = images(1, seed=0), (images(1, seed=0) + 0.1 * normal(1, 3, 24, 24)).clamp(0, 1)
    reference = metrics.structural_similarity(
        a[0].numpy(),
        b[0].numpy(),
        channel_axis=0,
        data_range=1.0,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
    )
    assert float(ssim(a, b)) == pytest.approx(reference, abs=1e-7)


def test_ssim_of_a_fixed_pattern_is_what_scikit_image_makes_of_it() -> None:
    # Stripes against checks; the number was computed once with scikit-image 0.26, with the settings of the test above.
    row, column = torch.arange(24.0, dtype=torch.float64)[:, None], torch.arange(24.0, dtype=torch.float64)[None, :]
    a = (0.5 + 0.4 * torch.sin(0.7 * row) * torch.ones_like(column)).expand(1, 3, 24, 24)
    b = (0.5 + 0.4 * torch.sin(0.7 * row) * torch.cos(0.3 * column)).expand(1, 3, 24, 24)
    assert float(ssim(a, b)) == pytest.approx(REFERENCE, abs=1e-7)


REFERENCE = -0.33891993697009487


def test_what_cannot_be_compared_is_refused() -> None:
    with pytest.raises(InputError, match="one shape"):
        mse(images(2), images(1))
    with pytest.raises(InputError, match="11x11"):
        ssim(images(side=10), images(side=10))
