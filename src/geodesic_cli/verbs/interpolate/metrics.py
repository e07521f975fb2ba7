"""What metrics.json holds of an interpolation."""

from dataclasses import asdict
from typing import Any

from geodesic_cli.frames.keyframes import Keyframes
from geodesic_cli.frames.path_report import PathReport, comparable_to
from geodesic_cli.settings import InterpolateSettings
from geodesic_cli.settings.methods import SOURCES
from geodesic_cli.settings.vocabulary import FLAT_METHODS
from geodesic_cli.verbs.interpolate.drawing import Drawn
from geodesic_cli.verbs.interpolate.legs import Leg
from geodesic_cli.verbs.interpolate.telling import doubtful, names, verdict


def path_metrics(
    settings: InterpolateSettings,
    legs: tuple[Leg, ...],
    reports: dict[str, PathReport],
    main: Drawn,
    keyframes: Keyframes,
    numbers: tuple[int, ...],
) -> tuple[dict[str, Any], str]:
    """Everything but the costs, and the sentences on the leg that ended worst.

    Args:
        legs: of the path.
        reports: by method.
        main: the frames of the method that was asked for.
        keyframes: the images.
        numbers: of the frames that are keyframes.
    """
    s = settings
    each = [leg_metrics(s, leg) for leg in legs]
    # The worst: a leg that is not solved before one that is, and the largest residual among equals.
    worst = min(each, key=lambda leg: (leg["converged"], -leg["relative_residual"]))
    metrics: dict[str, Any] = {
        "method": s.method,
        "status": worst["status"],
        "alpha": legs[0].paths[s.method].alpha,
        "bend": max(leg.paths[s.method].bend for leg in legs),
        "tau": s.tau,
        "dimension": keyframes.x.shape[1],
        "frames": len(main.frames),
        "keyframes": [number for number in numbers if number < len(main.frames)],
        "positions": main.u.tolist(),
        "reconstruction_psnr": list(keyframes.psnr),
        "steps": sum(leg["steps"] for leg in each),
        "score_evaluations": sum(leg["score_evaluations"] for leg in each),
        "names": names(s, legs, reports),
        "sources": {name: SOURCES[name] for name in reports},
        "paths": {name: asdict(report) for name, report in reports.items()},
        "comparable_to": comparable_to(
            [report for name, report in reports.items() if name not in FLAT_METHODS], legs[0].paths[s.method].alpha
        ),
    }
    sentence = worst["sentence"]
    found = tuple(leg.found for leg in legs if leg.found is not None)
    if found:
        marked = []
        for k, part in enumerate(found):
            inside = main.of_leg(k)
            marked += [int(inside[j]) for j in part.marked(main.u[inside] * len(legs) - k)]
        metrics["global"] = found[0].metrics if len(found) == 1 else {"legs": [part.metrics for part in found]}
        marked = sorted(set(marked))
        metrics["global"] |= {"marked_frames": marked}
        if not worst["converged"]:
            sentence = f"{sentence} {doubtful(marked)}"
    if len(legs) > 1:
        metrics["legs"] = each
    return metrics, sentence


def leg_metrics(settings: InterpolateSettings, leg: Leg) -> dict[str, Any]:
    """How one leg ended, as metrics.json holds it."""
    s = settings
    path, report, found = leg.paths[s.method], leg.reports[s.method], leg.found
    solution = path.solution
    made = {
        "status": solution.status.name if solution else "NOT_NEEDED",
        "sentence": verdict(s, leg),
        "converged": solution is None or solution.converged,
        "steps": solution.steps if solution else 0,
        "score_evaluations": solution.score_calls if solution else 0,
        "relative_residual": report.relative_residual,
        "log_length": report.log_length,
        "euclidean_length": report.euclidean_length,
    }
    if found is not None:
        made |= {"status": "SEARCHED", "converged": found.certain}
        made |= {"score_evaluations": found.evaluations}
    return made
