"""How the page of a run is told that moves noises: latent line and latent combine."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from geodesic_cli.report.run_files import RunFiles, as_number, as_numbers, dig
from geodesic_cli.report.story import GIVEN, LOWER, Film, Grid, Line, Mark, Plot, Reel, Story, Trace, grid, shown

MOST_REELS = 6
"""Lines of each model side by side; all of them are on the sheet."""
SUM = "the sum"


def line_story(run: RunFiles) -> Story:
    """The pictures along the lines of the first noise, and how far each line changes the pictures."""
    reels: list[Reel] = []
    plots: list[Plot] = []
    grids: list[Grid] = []
    for begins, name, found in _models(run):
        lines, strengths = _words(found.get("lines")), as_numbers(found.get("strengths"))
        first = len(reels)
        for number, line in enumerate(lines[:MOST_REELS]):
            shots = run.pictures(f"{begins}frames/000/{number:03d}/*.png")
            if shots:
                reels.append(Reel(_of(name, line), shots, strengths if len(strengths) == len(shots) else (), not reels))
        changes = {line: as_numbers(dig(found, "change", line)) for line in lines}
        changes = {line: values for line, values in changes.items() if len(values) == len(strengths) > 1}
        traces = [
            Trace(_of(name, line), strengths, values, min(first + k, max(0, len(reels) - 1)))
            for k, (line, values) in enumerate(changes.items())
            if k < MOST_REELS
        ]
        if traces:
            unit = f"perceptual distance from the middle picture ({found.get('perceptual', 'pyramid')})"
            plots.append(Plot(_of(name, "Change"), unit, "0 is the same picture", "strength", traces))
        grids += _lines_grid(_of(name, "The lines"), changes, strengths, found)
    longest = next((reel.places for reel in reels if reel.places), ())
    captions = [f"strength {shown(strength)}" for strength in longest]
    middle = [k for k, strength in enumerate(longest) if strength == 0]
    marks = [Mark(k, GIVEN, "the noise itself") for k in middle]
    noises = run.number("noises") or 1
    if noises > 1 and captions:
        captions = [f"{caption}, the first of {shown(noises)} noises" for caption in captions]
    return Story(Film(reels, marks, captions, fps=4.0, unit="picture"), plots, grids)


def combine_story(run: RunFiles) -> Story:
    """What was added up and the sum, one after the other, and how alike each of them is to the sum."""
    reels: list[Reel] = []
    grids: list[Grid] = []
    captions: list[str] = []
    for begins, name, found in _models(run):
        weights, far = as_numbers(found.get("weights")), as_numbers(found.get("distances"))
        files = [Path(each).name for each in run.texts("images")]
        parts = [_part(k, files, len(weights)) for k in range(len(weights))]
        shots = [*run.pictures(f"{begins}parts/*.png"), *run.pictures(f"{begins}result.png")]
        if len(shots) == len(weights) + 1:
            reels.append(Reel(name or "what was added up, and the sum", shots, (), not reels))
            weighted = zip(parts, weights, strict=True)
            captions = captions or [*(f"{part}, weight {shown(weight)}" for part, weight in weighted), SUM]
        columns = {"weight": weights, "perceptual distance from the sum": far}
        columns = {head: values for head, values in columns.items() if len(values) == len(weights) > 0}
        lines = [Line(part, "", "", [shown(values[k]) for values in columns.values()]) for k, part in enumerate(parts)]
        grids += grid(_of(name, "What was added up"), list(columns), lines if columns else [])
        grids += grid(_of(name, "The sum"), ["found"], _of_the_sum(found))
    last = max((len(reel.shots) for reel in reels), default=1) - 1
    marks = [Mark(k, GIVEN, "added up") for k in range(last)]
    return Story(Film(reels, marks, captions, fps=2.0, unit="picture"), grids=grids)


def _models(run: RunFiles) -> list[tuple[str, str, Mapping[str, Any]]]:
    """How the files of each model begin, its name where there are two, and its numbers."""
    found = [("", str(run.metrics.get("name") or ""), run.metrics)]
    second = run.table("against")
    return [*found, ("against-", str(second.get("name") or "second model"), second)] if second else found


def _of(name: str, words: str) -> str:
    return f"{name}: {words}" if name else words


def _words(value: Any) -> list[str]:
    return [str(each) for each in value] if isinstance(value, list) else []


def _part(k: int, files: Sequence[str], count: int) -> str:
    letter = chr(65 + k) if k < 26 else str(k + 1)
    return f"{letter}: {files[k]}" if len(files) == count else f"{letter}: a random noise"


def _lines_grid(
    title: str, changes: Mapping[str, Sequence[float]], strengths: Sequence[float], found: Mapping[str, Any]
) -> list[Grid]:
    values = found.get("singular_values")
    spectrum = as_numbers(values[0]) if isinstance(values, list) and values else []
    heads = ["largest change", "at strength", "singular value"][: 3 if spectrum else 2]
    lines = []
    for k, (line, change) in enumerate(changes.items()):
        most = max(range(len(change)), key=lambda at: change[at])
        cells = [shown(change[most]), shown(strengths[most])]
        if spectrum:
            cells.append(shown(spectrum[k]) if k < len(spectrum) else "–")
        lines.append(Line(line, "", "", cells))
    return grid(title, heads, lines)


def _of_the_sum(found: Mapping[str, Any]) -> list[Line]:
    words = {
        "norm_of_the_sum": ("norm before it is brought back", "norms of noise", ""),
        "fit_error": ("fit error of the scene that explains it best", "0 is a scene", LOWER),
    }
    numbers = {key: as_number(found.get(key)) for key in words}
    return [Line(*words[key], [shown(value)]) for key, value in numbers.items() if value is not None]
