"""Windows put together to a report.

Where two windows share a frame its numbers are averaged, and a window's end frames, at which nothing bends, take theirs
from the neighbour. `rows` has the numbers of each frame and names where the clip departs most.
"""

import math
from collections.abc import Sequence
from statistics import fmean

import torch
from torch import Tensor

from geodesic_cli.geometry.clips.significance import Alignment, best_alpha
from geodesic_cli.verbs.video_analyze.report import NEAR_TEST, ClipReport
from geodesic_cli.verbs.video_analyze.rows import frame_numbers_of, worst_of
from geodesic_cli.verbs.video_analyze.windows import COMPARED, Window

SMALL, FACTOR = 0.5, 3.0
"""Ratios of gradient norms: at most SMALL of the perturbed paths' is small, at most FACTOR of the optimised one's is
within a small factor."""


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
    names = [name for name in COMPARED if any(name in window.paths for window in windows)]
    means = {name: _mean(windows, name, "gradient") for name in names}
    columns = ("curvature_term", "score_term", "alignment", "relative")
    terms = {
        name: {key: _mean(windows, name, key) for key in columns}
        | {"log_length": fmean(window.paths[name].log_length for window in windows if name in window.paths)}
        for name in names
    }
    ratios = {name: means["clip"] / means[name] for name in names if name != "clip" and means[name] > 0}
    passed = {
        "small beside the perturbed": ratios.get("perturbed", math.inf) <= SMALL,
        "below the perturbed": ratios.get("perturbed", math.inf) < 1,
        "below the smoothed": ratios.get("smoothed", math.inf) < 1,
    }
    # Beside a path that is no geodesic itself only a clip that fails has shown something.
    if "optimised" in ratios and (ratios["optimised"] > FACTOR or all(window.solved for window in windows)):
        passed[NEAR_TEST] = ratios["optimised"] <= FACTOR
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
        passed=passed,
        joined=tuple(int(row["frame"] or 0) for row in rows if not row["moves"]),
        windows=tuple(windows),
    )


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
