"""What many tests need: the embedded model, loaded once, and images that it knows."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

import typechecker  # before anything of the package
from geodesic_cli.diffusion import LatentDiffusion, load
from geodesic_cli.media import write_png
from geodesic_cli.scenes import Scene, Solid, render

# Small tensors: a second thread costs more than it brings, and the order of sums stays the same in every fixture.
torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def every_test_checks_shapes_afresh() -> None:
    typechecker.fresh()


@pytest.fixture(scope="session")
def model() -> LatentDiffusion:
    return load("clevr-mini", device="cpu")


@pytest.fixture(scope="session")
def pair() -> Tensor:
    """A blue cube and a yellow cylinder, (2, 3, 64, 64)."""
    return render(
        [
            Scene((Solid("cube", "blue", x=-0.7, size=0.75, rotation=0.5),)),
            Scene((Solid("cylinder", "yellow", x=0.7, y=-0.1, size=0.75),)),
        ]
    )


@pytest.fixture
def files(pair: Tensor, tmp_path: Path) -> tuple[str, str]:
    """The pair as files."""
    paths = tmp_path / "a.png", tmp_path / "b.png"
    for image, path in zip(pair, paths, strict=True):
        write_png(image, path)
    return str(paths[0]), str(paths[1])
