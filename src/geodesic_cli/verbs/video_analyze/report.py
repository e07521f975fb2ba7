"""What is found out about a clip: what its windows say together, and the sentence for the user.

Where two windows share a frame its numbers are averaged, and a window's end frames, at which nothing bends, take theirs
from the neighbour. `rows` has the numbers of each frame and names where the clip departs most.
"""

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any

import torch
from torch import Tensor

from geodesic_cli.geometry.clips.significance import Alignment, BestAlpha, best_alpha
from geodesic_cli.verbs.video_analyze.rows import Event, FrameNumbers, frame_numbers_of, worst_of
from geodesic_cli.verbs.video_analyze.windows import PATHS, Window

SMALL, FACTOR = 0.5, 3.0
"""Ratios of gradient norms: at most SMALL of the perturbed paths' is small, at most FACTOR of the optimised one's is
within a small factor."""


@dataclass(frozen=True)
class ClipReport:
    """Everything about a clip.

    Args:
        alpha: the density exponent.
        rows: one dictionary a frame, the columns of clip.csv; None where a frame has no such number.
        means: mean gradient norm by path, over the windows; the optimised and straight ones may be missing.
        terms: path -> its mean curvature term, score term, alignment, gradient over the sum of the two terms, and log
            weighted length over the windows.
        ratios: the clip's mean gradient norm over that of each other path.
        aligned: mean alignment of the clip with that of shuffled frames as its null.
        p_perturbed: the p-value of the same against the perturbed paths.
        best: the alpha at which the clip is most geodesic.
        roughness: H.
        departure: the largest departure of a frame.
        event: where it departs most.
        passed: the three tests of Fig. 3 by name.
        windows: the windows.
    """

    alpha: float
    rows: list[FrameNumbers]
    means: dict[str, float]
    terms: dict[str, dict[str, float]]
    ratios: dict[str, float]
    aligned: Alignment
    p_perturbed: float
    best: BestAlpha
    roughness: float
    departure: float
    event: Event
    passed: dict[str, bool]
    windows: tuple[Window, ...]

    @property
    def grade(self) -> str:
        """The verdict in three words."""
        if self.event.kind != "bend" or not (self.passed["below the perturbed"] and self.passed["below the smoothed"]):
            return "not a geodesic"
        if all(self.passed.values()):
            return "close to a geodesic"
        return "nearer to a geodesic than its neighbours"

    @property
    def verdict(self) -> str:
        """One sentence with the numbers behind it."""
        parts = [
            f"{value:.2g} times that of the {name}{' ones' if name == 'perturbed' else ' path'}"
            for name, value in self.ratios.items()
        ]
        p = self.aligned.p_value
        sign = "<" if p <= 1 / (1 + len(self.aligned.null)) else "="
        return (
            f"The clip's gradient norm is {', '.join(parts[:-1])} and {parts[-1]}: {self.grade}; it bends against the "
            f"density's pull by a mean cosine of {self.aligned.mean:+.2f} (shuffled frames "
            f"{self.aligned.null_mean:+.2f}, p {sign} {p:.2g}), {self.place}."
        )

    @property
    def place(self) -> str:
        """Where it departs most, in words."""
        event = self.event
        if event.kind == "jump":
            return (
                f"and it jumps between frames {event.first} and {event.last}, by {event.speed:.1f} times its usual step"
            )
        if event.kind == "turn back":
            return f"and it turns back at frame {event.frame}, by {event.turn:.0f} degrees"
        return f"and its worst segment, frames {event.first} to {event.last}, is not much worse than the others"


