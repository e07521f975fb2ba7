"""Our distances against other people's code on one random network; each is skipped where that code is not installed.

`pip install torchmetrics torch-fidelity pytorch-fid` beside the extra `metrics`; no trained weights are needed.
"""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from geodesic_cli import media
from geodesic_cli.evaluation import frechet, stylegan_ppl
from geodesic_cli.evaluation.fid_inception import FidInception, fid_features
from geodesic_cli.evaluation.kernel_distance import kernel_distance
from geodesic_cli.evaluation.resizing import resized_plain
from geodesic_cli.evaluation.ruler.needs import INCEPTION_FILE
from geodesic_cli.runs.job import Job
from geodesic_cli.runs.observer import Silent
from geodesic_cli.settings import EvaluateSettings
from geodesic_cli.verbs.evaluate.run import run
from helpers import importable_torchvision

COUNT, WIDTH = 60, 24
pytestmark = pytest.mark.filterwarnings("ignore")  # theirs
importable_torchvision()


class Backbone(nn.Module):
    """A random network: images to features; torchmetrics asks it how many there are."""

    num_features = WIDTH

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.maps = nn.Sequential(nn.Conv2d(3, WIDTH, 5, stride=2), nn.GELU(), nn.Conv2d(WIDTH, WIDTH, 3)).double()

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        return self.maps(images.double()).mean((2, 3))


@pytest.fixture(scope="module")
def sets() -> tuple[Tensor, Tensor]:
    """Two sets of images (n, 3, 20, 20) that differ in their colours."""
    generator = torch.Generator().manual_seed(0)
    a, b = torch.rand(2, COUNT, 3, 20, 20, generator=generator)
    return a, (b * 0.8 + 0.1 * torch.rand(COUNT, 3, 1, 1, generator=generator)).clamp(0, 1)


