"""What an interpolation says of itself: what its paths are called, how each fared, and whether the result is good."""

import math
from collections.abc import Mapping, Sequence

from geodesic_cli.frames.pacing import Pacer
from geodesic_cli.frames.path_report import PathReport
from geodesic_cli.search.candidates import KNOWN
from geodesic_cli.settings import InterpolateSettings
from geodesic_cli.settings.vocabulary import FLAT_METHODS, fared, is_geodesic, listed, path_kind, path_name
from geodesic_cli.verbs.interpolate.legs import Leg

NAMED_ONE_BY_ONE = 12
"""More frames than these are not named one by one."""


def solved(leg: Leg, method: str) -> bool:
    """Whether the solver of a path, if it had one, says that it converged."""
    solution = leg.paths[method].solution
    return solution is None or solution.converged


def names(settings: InterpolateSettings, legs: Sequence[Leg], reports: Mapping[str, PathReport]) -> dict[str, str]:
    """What each method's path is called, by method; of several pairs of images the worst residual counts."""
    return {
        method: path_name(method, report.relative_residual, settings.tol, all(solved(leg, method) for leg in legs))
        for method, report in reports.items()
    }


def curve_labels(
    settings: InterpolateSettings, called: Mapping[str, str], reports: Mapping[str, PathReport]
) -> dict[str, str]:
    """What a plot says of each method's path: its name, and that it lost where it did.

    The length of the straight line belongs to another metric, and is compared with none.
    """
    lengths = {method: report.log_length for method, report in reports.items() if method not in FLAT_METHODS}
    least = min((value for value in lengths.values() if not math.isnan(value)), default=math.inf)
    return {
        method: called[method]
        + (fared(method == settings.method, lengths.get(method, least) > least + KNOWN) if len(called) > 1 else "")
        for method in called
    }


def verdict(settings: InterpolateSettings, leg: Leg) -> str:
    """Whether the path between two neighbouring images is good, and what to do if it is not: one or two sentences."""
    method = settings.method
    residual, solution = leg.reports[method].relative_residual, leg.paths[method].solution
    if method == "slerp":
        return "The great circle takes no account of what the model finds plausible; --method geodesic does."
    if method == "lerp":
        return "The straight line takes no account of what the model finds plausible; --method geodesic does."
    if method in ("blend", "corrected", "attention"):
        return f"The {path_kind(method)} is a baseline: no equation is solved for it; --method geodesic solves one."
    told = leg.found.status if leg.found else solution.status.value if solution else ""
    if is_geodesic(residual, settings.tol):
        return told
    short = f"It is a short path, residual {residual:.2g}; a geodesic has at most {settings.tol:g}."
    if leg.found is not None:
        return (
            f"{told} {short} A shorter one may lie near it; a higher --tau or a lower --alpha makes it easier to find."
        )
    if solution is not None and solution.converged:
        return (
            f"The solver was content, but measured between its points the path is another. {short} Pass a lower --tol."
        )
    return f"{told} {short} See --max-steps, --bend and --solver."


def doubtful(frames: Sequence[int]) -> str:
    """A sentence on the frames that lie where the model hardly ever draws; they are marked on the sheet."""
    if not frames:
        return "None of the frames drawn lies there."
    if len(frames) > NAMED_ONE_BY_ONE:
        return f"{len(frames)} frames from {frames[0]} to {frames[-1]} lie there; they are marked on the sheet."
    if len(frames) == 1:
        return f"Frame {frames[0]} lies there, as the sheet marks."
    return f"Frames {listed([str(number) for number in frames])} lie there, as the sheet marks."


def spacing(measure: Pacer | None, ease: bool, legs: int) -> str:
    """How the frames of every method of a run are spaced, as a sentence.

    Args:
        measure: None where they lie at equal steps of u.
        ease: whether they are `eased`.
        legs: stretches from image to image; each has frames of its own.
    """
    steps = "steps that are small at both ends and large in the middle," if ease else "equal steps"
    where = "of u, the position along the path" if measure is None else measure.detail
    return f"Frames at {steps} {where}{', from each image to the next' if legs > 1 else ''}."
