"""What is found out about a clip: what its windows say together, and the sentence for the user.

Where two windows share a frame its numbers are averaged, and a window's end frames, at which nothing bends, take theirs
from the neighbour.

The score of a segment between two frames is the mean departure of its two ends (`geometry.sequence`), and at an end of
the clip, which has none, the change of speed |h - typical| / typical stands for it. What is named is, in this order,

    a jump         the segment of the largest score, if its step is at least CUT times those of its neighbours
    a turn back    the frame that departs most among those that turn by BACK degrees or more, if there is one
    a jump         the segment of the largest score, if its step is at least JUMP times those of its neighbours and its
                   score SUDDEN times the usual one
    a bend         else the segment of the largest score, which is nothing special.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import fmean, median
from typing import Any

import torch
from torch import Tensor

from geodesic_cli.geometry.clips.significance import Alignment, BestAlpha, best_alpha
from geodesic_cli.verbs.video_analyze.windows import PATHS, Window

CUT, JUMP, SUDDEN, BACK = 3.0, 1.6, 1.5, 150.0
SMALL, FACTOR = 0.5, 3.0
"""Ratios of gradient norms: at most SMALL of the perturbed paths' is small, at most FACTOR of the optimised one's is
within a small factor."""
TYPICAL = 4
"""Segments on either side that a segment's step is compared with."""


@dataclass(frozen=True)
class Event:
    """Where a clip departs most from a geodesic.

    Args:
        kind: `jump`, `turn back` or `bend`.
        first: the frame before the segment, a number among the frames used.
        last: the frame after it.
        frame: of the two the one that departs more.
        score: of the segment.
        speed: its step over the typical one.
        turn: of `frame`, in degrees.
    """

    kind: str
    first: int
    last: int
    frame: int
    score: float
    speed: float
    turn: float


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
    rows: list[dict[str, float | int | None]]
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
    rows = _rows(windows, used, times)
    event = _event(rows)
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


def csv(report: ClipReport) -> str:
    """The rows of a report as a table with a header; what a frame does not have is empty."""
    heads = list(report.rows[0])
    lines = [",".join("" if row[head] is None else f"{row[head]:.6g}" for head in heads) for row in report.rows]
    return "\n".join([",".join(heads), *lines]) + "\n"


def plain(report: ClipReport) -> dict[str, Any]:
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


# --- parts -----------------------------------------------------------------------------------------------------------


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


def _rows(windows: Sequence[Window], used: int, times: Sequence[float]) -> list[dict[str, float | int | None]]:
    inner: dict[str, dict[int, list[float]]] = {}
    steps: dict[int, list[float]] = {}
    before: dict[int, int] = {}
    density: dict[int, float] = {windows[0].frames[0]: 0.0}

    def add(column: str, frames: Sequence[int], values: Sequence[float]) -> None:
        for frame, value in zip(frames, values, strict=True):
            inner.setdefault(column, {}).setdefault(frame, []).append(value)

    for window in windows:
        middle = window.frames[1:-1]
        clip = window.paths["clip"]
        add("departure", middle, window.departure)
        add("turn_degrees", middle, [math.degrees(value) for value in window.turn])
        for column in ("gradient", "curvature_term", "score_term", "alignment"):
            add(column, middle, getattr(clip, column))
        add("angle_degrees", middle, [math.degrees(value) for value in clip.angle])
        for name in PATHS[1:]:
            if name in window.paths:
                add(f"gradient_{name}", middle, window.paths[name].gradient)
        for k, step in enumerate(window.steps):
            frame = window.frames[k + 1]
            steps.setdefault(frame, []).append(step)
            before[frame] = window.frames[k]
            density.setdefault(frame, density[window.frames[k]] + clip.log_density[k + 1] - clip.log_density[k])
    walked = {frame: fmean(values) for frame, values in steps.items()}
    score = _segment_scores(walked, {frame: fmean(values) for frame, values in inner["departure"].items()}, before)
    columns = ("departure", "turn_degrees", "gradient", "curvature_term", "score_term", "angle_degrees", "alignment")
    others = [f"gradient_{name}" for name in PATHS[1:] if f"gradient_{name}" in inner]
    return [
        {
            "frame": frame,
            "seconds": times[frame],
            "moves": int(frame in density),
            "step": walked.get(frame),
            "segment_score": score[frame][0] if frame in score else None,
            "segment_speed": score[frame][1] if frame in score else None,
            "log_density": density.get(frame),
            **{
                column: fmean(inner[column][frame]) if frame in inner[column] else None
                for column in (*columns, *others)
            },
        }
        for frame in range(used)
    ]


def _segment_scores(
    steps: dict[int, float], departure: dict[int, float], before: dict[int, int]
) -> dict[int, tuple[float, float]]:
    """Score and relative speed of the segment that ends at a frame, by that frame."""
    order = sorted(steps)
    found = {}
    for k, frame in enumerate(order):
        near = order[max(0, k - TYPICAL) : k] + order[k + 1 : k + 1 + TYPICAL]
        usual = median(steps[other] for other in near) if near else steps[frame]
        speed = steps[frame] / usual
        ends = [departure.get(end, abs(speed - 1)) for end in (before[frame], frame)]
        found[frame] = (fmean(ends), speed)
    return found


def _event(rows: Sequence[dict[str, float | int | None]]) -> Event:
    moving = [row for row in rows if row["moves"]]

    def value(k: int, column: str) -> float:
        return float(moving[k][column] or 0)

    segments = range(1, len(moving))
    worst = max(segments, key=lambda k: value(k, "segment_score"))
    usual = median(value(k, "segment_score") for k in segments)
    speed = value(worst, "segment_speed")
    sudden = speed >= JUMP and value(worst, "segment_score") >= SUDDEN * usual
    backs = [k for k in segments if value(k, "turn_degrees") >= BACK]
    kind = "jump" if speed >= CUT else "turn back" if backs else "jump" if sudden else "bend"
    frame = max((worst - 1, worst), key=lambda k: value(k, "departure"))
    if kind == "turn back":
        frame = max(backs, key=lambda k: value(k, "departure"))
        worst = max((frame, frame + 1), key=lambda k: value(k, "segment_score"))
    return Event(
        kind=kind,
        first=int(value(worst - 1, "frame")),
        last=int(value(worst, "frame")),
        frame=int(value(frame, "frame")),
        score=value(worst, "segment_score"),
        speed=value(worst, "segment_speed"),
        turn=value(frame, "turn_degrees"),
    )
