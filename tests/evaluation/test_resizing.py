"""Resizing by the rules of others, against what they use."""

import numpy as np
import torch
from PIL import Image

from geodesic_cli.evaluation.resizing import resized_clean, resized_plain, squashed

IMAGES = torch.rand(2, 3, 40, 64, generator=torch.Generator().manual_seed(0))


def test_the_clean_rule_is_pillow_s_bicubic_of_each_channel_in_floating_point() -> None:
    for side in (23, 299):
        found = resized_clean(IMAGES, side)[0]
        for channel, ours in zip(IMAGES[0], found, strict=True):
            theirs = Image.fromarray(255 * channel.numpy(), mode="F").resize((side, side), Image.Resampling.BICUBIC)
            assert np.abs(np.asarray(theirs) / 255 - ours.numpy()).max() < 1e-5


def test_the_clean_rule_is_neither_rounded_nor_clipped_and_the_plain_one_has_no_antialiasing() -> None:
    edge = torch.zeros(1, 3, 16, 16)
    edge[..., 8:] = 1
    assert float(resized_clean(edge, 40).max()) > 1
    stripes = torch.tensor([0.0, 1.0]).repeat(32).expand(1, 3, 64, 64)
    assert float(resized_plain(stripes, 21).std()) > 3 * float(squashed(stripes, 21).std())


def test_what_has_the_side_already_is_left_as_it_is() -> None:
    assert torch.equal(squashed(IMAGES[..., :40], 40), IMAGES[..., :40])
