"""Where clean data are held, and what that does to the samples of the embedded model of pixels."""

import diffusers
import pytest
import torch
from torch.nn.functional import avg_pool2d, pad

from geodesic_cli.diffusion import load
from geodesic_cli.diffusion.holding import Hold


@pytest.mark.parametrize(("quantile", "most"), [(0.9, 3.0), (0.995, 1.0), (0.5, 1.2), (1.0, 9.0)])
def test_thresholding_is_that_of_diffusers(quantile: float, most: float) -> None:
    theirs = diffusers.DDIMScheduler(dynamic_thresholding_ratio=quantile, sample_max_value=most)
    x = 2 * torch.randn(3, 2, 5, 5, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(Hold(quantile=quantile, most=most)(x), theirs._threshold_sample(x), atol=1e-6)


def test_one_number_has_a_quantile() -> None:
    assert float(Hold(quantile=0.5, most=9.0)(torch.full((1, 1, 1, 1), 4.0))) == 1.0


def test_samples_of_pixels_have_no_grain() -> None:
    """Median deviation from the mean of the neighbours; diffusers' DDIM with 50 steps has 0.001 to 0.003."""
    model = load("scenes-ddpm", "cpu", "fp32")
    images = model.sample([""] * 6, torch.Generator().manual_seed(0), steps=20, guidance=1.0)
    around = avg_pool2d(pad(images, (1, 1, 1, 1), mode="reflect"), 3, 1)
    grain = (images - around).flatten(1).abs().median(1).values
    assert float(grain.max()) < 0.006, grain