@pytest.fixture(scope="module")
def features(sets: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    backbone = Backbone()
    return backbone(sets[0]), backbone(sets[1])


def ours_kid(a: Tensor, b: Tensor) -> float:
    return kernel_distance(a, b, torch.Generator().manual_seed(0), subsets=1).value


def filled(metric: Any, sets: tuple[Tensor, Tensor]) -> Any:
    metric.update(sets[0], real=True)
    metric.update(sets[1], real=False)
    return metric.compute()


def test_the_frechet_distance_is_that_of_torchmetrics(
    sets: tuple[Tensor, Tensor], features: tuple[Tensor, Tensor]
) -> None:
    fid = pytest.importorskip("torchmetrics.image.fid", exc_type=ImportError)
    metric = fid.FrechetInceptionDistance(feature=Backbone(), normalize=True).set_dtype(torch.float64)
    assert frechet(*features).value == pytest.approx(float(filled(metric, sets)), rel=1e-6)


def test_the_kernel_distance_is_that_of_torchmetrics(
    sets: tuple[Tensor, Tensor], features: tuple[Tensor, Tensor]
) -> None:
    kid = pytest.importorskip("torchmetrics.image.kid", exc_type=ImportError)
    metric = kid.KernelInceptionDistance(feature=Backbone(), subsets=1, subset_size=COUNT, normalize=True)
    assert ours_kid(*features) == pytest.approx(float(filled(metric, sets)[0]), abs=1e-6, rel=1e-6)


def test_both_distances_are_those_of_torch_fidelity(features: tuple[Tensor, Tensor]) -> None:
    fid = pytest.importorskip("torch_fidelity.metric_fid", exc_type=ImportError)
    kid = pytest.importorskip("torch_fidelity.metric_kid", exc_type=ImportError)
    one, two = (fid.fid_features_to_statistics(each) for each in features)
    theirs = fid.fid_statistics_to_metric(one, two, verbose=False)["frechet_inception_distance"]
    assert frechet(*features).value == pytest.approx(theirs, rel=1e-6)
    more = {"kid_subsets": 1, "kid_subset_size": COUNT, "verbose": False}
    found = kid.kid_features_to_metric(*features, **more)["kernel_inception_distance_mean"]
    assert ours_kid(*features) == pytest.approx(found, abs=1e-6, rel=1e-6)


class Difference(nn.Module):
    """A distance of images: what torchmetrics and we ask alike."""

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return (a - b).square().mean((1, 2, 3))


class Painter(nn.Module):
    """A generator of images: latents (n, 4) to (n, 3, 8, 8) in [0, 255], as torchmetrics has them."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(5)
        self.map = nn.Linear(4, 3 * 64).double()

    def sample(self, count: int) -> Tensor:
        return torch.randn(count, 4, dtype=torch.float64)

    @torch.no_grad()
    def forward(self, z: Tensor) -> Tensor:
        return 255 * self.map(z).sin().square().reshape(-1, 3, 8, 8)


def test_the_path_length_is_that_of_torchmetrics() -> None:
    pytest.importorskip("torchvision", exc_type=ImportError)  # which torchmetrics asks for only when it is called
    found = pytest.importorskip("torchmetrics.functional.image.perceptual_path_length", exc_type=ImportError)
    painter, eps, count = Painter(), 1e-2, 400
    torch.manual_seed(7)
    mean, _, kept = found.perceptual_path_length(
        painter, num_samples=count, batch_size=count, interpolation_method="lerp", epsilon=eps, resize=None,
        sim_net=Difference(),
    )  # fmt: skip
    torch.manual_seed(7)
    a, b = painter.sample(count), painter.sample(count)
    pictures = [2 * painter(z) / 255 - 1 for z in (a, a + eps * (b - a))]
    ours = stylegan_ppl(*pictures, eps, Difference())
    assert abs(ours.kept - len(kept)) <= 2
    # Which of two neighbours is the 99th percentile is left open.
    assert ours.value == pytest.approx(float(mean), rel=0.01)


@pytest.fixture
def folders(tmp_path: Path) -> Iterator[SimpleNamespace]:
    """Two folders of images, and a random Inception in the layout of pytorch-fid's file."""
    generator = torch.Generator().manual_seed(2)
    for name, shift in (("a", 0.0), ("b", 0.3)):
        (tmp_path / name).mkdir()
        for k in range(5):
            picture = (torch.rand(3, 32, 32, generator=generator) + shift).clamp(0, 1)
            media.write_png(picture, tmp_path / name / f"{k}.png")
    torch.manual_seed(0)
    state = FidInception().state_dict() | {"fc.weight": torch.zeros(1008, 2048), "fc.bias": torch.zeros(1008)}
    torch.save(state, tmp_path / INCEPTION_FILE)  # noqa: TID251  as others write it
    yield SimpleNamespace(a=tmp_path / "a", b=tmp_path / "b", weights=tmp_path / INCEPTION_FILE, state=state)


@pytest.mark.slow
def test_a_folder_has_the_fid_that_pytorch_fid_gives_it(folders: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = pytest.importorskip("pytorch_fid.fid_score", exc_type=ImportError)
    inception = pytest.importorskip("pytorch_fid.inception", exc_type=ImportError)
    monkeypatch.setattr(inception, "load_state_dict_from_url", lambda *_, **__: folders.state)
    places = [str(folders.a), str(folders.b)]
    expected = theirs.calculate_fid_given_paths(places, 5, "cpu", 2048, num_workers=0)
    made = run(
        Job(
            EvaluateSettings(
                samples=places[0], real=places[1], metric_weights=str(folders.weights.parent), protocol="pdg"
            ),
            Silent(),
        )
    )
    assert made.scores.sets["fid_pooled"]["a"].value == pytest.approx(expected, rel=1e-3)
    network = inception.InceptionV3([inception.InceptionV3.BLOCK_INDEX_BY_DIM[2048]]).eval()
    images = torch.stack([media.read_image(path) for path in sorted(folders.a.iterdir())])
    with torch.no_grad():
        rows = network(images)[0].flatten(1)
    assert torch.allclose(fid_features(folders.weights, resized_plain)(images), rows, rtol=1e-3, atol=1e-5)
