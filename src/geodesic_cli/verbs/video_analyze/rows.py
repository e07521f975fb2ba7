"""The numbers of each frame of a clip, and where the clip departs most from a geodesic.

The score of a segment between two frames is the mean departure of its two ends (`geometry.clips.sequence`), and at an
end of the clip, which has none, the change of speed |h - typical| / typical stands for it. What is named is, in this
order,

    a jump         the segment of the largest score, if its step is at least CUT times those of its neighbours
    a turn back    the frame that departs most among those that turn by BACK degrees or more, if there is one
    a jump         the segment of the largest score, if its step is at least JUMP times those of its neighbours and its
                   score SUDDEN times the usual one
    a bend         else the segment of the largest score, which is nothing special.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean, median

from geodesic_cli.verbs.video_analyze.windows import COMPARED, Window

CUT, JUMP, SUDDEN, BACK = 3.0, 1.6, 1.5, 150.0
TYPICAL = 4
"""Segments on either side that a segment's step is compared with."""

FrameNumbers = dict[str, float | int | None]
"""The numbers of one frame by the columns of clip.csv; None where the frame has no such number."""


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


def frame_numbers_of(windows: Sequence[Window], used: int, times: Sequence[float]) -> list[FrameNumbers]:
    """The numbers of each of the frames used, in their order; ``times`` are those of all frames, in seconds."""
    inner: dict[str, dict[int, list[float]]] = {}
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
        for name in COMPARED[1:]:
            if name in window.paths:
                add(f"gradient_{name}", middle, window.paths[name].gradient)
        add("step", window.frames[1:], window.steps)
        for k, (last, frame) in enumerate(pairwise(window.frames)):
            before[frame] = last
            density.setdefault(frame, density[last] + clip.log_density[k + 1] - clip.log_density[k])
    means = {column: {frame: fmean(some) for frame, some in of.items()} for column, of in inner.items()}
    score = _segment_scores(means["step"], means["departure"], before)
    columns = ("departure", "turn_degrees", "gradient", "curvature_term", "score_term", "angle_degrees", "alignment")
    others = [f"gradient_{name}" for name in COMPARED[1:] if f"gradient_{name}" in inner]
    return [
        {
            "frame": frame,
            "seconds": times[frame],
            "moves": int(frame in density),
            "step": means["step"].get(frame),
            "segment_score": score[frame][0] if frame in score else None,
            "segment_speed": score[frame][1] if frame in score else None,
            "log_density": density.get(frame),
            **{column: means[column].get(frame) for column in (*columns, *others)},
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


def worst_of(rows: Sequence[FrameNumbers]) -> Event:
    """Where the clip departs most, and what happens there."""
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
