"""What `geodesic isometry` found, as a table: one model by noise level, or two models side by side."""

import math
from collections.abc import Sequence
from typing import Any

KEPT = 0.2
"""The share of the strongest derivative below which an encoder is called rough; smooth ones keep 0.4 to 1."""


def rows(metrics: dict[str, Any]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Heads and lines of the table: one model by noise level, or two side by side."""
    models = metrics["models"]
    measures = _measures(models[0])
    if len(models) == 1:
        heads = ("", *(f"tau {level['tau']:g}" for level in models[0]["levels"]))
        return heads, [(name, *(show(level) for level in models[0]["levels"])) for name, show, _ in measures]
    heads = ("", "tau", *(model["name"] for model in models), "ratio")
    lines = []
    for name, show, value in measures:
        for k, level in enumerate(models[0]["levels"]):
            pair = [model["levels"][k] for model in models]
            lines.append((name if k == 0 else "", f"{level['tau']:g}", *map(show, pair), _ratio(*map(value, pair))))
    lines += [
        ("mRTL, mean (1 is best)", "", *(f"{m['mrtl']:.3f}" for m in models), _ratio(*(m["mrtl"] for m in models)))
    ]
    if all("ppl" in model for model in models):
        first, second = (model["ppl"] for model in models)
        # A few pairs on either side of a change of shape make up the mean: no ratio of what may be chance.
        told = abs(second["value"] - first["value"]) > 2 * math.hypot(first["error"], second["error"])
        shown = (_spread(one["value"], one["error"]) for one in (first, second))
        lines.append(("PPL (low is good)", "", *shown, _ratio(first["value"], second["value"]) if told else ""))
    if all("ls" in model for model in models):
        values = [model["ls"]["value"] for model in models]
        lines.append(("LS (1 is best)", "", *(_number(value) for value in values), _ratio(*values)))
    return heads, lines


def notes(metrics: dict[str, Any]) -> list[str]:
    """What one has to know to read the table."""
    model, level = metrics["models"][0], metrics["models"][0]["levels"][0]
    pooled = f"{level['pooled']['directions']}{' combinations of channels' if level['pooled']['mixed'] else ''}"
    lines = [
        f"N = {metrics['points']} points ({metrics['data']}), {level['dimension']} dimensions, h has "
        f"{level['features']}; L +- standard error, MCN and mRTL +- standard deviation.",
        "MCN and VoR: eigenvalues of JᵀJ on the sphere; of pooled h: singular values of J of h averaged over its "
        f"pixels ({pooled}).",
        f"mRTL: {metrics['pairs']} pairs, K = {metrics['segments']} segments.",
    ]
    if "published" in level:
        lines.append(
            f"As in the authors' code: singular values ({level['published']['directions']}) of J of h averaged over "
            "windows of 2 x 2 pixels, not on the sphere, at pure noise, VoR with N - 1; the network is told "
            f"{', '.join(str(v['published']['index']) for v in model['levels'])}, the index of the level in a "
            "descending list, in the place of its time."
        )
    return [*lines, *_of_the_spectrum(metrics), *values(metrics)]


def _of_the_spectrum(metrics: dict[str, Any]) -> list[str]:
    """How much of the spectrum is known, and what more would cost."""
    model, level = metrics["models"][0], metrics["models"][0]["levels"][0]
    if level["jacobian"] == "exact":
        return ["The Jacobians are whole, and so are the condition numbers."]
    evaluations = 2 * level["dimension"] * metrics["points"] * len(model["levels"])
    k = level["spread"]["directions"]
    lines = [
        f"The Jacobians are not whole: that takes {evaluations} evaluations of the encoder (--jacobian exact). The "
        f"condition number is at least what {level['ends']['first']['directions']} directions of a Krylov space show; "
        f"the spread in {k} random directions grows with their number, and compares only with the same number."
    ]
    for one in model["levels"]:
        first = one["ends"]["first"]
        lines.append(
            f"Ends of the spectrum of JᵀJ at the first point, tau {one['tau']:g}: the largest eigenvalue is at least "
            f"{_number(first['top'])} (one within {_number(first['top_error'])}), the least at most "
            f"{_number(first['bottom'])} (one within {_number(first['bottom_error'])})."
        )
    worst = max(one["spectrum_error"] for one in model["levels"])
    return [*lines, f"Top of the plotted spectrum: error at most {worst:.1%} of a value."]


def values(metrics: dict[str, Any]) -> list[str]:
    """The measures of each model that have no noise level, and which of them an isometry would have."""
    lines = []
    for one in metrics["models"]:
        told = []
        if "ppl" in one:
            p = one["ppl"]
            told.append(
                f"PPL {_spread(p['value'], p['error'])} ({p['distance']}, {p['kept']} of {p['pairs']} pairs, "
                f"eps {p['eps']:g})"
            )
        if "ls" in one:
            told.append(
                f"LS {one['ls']['value']:.2f} (guessing {one['ls']['guessing']:.2f}, {one['ls']['points']} "
                f"{one['ls']['what']}, {one['ls']['folds']} folds; told right, with the interval of 95%: "
                f"{_told_right(one['ls'])})"
            )
        lines.append(f"{one['name']}: mRTL {one['mrtl']:.3f}" + "".join(f"; {text}" for text in told) + ".")
        if not one["levels"][0]["possible"]:
            lines.append(impossible(one["name"], one["levels"][0]))
        lines += filter(None, [rough(one["name"], one["levels"])])
    return lines


def _told_right(ls: dict[str, Any]) -> str:
    """The share of images of which each label was told right, with its interval."""
    return ", ".join(
        f"{name} {share:.0%} ({ls['intervals'][name][0]:.0%} to {ls['intervals'][name][1]:.0%})"
        for name, share in ls["accuracies"].items()
    )


def markdown(metrics: dict[str, Any]) -> str:
    """The table and its notes."""
    heads, lines = rows(metrics)
    table = [heads, ("---",) * len(heads), *lines]
    return "\n".join([*(f"| {' | '.join(line)} |" for line in table), "", *notes(metrics), ""])


def markdown_so_far(metrics: dict[str, Any]) -> str:
    """The same while it is being measured: a table for each model that has been looked at."""
    alone = [markdown(metrics | {"models": [model]}) for model in metrics["models"]]
    return "\n".join(["This run has not ended; what it has measured so far:", "", *alone])


def used(level: dict[str, Any], digits: int = 0) -> str:
    """How many directions an encoder uses, 1/L; points that differ more than directions do make it less than one."""
    return f"{level['participation']:.{digits}f}" if level["participation"] >= 1 else "less than 1"


def rough(name: str, levels: Sequence[dict[str, Any]]) -> str | None:
    """A sentence for a model whose derivatives tell of smaller steps than anybody takes; None for any other."""
    least = min(levels, key=lambda level: level["held"])
    if least["held"] >= KEPT:
        return None
    return (
        f"The encoder of {name} is nearly a step function: at tau {least['tau']:g} its strongest derivative keeps "
        f"{least['held']:.0%} of its size over 0.1 rad, a sixteenth of the way between two noises. L, MCN and VoR tell "
        "of smaller steps than a path takes; mRTL, which is made of steps of that size, can be read."
    )


def impossible(name: str, level: dict[str, Any]) -> str:
    """A sentence for a model whose h is too small for an isometry."""
    return (
        f"No encoder can make h of {name} an isometry: h has {level['features']} dimensions, and the sphere of its "
        f"noisy latents has {level['dimension'] - 1}. L cannot fall below 1/{level['features']}."
    )


def _measures(model: dict[str, Any]) -> list[tuple[str, Any, Any]]:
    def mcn(kind: str) -> tuple[Any, Any]:
        return (lambda v: _spread(v[kind]["mcn"], v[kind]["mcn_std"])), (lambda v: v[kind]["mcn"])

    def vor(kind: str) -> tuple[Any, Any]:
        return (lambda v: _number(v[kind]["vor"])), (lambda v: v[kind]["vor"])

    first = model["levels"][0]
    if first["jacobian"] == "exact":
        told = [
            (f"MCN, whole, {first['riemannian']['directions']} directions (1 is best)", *mcn("riemannian")),
            ("VoR, whole (0 is best)", *vor("riemannian")),
        ]
    else:
        of = f"spread in {first['spread']['directions']} random directions"
        told = [
            ("MCN is at least", lambda v: _number(v["ends"]["mcn_at_least"]), lambda v: v["ends"]["mcn_at_least"]),
            (f"{of} (1 is best)", *mcn("spread")),
            ("its variance over points (0 is best)", *vor("spread")),
        ]
    told += [("MCN of pooled h (1 is best)", *mcn("pooled")), ("VoR of pooled h (0 is best)", *vor("pooled"))]
    if "published" in first:
        told += [
            ("MCN as in the authors' code (1 is best)", *mcn("published")),
            ("VoR as in the authors' code (0 is best)", *vor("published")),
        ]
    return [
        ("isometry loss L (low is good)", lambda v: _spread(v["loss"], v["loss_error"]), lambda v: v["loss"]),
        ("directions used, 1/L (high is good)", lambda v: used(v, 1), lambda v: v["participation"]),
        *told,
        ("lengths differ by (0 is best)", lambda v: f"{v['length_error']:.0%}", lambda v: v["length_error"]),
        ("strongest derivative kept over 0.1 rad", lambda v: f"{v['held']:.0%}", lambda v: v["held"]),
        (
            "angles are off by (0 is best)",
            lambda v: f"{v['angle_error']:.1f} degrees",
            lambda v: v["angle_error"],
        ),
        ("mRTL (1 is best)", lambda v: _spread(v["mrtl"], v["mrtl_std"]), lambda v: v["mrtl"]),
    ]


def _spread(value: float, spread: float) -> str:
    if not math.isfinite(value):
        return "infinite"
    return f"{_number(value)} +- {_number(spread)}"


def _number(value: float) -> str:
    if not math.isfinite(value):
        return "infinite"
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _ratio(first: float, second: float) -> str:
    return f"{second / first:.3f}" if math.isfinite(first) and math.isfinite(second) and first else ""
