"""What `geodesic isometry` found, as a table: one model by noise level, or two models side by side."""

import math
from typing import Any


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
    pooled = f"{level['singular']['directions']}{' combinations of channels' if level['singular']['mixed'] else ''}"
    lines = [
        f"N = {metrics['points']} points ({metrics['data']}), {level['dimension']} dimensions, h has "
        f"{level['features']}; L +- standard error, MCN and mRTL +- standard deviation.",
        "riemannian: eigenvalues of JᵀJ on the sphere; singular: singular values of J of h averaged over its pixels "
        f"({pooled}).",
        f"mRTL: {metrics['pairs']} pairs, K = {metrics['segments']} segments.",
    ]
    if level["jacobian"] == "exact":
        lines.append("The Jacobians are whole.")
    else:
        lines.append(
            f"The Jacobians are projected on {level['riemannian']['directions']} fixed random directions: MCN "
            f"riemannian is a lower bound, and compares only with the same number. Top of the spectrum: error at most "
            f"{max(v['spectrum_error'] for v in model['levels']):.1%} of a value."
        )
    return lines + values(metrics)


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
                f"LS {one['ls']['value']:.2f} (guessing {one['ls']['guessing']:.2f}, {one['ls']['points']} scenes, "
                f"{one['ls']['folds']} folds)"
            )
        lines.append(f"{one['name']}: mRTL {one['mrtl']:.3f}" + "".join(f"; {text}" for text in told) + ".")
        if not one["levels"][0]["possible"]:
            lines.append(impossible(one["name"], one["levels"][0]))
    return lines


def markdown(metrics: dict[str, Any]) -> str:
    """The table and its notes."""
    heads, lines = rows(metrics)
    table = [heads, ("---",) * len(heads), *lines]
    return "\n".join([*(f"| {' | '.join(line)} |" for line in table), "", *notes(metrics), ""])


def impossible(name: str, level: dict[str, Any]) -> str:
    """A sentence for a model whose h is too small for an isometry."""
    return (
        f"No encoder can make h of {name} an isometry: h has {level['features']} dimensions, and the sphere of its "
        f"noisy latents has {level['dimension'] - 1}. L cannot fall below 1/{level['features']}."
    )


def _measures(model: dict[str, Any]) -> list[tuple[str, Any, Any]]:
    def mcn(kind: str) -> Any:
        return lambda level: _spread(level[kind]["mcn"], level[kind]["mcn_std"])

    first = model["levels"][0]
    of = f"of {first['riemannian']['directions']} directions"
    return [
        ("isometry loss L (low is good)", lambda v: _spread(v["loss"], v["loss_error"]), lambda v: v["loss"]),
        ("directions used, 1/L (high is good)", lambda v: f"{v['participation']:.1f}", lambda v: v["participation"]),
        (f"MCN riemannian {of} (1 is best)", mcn("riemannian"), lambda v: v["riemannian"]["mcn"]),
        ("VoR riemannian (0 is best)", lambda v: _number(v["riemannian"]["vor"]), lambda v: v["riemannian"]["vor"]),
        ("MCN singular (1 is best)", mcn("singular"), lambda v: v["singular"]["mcn"]),
        ("VoR singular (0 is best)", lambda v: _number(v["singular"]["vor"]), lambda v: v["singular"]["vor"]),
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
