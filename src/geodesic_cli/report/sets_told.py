"""How the page of a run is told that looks at several images at once: distance and mean."""

from pathlib import Path
from typing import Any

from geodesic_cli.report.run_files import RunFiles, as_number, as_numbers
from geodesic_cli.report.story import Film, Grid, Line, Reel, Story, grid, shown

MOST_SIDE = 16
"""Images of a matrix that is shown as a table."""
SPOKES_SHOWN = 6
"""Geodesics side by side."""


def distance_story(run: RunFiles) -> Story:
    """The images, what is near to each of them, and the matrix."""
    names, numbers = _names(run), _matrix(run, "distances")
    nearest = [[int(k) for k in as_numbers(row) if 0 < k <= len(names)] for row in _listed(run, "nearest")]
    captions, lines = [], []
    for k, name in enumerate(names):
        beside = nearest[k] if k < len(nearest) else []
        captions.append(f"image {k + 1}: {name}" + (f" · nearest: {', '.join(map(str, beside))}" if beside else ""))
        if beside and len(numbers) == len(names):
            far = [f"image {other} at {shown(numbers[k][other - 1])}" for other in beside]
            lines.append(Line(f"{k + 1} {name}", "", "", far))
    count = max((len(line.cells) for line in lines), default=0)
    heads = ["nearest", "second", "third", *(f"{k + 1}th" for k in range(3, count))][:count]
    full = [line for line in lines if len(line.cells) == count]
    return Story(_film(run, captions), grids=grid("What is near what", heads, full) + _table(run, names, numbers))


def mean_story(run: RunFiles) -> Story:
    """The geodesics from the mean to the first images, and how far each image is."""
    names = _names(run)
    folders = sorted({Path(name).parts[1] for name in run.named("frames/*/*.png")})[:SPOKES_SHOWN]
    missed = run.numbers("not_converged")
    marks = [", not converged" if k + 1 in missed else "" for k in range(len(folders))]
    reels = [
        Reel(f"to image {k + 1}{marks[k]}", run.pictures(f"frames/{name}/*.png")) for k, name in enumerate(folders)
    ]
    reels = [reel for reel in reels if reel.shots]
    last = max((len(reel.shots) for reel in reels), default=1) - 1
    left, enough = run.number("residual"), as_number(run.settings.get("mean_tol"))
    reached = left is None or enough is None or left <= enough
    captions = [
        "the mean" if reached else "the mean, not converged",
        *(f"{100 * k / last:.0f}% of the way" for k in range(1, last)),
        "at each image",
    ]
    film = Film(reels, captions=captions if last else captions[:1], fps=4.0)
    columns = {"distance": "distances", "±": "plus_minus", "in latents": "euclidean", "weight": "weights"}
    found = {head: _listed(run, key) for head, key in columns.items()}
    heads = [head for head, column in found.items() if len(column) == len(names)]

    def cell(k: int, head: str) -> str:
        return "unknown" if head == "±" and k + 1 in missed else shown(_number(found[head][k]))

    lines = [
        Line(
            f"{k + 1} {name}",
            "",
            "not converged" if k + 1 in missed else "",
            [cell(k, head) for head in heads],
        )
        for k, name in enumerate(names)
    ]
    note = "Distances are in units of the latents where the density is that of the mean."
    return Story(film, grids=grid("From the mean to each image", heads, lines if heads else [], note))


def _names(run: RunFiles) -> list[str]:
    return [Path(str(name)).name for name in _listed(run, "images")]


def _matrix(run: RunFiles, key: str) -> list[list[float | None]]:
    """Rows of numbers, None where there is no number; empty unless it is square."""
    rows = [row if isinstance(row, list) else [] for row in _listed(run, key)]
    if any(len(row) != len(rows) for row in rows):
        return []
    return [[_number(cell) for cell in row] for row in rows]


def _number(cell: Any) -> float | None:
    return next(iter(as_numbers([cell])), None)


def _listed(run: RunFiles, key: str) -> list[Any]:
    found = run.metrics.get(key)
    return found if isinstance(found, list) else []


def _film(run: RunFiles, captions: list[str]) -> Film:
    shots = run.pictures("images/*.png")
    if not shots or len(shots) != len(captions):
        return Film()
    return Film([Reel("image", shots)], captions=captions, fps=2.0, unit="image")


def _table(run: RunFiles, names: list[str], numbers: list[list[float | None]]) -> list[Grid]:
    """The matrix, with what each number may be off; a far larger one is in distances.csv and in the picture alone."""
    off, n = _matrix(run, "plus_minus"), len(names)
    if not 1 < n <= MOST_SIDE or len(numbers) != n:
        return []
    missed = {tuple(as_numbers(pair)) for pair in _listed(run, "not_converged")}

    def cell(i: int, j: int) -> str:
        if i == j:
            return ""
        mark = " *" if (min(i, j) + 1, max(i, j) + 1) in missed else ""
        return shown(numbers[i][j]) + (f" ± {off[i][j]:.2g}" if len(off) == n and off[i][j] is not None else "") + mark

    lines = [Line(f"{i + 1} {name}", "", "", [cell(i, j) for j in range(n)]) for i, name in enumerate(names)]
    note = "In units of the latents where the density is that of the images on average."
    star = " * No geodesic to the tolerance: the distance is at most this." if missed else ""
    return grid("The distances", [str(k + 1) for k in range(n)], lines, note + star)
