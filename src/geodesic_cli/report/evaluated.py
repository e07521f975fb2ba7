"""How the page of `geodesic evaluate` is told: the table, methods against each other, the worst, what others report."""

from collections.abc import Mapping
from typing import Any

from geodesic_cli.report.others import other_story
from geodesic_cli.report.paths import sources_grid
from geodesic_cli.report.run_files import RunFiles, as_number
from geodesic_cli.report.story import Film, Grid, Line, Reel, Story, grid, line, shown

MOST_PAIRS = 6
"""Pairs of methods that have columns of their own."""


def evaluate_story(run: RunFiles) -> Story:
    """The strips of each pair, the table, what it took, the paired differences, the worst, published numbers."""
    strips, names = run.pictures("strips/*.png"), [str(name) for name in run.metrics.get("strips") or []]
    film = Film([Reel("every method", strips)] if strips else [], captions=names, fps=1.0, unit="pair", wide=True)
    told = [*_costs(run), *_paired(run), *_worst(run), *_published(run), *sources_grid(run)]
    return Story(film, grids=[*other_story(run).grids, *told])


def _costs(run: RunFiles) -> list[Grid]:
    """What each method took to draw a sequence, where runs of ours say it."""
    methods = list(run.table("costs"))
    words = {"n": ("sequences", ""), "evaluations": ("network evaluations", "mean of a sequence")}
    words |= {"seconds": ("seconds", "mean of a sequence"), "peak_gb": ("memory", "10^9 bytes, the most")}
    lines = [
        line(name, unit, "", [run.number("costs", method, key) for method in methods])
        for key, (name, unit) in words.items()
    ]
    return grid("What drawing took", methods, lines, "It depends on the machine and on what else it did.")


def _rows(value: Any) -> list[Mapping[str, Any]]:
    return [each for each in value if isinstance(each, Mapping)] if isinstance(value, list) else []


def _paired(run: RunFiles) -> list[Grid]:
    paired = {key: _rows(rows) for key, rows in run.table("paired").items()}
    heads = list(
        dict.fromkeys(f"{row.get('first')} less {row.get('second')}" for rows in paired.values() for row in rows)
    )
    heads = heads[:MOST_PAIRS]
    lines = []
    for key, rows in paired.items():
        cells = {f"{row.get('first')} less {row.get('second')}": _difference(row) for row in rows}
        lines.append(Line(key, "", "", [cells.get(head, "–") for head in heads]))
    note = (
        "The mean difference with its 95% bootstrap interval, the p-value of Wilcoxon's signed-rank test, and the "
        "share of sequences on which the first is better."
    )
    return [Grid("Methods compared sequence by sequence", heads, lines, note)] if lines and heads else []


def _difference(row: Mapping[str, Any]) -> str:
    difference, low, high, p = (as_number(row.get(key)) for key in ("difference", "low", "high", "p"))
    won = as_number(row.get("won"))
    told = f"{shown(difference)} [{shown(low)}, {shown(high)}], p {shown(p)}"
    return told if won is None else f"{told}, {100 * won:.0f}%"


def _worst(run: RunFiles) -> list[Grid]:
    methods = [str(name) for name in run.metrics.get("methods") or []]
    lines = [
        Line(key, "", "", [", ".join(map(str, row.get(name, []))) or "–" for name in methods])
        for key, row in run.table("worst").items()
        if isinstance(row, Mapping) and any(row.values())
    ]
    return [Grid("The sequences that fare worst, the worst first", methods, lines)] if lines and methods else []


def _published(run: RunFiles) -> list[Grid]:
    rows = _rows(run.metrics.get("published"))
    names = list(dict.fromkeys(str(name) for row in rows for name in row.get("values", {})))
    lines = [
        Line(
            f"{row.get('method')}, {row.get('data')}",
            str(row.get("source", "")),
            "second-hand" if row.get("second_hand") else "",
            [shown(as_number(row["values"].get(name))) for name in names],
        )
        for row in rows
    ]
    note = "As the papers call them. They compare with the table above only as far as its protocol is theirs."
    return [Grid("What others report by this protocol", names, lines, note)] if lines else []
