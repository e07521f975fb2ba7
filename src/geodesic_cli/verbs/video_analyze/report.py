"""What is found out about a clip, and the sentences for the user: the verdict, what it rests on, and what to do."""

import csv
import io
import math
from dataclasses import asdict, dataclass
from typing import Any

from geodesic_cli.geometry.clips.significance import Alignment, BestAlpha
from geodesic_cli.settings.vocabulary import FAILED, listed
from geodesic_cli.verbs.video_analyze.rows import Event, FrameNumbers
from geodesic_cli.verbs.video_analyze.windows import SHOWN_AS, Window

SMOOTH_FROM = 0.65
"""Roughness H from which a clip without a jump or a turn back is called smooth: between the 0.5 of a random walk and
the 0.8 to 0.98 of rendered motions."""
NEAR_TEST = "near the optimised"


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
        passed: the three tests of Fig. 3 by name. That of the optimised path is left out where there is none, and
            where it would be passed beside a path that is no geodesic itself.
        joined: frames that repeat the one before them, but for a codec's noise, and count as one with it.
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
    joined: tuple[int, ...]
    windows: tuple[Window, ...]

    @property
    def grade(self) -> str:
        """The verdict in a few words."""
        nearer = self.passed["below the perturbed"] and self.passed["below the smoothed"]
        if self.event.kind != "bend" or not self.smooth or not nearer:
            return "not a geodesic"
        if all(self.passed.values()) and NEAR_TEST in self.passed:
            return "close to a geodesic"
        return "nearer to a geodesic than its neighbours"

    @property
    def smooth(self) -> bool:
        """Whether its steps have to do with each other."""
        return self.roughness >= SMOOTH_FROM

    @property
    def verdict(self) -> str:
        """One short sentence: a geodesic? smooth? where does it depart?"""
        if self.event.kind != "bend":
            return f"Not a geodesic: it {self.place}."
        if not self.smooth:
            return (
                "Not a geodesic: its steps are as good as random (roughness H "
                f"{max(0.0, self.roughness):.2f}; 1 is smooth, 0.5 a random walk)."
            )
        if self.grade == "close to a geodesic":
            return "Close to a geodesic, and smooth: it jumps nowhere and never turns back."
        if self.grade != "not a geodesic" and NEAR_TEST not in self.passed:
            return (
                "Smooth, and nearer to a geodesic than copies of it with noise or smoothed; the geodesic between its "
                "ends was not found."
            )
        nearer = " and nearer to one than copies of it with noise or smoothed" if self.grade != "not a geodesic" else ""
        return f"Not a geodesic, but smooth{nearer}: it {self.place}."

    @property
    def place(self) -> str:
        """Where it departs most, as what follows the word `it`."""
        event = self.event
        between = f"between frames {event.first} and {event.last}"
        if event.kind == "jump":
            return f"jumps {between}, by {two_digits(event.speed)} times its usual step"
        if event.kind == "turn back":
            return f"turns back at frame {event.frame}, by {event.turn:.0f} degrees"
        return f"departs most {between}, though not much more than elsewhere"

    @property
    def detail(self) -> str:
        """The numbers behind the verdict, in a sentence or two."""
        parts = [f"{two_digits(value)} times that of the {self.names[name]}" for name, value in self.ratios.items()]
        p = self.aligned.p_value
        sign = "<" if p <= 1 / (1 + len(self.aligned.null)) else "="
        return (
            f"The norm of the clip's geodesic gradient is {listed(parts)}. It bends against the density's pull by a "
            f"mean cosine of {self.aligned.mean:+.2f} (frames in random order {self.aligned.null_mean:+.2f}, p {sign} "
            f"{p:.2g})."
        )

    @property
    def advice(self) -> str:
        """What to do about the verdict; nothing where the clip is close to a geodesic."""
        held = self.passed["below the smoothed"]
        if self.event.kind != "bend":
            return "To judge the parts before and after that alone, pass --stop and --start."
        if not self.smooth:
            return (
                "Frames that lie too far apart make such a path, and noise does: pass a lower --stride, or --denoise 1."
            )
        if self.grade == "not a geodesic" and self.passed["below the perturbed"]:
            return (
                "" if held else "The smoothed copy is nearer to one: --denoise 1 takes the noise of a codec out first."
            )
        if self.grade == "not a geodesic":
            return (
                "Noise makes it no worse: the frames lie too far apart, or the model does not know such pictures. Pass "
                "a lower --stride or another --model."
            )
        if self.unsolved is not None and NEAR_TEST not in self.passed:
            return (
                "To find the geodesic between its ends, pass more --max-steps, a smaller --window or a lower --alpha."
            )
        return ""

    @property
    def reference(self) -> str:
        """What became of the local geodesic between the clip's ends, where it was not found; nothing where it was."""
        if self.unsolved is None:
            return ""
        rest = "the clip is far even from that" if NEAR_TEST in self.passed else "no test rests on it"
        return (
            "The local geodesic between its ends was not found, only a path near it (relative residual "
            f"{two_digits(self.unsolved)}), and {rest}."
        )

    @property
    def names(self) -> dict[str, str]:
        """What a person reads in place of each path's name; no path is called a geodesic that is none."""
        worst = self.unsolved
        solved = SHOWN_AS["optimised"] if worst is None else f"local short path, residual {two_digits(worst)}, {FAILED}"
        return SHOWN_AS | {"optimised": solved}

    @property
    def unsolved(self) -> float | None:
        """The largest relative residual of an optimised path that did not converge; None if all of them did."""
        return max((window.residual or 0.0 for window in self.windows if not window.solved), default=None)


def two_digits(value: float) -> str:
    """A number above 0 with two digits that count, never as a power of ten: 0.20, 4.4, 23, 150."""
    if not 0 < value < math.inf:
        return f"{value:g}"
    rounded = float(f"{value:.1e}")
    return f"{rounded:.{max(0, 1 - math.floor(math.log10(rounded)))}f}"


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
        "detail": report.detail,
        "reference": report.reference,
        "advice": report.advice,
        "joined": list(report.joined),
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
                "solved": window.solved,
                "departure": max(window.departure),
            }
            for window in report.windows
        ],
    }
