"""Two models side by side: both are opened, each has a result of its own, and one sheet shows what is of each."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import torch
from torch import Tensor

from geodesic_cli import media
from geodesic_cli.diffusion import LatentDiffusion
from geodesic_cli.runs.job import Job
from geodesic_cli.runs.opening import told_apart
from geodesic_cli.runs.result import RunResult

LONGEST_NAME = 24
"""Letters of a model's name on a sheet."""


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class SideBySide(RunResult):
    """A result that may have that of a second model in it.

    Args:
        against: the same of the second model.
        name: of the model, where there are two.
    """

    against: Self | None = None
    name: str = ""

    @property
    def both(self) -> dict[str, Self]:
        """The result and, if there is one, that of the second model, by how the names of their files begin."""
        return {"": self} if self.against is None else {"": self, "against-": self.against}

    @property
    def evaluations(self) -> int:
        """Network evaluations, of both models together."""
        return sum(one.metrics["evaluations"] for one in self.both.values())

    def beside(self, others: Sequence[Self], status: str | None = None) -> Self:
        """This result with that of a second model, if there is one, and a sentence on both."""
        if not others:
            return self
        (second,) = others
        metrics = self.metrics | {"name": self.name, "against": second.metrics | {"name": second.name}}
        told = status or f"{self.name}: {self.status} {second.name}: {second.status}"
        return replace(self, metrics=metrics, against=second, status=told)


def opened(job: Job[Any], against: LatentDiffusion | None) -> tuple[list[LatentDiffusion], list[str]]:
    """The model of a job and, if one is asked for, the second one; and their names, empty where there is one model.

    Args:
        job: to be done.
        against: the second model, where it is loaded already.

    Raises:
        GeodesicError: a model cannot be had.
    """
    models = [job.load_model()]
    second = job.load_second(against)
    return ([*models, second], told_apart([*models, second])) if second is not None else (models, [""])


def owned(name: str, words: str) -> str:
    """The label of a row of the model of that name, in two lines or more; words alone where there is one model."""
    if not name:
        return words
    short = name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME // 2 - 1]}...{name[2 - LONGEST_NAME // 2 :]}"
    return f"{short}\n{words}"


def stage_of(words: str, name: str) -> str:
    """What is being done, and with which model where there are two."""
    return f"{words}, {name}" if name else words


def sized_as(pictures: Tensor, like: Tensor) -> Tensor:
    """Pictures (n, 3, h, w) at the size of others, for a sheet."""
    if pictures.shape[2:] == like.shape[2:]:
        return pictures
    return torch.stack([media.resize(picture, *like.shape[2:]) for picture in pictures])
