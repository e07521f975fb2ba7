"""Sweeps: options with several values, every combination of them a run, and the means over pairs of what came out."""

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, get_type_hints

from geodesic_cli import media, plots
from geodesic_cli.errors import InputError
from geodesic_cli.many.batch import metrics_of
from geodesic_cli.many.rows import Row
from geodesic_cli.plots import HeatAxes
from geodesic_cli.settings import InterpolateSettings

SWEEP_TABLE, HEAT_MAP = "sweep.csv", "heatmap.png"
SWEEP_NUMBERS = {
    "mean_log_p": "mean log p, nats (high is good)",
    "least_log_p": "least log p, nats (high is good)",
    "residual": "residual (0 is a geodesic)",
    "evaluations": "network evaluations",
}
"""What is told of each combination, and the title of its heat map."""
Values = Mapping[str, tuple[float, ...]]
"""The values of each option that is swept, by its name."""


@dataclass(frozen=True)
class SweepPoint:
    """One combination: the values of the options as they are written, how many pairs are drawn, and their means."""

    values: tuple[str, ...]
    n: int
    means: Mapping[str, float]


def values_of(texts: Sequence[str]) -> dict[str, tuple[float, ...]]:
    """The values of texts such as `tau=0.2,0.4`, each once, in the order in which they are given.

    Raises:
        InputError: what is no such list; an option that is given twice.
    """
    hints, found = get_type_hints(InterpolateSettings), dict[str, tuple[float, ...]]()
    for text in texts:
        word, _, listed = text.partition("=")
        name = word.replace("-", "_")
        whole = hints.get(name) in (int, int | None)
        if not whole and hints.get(name) not in (float, float | None):
            raise InputError(f"A sweep is over options of a number; got {word!r}.", "Pass --tau 0.2,0.4 for instance.")
        if name in found:
            raise InputError(f"--{word} is given twice.", "Pass all its values at once, with commas between.")
        try:
            found[name] = tuple(dict.fromkeys((int if whole else float)(part) for part in listed.split(",")))
        except ValueError:
            kind = "whole numbers" if whole else "numbers"
            raise InputError(
                f"--{word} takes a number, or {kind} with commas between for a sweep; got {listed!r}.",
                "Pass --tau 0.2,0.4 for instance.",
            ) from None
    return found


def points_of(swept: Values) -> list[dict[str, float]]:
    """Every combination, the last option changing fastest; without a sweep one that changes nothing."""
    return [dict(zip(swept, values, strict=True)) for values in product(*swept.values())]


def point_folder(point: Mapping[str, float]) -> str:
    """What the folder of a combination is called; empty without a sweep."""
    return "_".join(f"{name.replace('_', '-')}-{written(value)}" for name, value in point.items())


def written(value: float) -> str:
    """A value as a person writes it."""
    return f"{value:.12g}"


def write_sweep(root: Path, rows: Sequence[Row], swept: Values) -> list[SweepPoint]:
    """Write sweep.csv and heatmap.png of all runs that are complete; the same whoever writes them."""
    points = []
    for values in product(*swept.values()):
        own = [row for row in rows if tuple(row.options[name] for name in swept) == values]
        told = [numbers for row in own if (numbers := _numbers(metrics_of(root, row))) is not None]
        means = {key: math.fsum(each[key] for each in told) / len(told) if told else math.nan for key in SWEEP_NUMBERS}
        points.append(SweepPoint(tuple(map(written, values)), len(told), means))
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow((*swept, "runs", *SWEEP_NUMBERS))
    for point in points:
        cells = ("" if math.isnan(value) else f"{value:.6g}" for value in point.means.values())
        writer.writerow((*point.values, point.n, *cells))
    with media.replacing(root / SWEEP_TABLE) as part:
        part.write_text(out.getvalue(), "utf-8")
    _draw(root / HEAT_MAP, points, swept)
    return points


def _numbers(metrics: dict[str, Any] | None) -> dict[str, float] | None:
    if metrics is None:
        return None
    path = metrics["paths"][metrics["method"]]
    numbers = (path["mean_excess"], path["min_excess"], path["relative_residual"], sum(metrics["evaluations"].values()))
    return {key: math.nan if value is None else float(value) for key, value in zip(SWEEP_NUMBERS, numbers, strict=True)}


def _draw(path: Path, points: Sequence[SweepPoint], swept: Values) -> None:
    """The heat maps: the last option goes to the right, combinations of the others go down."""
    *down, right = swept
    columns = [written(value) for value in swept[right]]
    combinations = list(dict.fromkeys(point.values[:-1] for point in points))
    found = {point.values: point.means for point in points}
    maps = {
        title: [[found[*above, column][key] for column in columns] for above in combinations]
        for key, title in SWEEP_NUMBERS.items()
    }
    axes = HeatAxes(
        right.replace("_", "-"),
        ", ".join(name.replace("_", "-") for name in down),
        columns,
        [", ".join(values) for values in combinations],
    )
    plots.heat_maps(maps, axes, path)
