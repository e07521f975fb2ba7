"""How the page of a run is told that draws no path: invert and finetune; and any other run, by its numbers alone."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from geodesic_cli.report.run_files import RunFiles, as_number, dig, readable
from geodesic_cli.report.story import HIGHER, LOWER, Film, Grid, Line, Plot, Reel, Story, Trace, grid, line, shown

MOST_NUMBERS = 200
"""Lines of the table of all numbers."""
TIMES = {"seconds", "peak_gb", "wall_seconds", "model_folder", "evaluations", "score_evaluations"}
"""What differs from machine to machine, or from one session of a run to another."""
ELSEWHERE = {"sources", "strips", "costs"}
"""What the page shows in another place."""
SAME_PICTURES = 1e-10
"""Mean squared error of pictures that differ by rounding alone."""
LIKENESS = {
    "mse": ("mean squared error", "of values in 0 to 1", LOWER),
    "psnr": ("likeness", "dB", HIGHER),
    "ssim": ("structural similarity", "1 is the same", HIGHER),
    "pyramid": ("perceptual distance (pyramid)", "0 is the same", LOWER),
    "lpips": ("perceptual distance (LPIPS)", "0 is the same", LOWER),
}


def invert_story(run: RunFiles) -> Story:
    """Each image beside what came back, the likenesses, and the noise beside what noise should be."""
    back = run.pictures("reconstructions/*.png")
    names = run.texts("images")
    given = readable([Path(name) for name in names]) if len(names) == len(back) else []
    reels = [Reel("image", given), Reel("inverted and back", back)]
    film = Film([reel for reel in reels if reel.shots], captions=[Path(name).name for name in names], unit="image")
    pairs = {"autoencoder": "image – autoencoder", "transport": "autoencoder – inverted and back"}
    pairs |= {"reconstruction": "image – inverted and back"}
    # A model of pixels has no autoencoder: what differs by rounding alone is no comparison.
    kinds = [key for key in pairs if run.table(key) and (run.number(key, "mse", "mean") or 1.0) > SAME_PICTURES]
    lines = [
        line(name, unit, good, [run.number(kind, key, "mean") for kind in kinds])
        for key, (name, unit, good) in LIKENESS.items()
    ]
    return Story(film, grids=grid("How alike", [pairs[kind] for kind in kinds], lines) + _noise(run))


def _noise(run: RunFiles) -> list[Grid]:
    words = {"norm": ("norm", "1"), "mean": ("mean", "0"), "kurtosis": ("kurtosis", "0")}
    words |= {"neighbours": ("correlation of neighbours", "0")}
    lines: list[Line | None] = []
    for key, (name, ideal) in words.items():
        value, chance = run.number("noise", key, "mean"), run.number("noise", "chance", key)
        if value is not None and chance is not None:
            lines.append(Line(name, "", f"{ideal} is noise", [shown(value), f"{ideal} ± {shown(chance)}"]))
    return grid("The noise", ["found", "what chance would make"], lines)


def finetune_story(run: RunFiles) -> Story:
    """Previews drawn in the course of the training, its losses, and the numbers before and after."""
    previews = run.named("previews/*.png")
    steps = [float(Path(name).stem) for name in previews if Path(name).stem.isdigit()]
    captions = [f"step {step:.0f}" if step else "before the training" for step in steps]
    film = Film(unit="preview")
    if len(steps) == len(previews):
        reel = Reel("drawn from the same noise", run.pictures("previews/*.png"), steps, True)
        film = Film([reel] if reel.shots else [], captions=captions, fps=2.0, unit="preview")
    words = {"denoising": ("Denoising loss", LOWER), "regulariser": ("Regulariser", LOWER)}
    words |= {"gradient_norm": ("Gradient", "even is good")}
    plots = []
    for key, (title, good) in words.items():
        columns = run.column("loss.csv", "step", key)
        steps_of = [value for value in columns[0] if value is not None] if columns else []
        if len(steps_of) > 1 and len(steps_of) == len(columns[1]) and any(columns[1]):
            plots.append(Plot(title, "of one step", good, "step", [Trace("training", steps_of, columns[1])], True))
    when = [key for key in ("before", "after") if run.table(key)]
    lines = [
        line("denoising loss", "", LOWER, [run.number(key, "denoising") for key in when]),
        line("isometry loss L", "", LOWER, [run.number(key, "isometry") for key in when]),
        line("directions used, 1 / L", "directions", HIGHER, [_inverse(run.number(key, "isometry")) for key in when]),
    ]
    return Story(film, plots, grid("Before and after", when, lines), ["loss.png"])


def _inverse(value: float | None) -> float | None:
    return 1 / value if value and value <= 1 else None  # above 1 points differ more than directions do


def toy_story(run: RunFiles) -> Story:
    """The two paths in the plane by their numbers; the pictures say the rest."""
    paths = [name for name in ("straight", "geodesic") if run.table("paths", name)]

    def row(name: str, unit: str, good: str, key: str) -> Line | None:
        return line(name, unit, good, [run.number("paths", path, key) for path in paths])

    lines = [
        row("weighted length", "units of the weight at A", LOWER, "length"),
        row("mean log density", "nats above A", HIGHER, "mean_log_density"),
        row("least log density", "nats above A", HIGHER, "min_log_density"),
        row("residual of the geodesic equation", "0 to 1", LOWER, "residual"),
    ]
    words = {"straight": "straight line"}
    return Story(grids=grid("The paths", [words.get(path, path) for path in paths], lines))


def direction_story(run: RunFiles) -> Story:
    """What became of the held-out images at each strength, beside what random directions make of them."""
    words = {
        "flipped": ("turned into the target", "share of the images", HIGHER),
        "kept": ("all else kept", "share of the images", HIGHER),
        "both": ("both", "share of the images", HIGHER),
        "distance": ("how far they look from before", "perceptual distance", ""),
        "fit_error": ("fit error of the scene that explains them best", "median", LOWER),
    }
    grids: list[Grid] = []
    for table, title in (("direction", "Along the direction"), ("random", "Along random directions")):
        found = dig(run.metrics, "strengths", table)
        rows = [each for each in found if isinstance(each, Mapping)] if isinstance(found, list) else []
        heads = [f"strength {shown(as_number(row.get('strength')))}" for row in rows]
        lines = [_with_intervals(rows, key, *told) for key, told in words.items()]
        grids += grid(title, heads, lines)
    return Story(grids=grids)


def _with_intervals(rows: Sequence[Mapping[str, Any]], key: str, name: str, unit: str, good: str) -> Line | None:
    """A line of a table, with the interval of 95% behind each share that has one."""
    found = line(name, unit, good, [as_number(row.get(key)) for row in rows])
    if found is None:
        return None
    cells = []
    for row, cell in zip(rows, found.cells, strict=True):
        ends = [as_number(row.get(f"{key}_{end}")) for end in ("low", "high")]
        cells.append(cell if None in ends else f"{cell} ({shown(ends[0])} to {shown(ends[1])})")
    return replace(found, cells=cells)


def other_story(run: RunFiles) -> Story:
    """The table that the run wrote, if it wrote one."""
    table = [run.folder / name for name in run.named("table.md")]
    return Story(grids=_of_markdown(table[0].read_text("utf-8", "replace")) if table else [])


def _of_markdown(text: str) -> list[Grid]:
    """The table of Markdown in a text, and what stands below it."""
    rows = [[cell.strip() for cell in each.strip().strip("|").split("|")] for each in text.splitlines() if "|" in each]
    if len(rows) < 3 or len({len(row) for row in rows}) > 1:
        return []
    note = " ".join(each.strip() for each in text.splitlines() if each.strip() and "|" not in each)
    lines = [Line(name or "〃", "", "", cells) for name, *cells in rows[2:]]
    return [Grid("The table", rows[0][1:], lines, note)]


def all_numbers(run: RunFiles) -> list[tuple[str, str]]:
    """Every single number, text and truth value of the metrics, by the keys that lead to it."""
    found: list[tuple[str, str]] = []

    def walk(value: Any, keys: tuple[str, ...]) -> None:
        if isinstance(value, Mapping):
            for key in sorted(value, key=str):
                if key not in TIMES | ELSEWHERE:
                    walk(value[key], (*keys, str(key).replace("_", " ")))
        elif isinstance(value, list):
            if len(value) <= 4:
                for k, each in enumerate(value):
                    walk(each, (*keys, str(k + 1)))
        elif value is not None:
            number = as_number(value)
            text = shown(number) if number is not None else {True: "yes", False: "no"}.get(value, str(value))
            found.append((" · ".join(keys), text))

    walk(run.metrics, ())
    return found[:MOST_NUMBERS]