def report_on(
    windows: Sequence[Window], alpha: float, used: int, times: Sequence[float], clip_roughness: float
) -> ClipReport:
    """Put the windows together.

    Args:
        windows: in their order, at least one.
        alpha: the density exponent.
        used: how many frames there are, repeated ones included.
        times: of all frames, in seconds.
        clip_roughness: H of the whole clip.
    """
    rows = frame_numbers_of(windows, used, times)
    event = worst_of(rows)
    weights = [len(window.departure) for window in windows]
    names = [name for name in PATHS if any(name in window.paths for window in windows)]
    means = {name: _mean(windows, name, "gradient") for name in names}
    columns = ("curvature_term", "score_term", "alignment", "relative")
    terms = {
        name: {key: _mean(windows, name, key) for key in columns}
        | {"log_length": fmean(window.paths[name].log_length for window in windows if name in window.paths)}
        for name in names
    }
    ratios = {name: means["clip"] / means[name] for name in names if name != "clip" and means[name] > 0}
    product, square, turned = (_each_once(windows, key) for key in ("product", "square", "curvature_term"))

    def joined(key: str) -> tuple[float, ...]:
        draws = zip(*(getattr(window, key) for window in windows), strict=True)
        return tuple(sum(w * value for w, value in zip(weights, row, strict=True)) / sum(weights) for row in draws)

    aligned = Alignment(terms["clip"]["alignment"], joined("shuffled"))
    return ClipReport(
        alpha=alpha,
        rows=rows,
        means=means,
        terms=terms,
        ratios=ratios,
        aligned=aligned,
        p_perturbed=Alignment(aligned.mean, joined("bumped")).p_value,
        best=best_alpha(product, square, float(turned.square().sum())),
        roughness=clip_roughness,
        departure=max(max(window.departure) for window in windows),
        event=event,
        passed={
            "small beside the perturbed": ratios.get("perturbed", math.inf) <= SMALL,
            "near the optimised": ratios.get("optimised", math.inf) <= FACTOR,
            "below the perturbed": ratios.get("perturbed", math.inf) < 1,
            "below the smoothed": ratios.get("smoothed", math.inf) < 1,
        },
        windows=tuple(windows),
    )


def csv_of(report: ClipReport) -> str:
    """The rows of a report as a table with a header; what a frame does not have is empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(report.rows[0])
    writer.writerows(["" if value is None else f"{value:.6g}" for value in row.values()] for row in report.rows)
    return text.getvalue()


def report_metrics(report: ClipReport) -> dict[str, Any]:
    """What metrics.json holds of a report."""
    return {
        "verdict": report.verdict,
        "grade": report.grade,
        "alpha": report.alpha,
        "gradient_norm": report.means,
        "terms": report.terms,
        "ratios": report.ratios,
        "tests": report.passed,
        "alignment": {
            "mean": report.aligned.mean,
            "shuffled": report.aligned.null_mean,
            "p_shuffled": report.aligned.p_value,
            "p_perturbed": report.p_perturbed,
        },
        "best_alpha": asdict(report.best),
        "roughness": report.roughness,
        "departure": report.departure,
        "worst_segment": asdict(report.event),
        "windows": [
            {
                "first": window.frames[0],
                "last": window.frames[-1],
                "gradient_norm": {name: path.mean for name, path in window.paths.items()},
                "length": {name: path.length for name, path in window.paths.items()},
                "log_length": {name: path.log_length for name, path in window.paths.items()},
                "solver": window.solver,
                "residual": window.residual,
                "departure": max(window.departure),
            }
            for window in report.windows
        ],
    }


def _mean(windows: Sequence[Window], name: str, key: str) -> float:
    """The mean of a list of a path over the inner frames of all windows that have the path."""
    return fmean(value for window in windows if name in window.paths for value in getattr(window.paths[name], key))


def _each_once(windows: Sequence[Window], key: str) -> Tensor:
    """A list of the clip over its inner frames; a frame in two windows counts once."""
    found: dict[int, float] = {}
    for window in windows:
        values = getattr(window, key, None) or getattr(window.paths["clip"], key)
        for frame, value in zip(window.frames[1:-1], values, strict=True):
            found.setdefault(frame, value)
    return torch.tensor(list(found.values()), dtype=torch.float64)
