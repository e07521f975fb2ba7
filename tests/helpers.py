"""Test doubles shared by the tests."""

import io
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from geodesic_cli.__main__ import main
from geodesic_cli.diffusion import LatentDiffusion
from geodesic_cli.evaluation import psnr
from geodesic_cli.geometry import linalg
from geodesic_cli.geometry.density import Score
from geodesic_cli.geometry.toys import Radial
from geodesic_cli.runs.job import Job
from geodesic_cli.runs.observer import Observer, Silent


@dataclass
class CountingScore:
    """A score that remembers the sizes of the batches it was asked for."""

    score: Score
    batches: list[int] = field(default_factory=list)

    def __call__(self, x: Tensor, u: Tensor) -> Tensor:
        assert u.shape == x.shape[:1], "u must have one entry for each point"
        self.batches.append(x.shape[0])
        return self.score(x, u)

    @property
    def points(self) -> int:
        return sum(self.batches)


@dataclass
class FailingScore:
    """A score that returns nan from the given batch on (0 is the first)."""

    score: Score
    from_batch: int
    asked: int = 0

    def __call__(self, x: Tensor, u: Tensor) -> Tensor:
        self.asked += 1
        good = self.score(x, u)
        return good if self.asked <= self.from_batch else torch.full_like(good, float("nan"))


def failing(model: LatentDiffusion, after: int = 0) -> LatentDiffusion:
    """A model whose network answers NaN when it has been asked so many times."""

    class Broken:
        asked = 0

        def __getattr__(self, name: str) -> Any:
            return getattr(model.predict.unet, name)

        def __call__(self, *given: Any, **more: Any) -> Any:
            made = model.predict.unet(*given, **more)
            made.sample = made.sample * (1.0 if self.asked < after else float("nan"))
            self.asked += 1
            return made

    return replace(model, predict=replace(model.predict, unet=Broken()))


class Recorder:
    """An observer that remembers what it is told, and stops a run like a user who presses Ctrl-C.

    Args:
        stop_in: the beginning of the name of the stage in which it stops; "" is any.
        after: how many advances of that stage it lets happen, the last one included, which it interrupts.
    """

    def __init__(self, stop_in: str = "", after: float = float("inf")) -> None:
        self.stop_in, self.left = stop_in, after
        self.stages: list[tuple[str, int]] = []
        self.amounts: list[int] = []
        self.warnings: list[str] = []

    @property
    def done(self) -> int:
        return sum(self.amounts)

    def stage(self, name: str, total: int, unit: str = "evaluations") -> None:
        self.stages.append((name, total))

    def advance(self, amount: int, note: str = "") -> None:
        self.amounts.append(amount)
        if amount and (self.stages[-1][0] if self.stages else "").startswith(self.stop_in):
            self.left -= 1
            if self.left <= 0:
                raise KeyboardInterrupt

    def warn(self, message: str) -> None:
        self.warnings.append(message)


def into_folder(verb: Callable[[Any], Any]) -> Callable[..., Any]:
    """A verb as the command line runs it: settings, observer and command line to its result."""

    def run(settings: Any, observer: Observer | None = None, command: str = "test") -> Any:
        return verb(Job(settings, observer or Silent(), command=command))

    return run


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    returncode: int
    stdout: str
    stderr: str


def typed(*words: str, cwd: Path, **environment: str) -> Ended:
    """`geodesic WORDS` in a folder, in this process: without the seconds that a new one spends on importing torch."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.chdir(cwd)
        patch.setattr(sys, "argv", ["geodesic", *words])
        patch.setattr("geodesic_cli.__main__.heed_stop_signals", lambda: None)  # they are this process's own
        for name, value in environment.items():
            patch.setenv(name, value)
        with pytest.raises(SystemExit) as stop:
            main()
    return Ended(stop.value.code if isinstance(stop.value.code, int) else 0, out.getvalue(), err.getvalue())


class LargestTensor(TorchDispatchMode):
    """Records the number of elements of the largest tensor that any operation returns."""

    def __init__(self) -> None:
        super().__init__()
        self.elements = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        for value in result if isinstance(result, (tuple, list)) else (result,):
            if isinstance(value, Tensor):
                self.elements = max(self.elements, value.numel())
        return result


def decibels(image: Tensor, other: Tensor) -> float:
    """Peak signal-to-noise ratio of two images (3, h, w), or of two batches as one."""
    return float(psnr(image.reshape(1, 1, 1, -1).double(), other.reshape(1, 1, 1, -1).double()))


def vector(*values: float) -> Tensor:
    """A point in double precision."""
    return torch.tensor(values, dtype=torch.float64)


def normal(*shape: int, seed: int = 0) -> Tensor:
    """Standard normal numbers in double precision."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def rotation(d: int, seed: int = 0) -> Tensor:
    """A random orthogonal matrix, (d, d)."""
    return torch.linalg.qr(normal(d, d, seed=seed))[0]


def from_chart(z: Tensor, radius: float) -> Tensor:
    """Stereographic coordinates (m, n - 1) to points (m, n) of the sphere; `distortion.stereographic` has the text."""
    square = linalg.dot(z, z)
    return radius * torch.cat([2 * z, square - 1], 1) / (square + 1)


def chart_metric(z: Tensor, radius: float) -> Tensor:
    """The factor g of the metric g I of the chart at coordinates (m, n - 1), (m,)."""
    return (4 * radius**2 / (linalg.dot(z, z) + 1) ** 2).squeeze(1)


def clairaut(density: Radial, x: Tensor, v: Tensor, alpha: float) -> Tensor:
    """p^(-alpha) |x| sin(angle(x, v)), conserved along a geodesic of a radial density, (n, d) -> (n,)."""
    return (-alpha * density.log_prob(x)).exp() * linalg.norm(linalg.reject(x, along=v)).squeeze(-1)


def importable_torchvision() -> None:
    """Say what two operators of torchvision are, which a build for another torch lacks: else it cannot be imported."""
    boxes = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
    if sys.modules.get("torchvision", 0) is None:  # set aside when a model was loaded
        del sys.modules["torchvision"]
    for name in ("nms", "qnms"):
        if find_spec("torchvision") is not None and "torchvision" not in sys.modules:
            with suppress(RuntimeError):  # it is there
                torch.library.define(f"torchvision::{name}", boxes)
