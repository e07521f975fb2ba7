"""What many tests need: the embedded model, loaded once, and images that it knows."""

import gc
import os
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
import torch
from matplotlib.layout_engine import ConstrainedLayoutEngine
from torch import Tensor

import typechecker  # before anything of the package
from geodesic_cli.diffusion import LatentDiffusion, load
from geodesic_cli.media import write_png
from geodesic_cli.scenes import Scene, Solid, render

# Small tensors: a second thread costs more than it brings, and the order of sums stays the same in every fixture. That
# holds for the processes that tests start, too: with all cores busy, two threads of one process wait for each other.
torch.set_num_threads(1)
os.environ["OMP_NUM_THREADS"] = "1"


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What is imported with the tests stays: to look through it for garbage took a tenth of all time."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.set_threshold(10_000, 10, 100)  # a few times more seldom than by default
        gc.enable()


@pytest.fixture(autouse=True)
def every_test_checks_shapes_afresh() -> None:
    typechecker.fresh()


@pytest.fixture(autouse=True, scope="module")
def figures_are_laid_out_in_a_hurry(request: pytest.FixtureRequest) -> Iterator[None]:
    """To measure all its texts takes half the time of a figure; tests/plots draws figures as they are."""
    with pytest.MonkeyPatch.context() as patch:
        if "plots" not in request.path.parts:
            patch.setattr(ConstrainedLayoutEngine, "execute", lambda engine, figure: None)
        yield


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
