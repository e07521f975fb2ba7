"""A window of a clip, in numbers only: what is kept of the comparison with its rivals (`geometry.rivals`).

A long clip is judged in windows that overlap, so that no more than one comparison is in memory. What stays of it are a
few numbers a frame, which JSON can hold, so that a run can be stopped between two windows.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import torch

from geodesic_cli.geometry import linalg
from geodesic_cli.geometry.clips.rivals import Rivals
from geodesic_cli.geometry.clips.sequence import SequenceReport

COMPARED = ("clip", "optimised", "perturbed", "smoothed", "straight")
SHOWN_AS = {
    "clip": "the clip",
    "optimised": "local geodesic",
    "perturbed": "clip with noise",
    "smoothed": "clip smoothed",
    "straight": "great circle",
}
"""What a person reads in place of them."""


@dataclass(frozen=True)
class PathNumbers:
    """One of the five paths in a window: lists over its inner frames, but `log_density` over all of them.

    Of the perturbed paths the lists are means over the draws.
    """

    gradient: list[float]
    curvature_term: list[float]
    score_term: list[float]
    angle: list[float]
    alignment: list[float]
    log_density: list[float]
    length: float
    log_length: float

    @property
    def mean(self) -> float:
        """The mean norm of the geodesic gradient."""
        return fmean(self.gradient)

    @property
    def relative(self) -> list[float]:
        """The gradient over the sum of its two terms' norms: free of scale, 0 on a geodesic, 1 where one term is 0."""
        terms = zip(self.gradient, self.curvature_term, self.score_term, strict=True)
        return [gradient / (bend + pull) if bend + pull > 0 else 0.0 for gradient, bend, pull in terms]


@dataclass(frozen=True)
class Window:
    """A window of a clip, in numbers only.

    Args:
        frames: numbers of its frames among those used, repeated ones left out, m of them.
        paths: by name, of COMPARED; the optimised and the straight one are missing where the window ends as it begins.
        draws: mean gradient norm of every perturbed path.
        steps: distances from frame to frame, (m - 1).
        turn: radians, (m - 2).
        departure: in typical steps, (m - 2).
        product: kappa . P_v s of the clip, (m - 2).
        square: |P_v s|² of the clip, (m - 2).
        shuffled: mean alignment of every random order of the frames.
        bumped: mean alignment of every perturbed path.
        solver: how the solver ended.
        residual: the relative residual that it reached.
        solved: whether the optimised path is a geodesic to the tolerance; True where there is none.
        score_calls: evaluations of the score.
    """

    frames: list[int]
    paths: dict[str, PathNumbers]
    draws: list[float]
    steps: list[float]
    turn: list[float]
    departure: list[float]
    product: list[float]
    square: list[float]
    shuffled: list[float]
    bumped: list[float]
    solver: str
    residual: float | None
    solved: bool
    score_calls: int

    @classmethod
    def of(cls, frames: list[int], found: Rivals) -> "Window":
        """The numbers of a comparison."""
        clip = found.clip
        reports: tuple[Sequence[SequenceReport | None], ...]
        reports = ([clip], [found.optimised], found.perturbed, [found.smoothed], [found.straight])
        there = {name: [one for one in some if one is not None] for name, some in zip(COMPARED, reports, strict=True)}
        return cls(
            frames=frames,
            paths={name: _numbers(some) for name, some in there.items() if some},
            draws=[one.mean_gradient for one in found.perturbed],
            steps=clip.steps.tolist(),
            turn=clip.turn.tolist(),
            departure=clip.departure.tolist(),
            product=linalg.dot(clip.curvature, clip.pull).squeeze(-1).tolist(),
            square=linalg.dot(clip.pull, clip.pull).squeeze(-1).tolist(),
            shuffled=list(found.shuffled.null),
            bumped=list(found.bumped.null),
            solver="ENDS_MEET" if found.solution is None else found.solution.status.name,
            residual=None if found.solution is None else found.solution.residual,
            solved=found.solution is None or found.solution.converged,
            score_calls=found.score_calls,
        )

    @classmethod
    def from_plain(cls, plain: dict[str, Any]) -> "Window":
        """The window that `asdict` took apart."""
        paths = {name: PathNumbers(**numbers) for name, numbers in plain["paths"].items()}
        return cls(**(plain | {"paths": paths}))


def cut(count: int, window: int, overlap: int) -> list[range]:
    """Windows over a number of frames; the last is moved back to be as long as the others."""
    if count <= window:
        return [range(count)]
    starts = [*range(0, count - window, window - overlap), count - window]
    return [range(start, start + window) for start in starts]


def _numbers(reports: Sequence[SequenceReport]) -> PathNumbers:
    lists = ("gradient", "curvature_term", "score_term", "angle", "alignment", "log_density")
    numbers: dict[str, Any] = {
        key: torch.stack([getattr(one, key) for one in reports]).mean(0).tolist() for key in lists
    }
    numbers |= {key: fmean(getattr(one, key) for one in reports) for key in ("length", "log_length")}
    return PathNumbers(**numbers)
