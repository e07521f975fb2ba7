"""How the page of a run that draws paths between images is told: interpolate and latent slerp."""

from collections.abc import Sequence
from pathlib import Path

from geodesic_cli import media
from geodesic_cli.errors import InputError
from geodesic_cli.report.run_files import RunFiles, as_number, as_numbers, dig
from geodesic_cli.report.story import (
    DOUBTFUL,
    GIVEN,
    HIGHER,
    LOWER,
    Film,
    Grid,
    Line,
    Mark,
    Plot,
    Reel,
    Story,
    Trace,
    grid,
    line,
)
from geodesic_cli.settings.vocabulary import FAILED, FLAT_METHODS, PATH_NAMES, path_name

NATS = "nats"
ALONG = "position along the path, 0 is the first image"
PAIRS_SHOWN = 6
"""Pairs of `latent slerp` side by side."""


def interpolate_story(run: RunFiles) -> Story:
    """The frames of every method, the three curves of each path, and what was measured of it."""
    main = str(run.metrics.get("method", run.settings.get("method", "")))
    kinds = sorted(run.table("paths"), key=_order) or [main]
    names = {kind: _called(run, kind) for kind in kinds}
    frames = run.pictures("frames/*.png")
    reels = {kind: run.pictures(f"compare/{kind}/*.png") for kind in kinds if kind != main} | {main: frames}
    drawn = [kind for kind in kinds if reels.get(kind)]
    places = {kind: _places(run, f"compare/{kind}/*.png") for kind in drawn if kind != main}
    places |= {main: run.numbers("positions") or _places(run, "frames/*.png")}
    film = Film(
        [Reel(names[kind], reels[kind], places[kind], kind == main) for kind in drawn],
        _marks(run, len(frames)),
        fps=as_number(run.settings.get("fps")) or 8.0,
    )
    number = {kind: k for k, kind in enumerate(drawn)}
    plots = [_plot_of(run, kinds, names, number, curve) for curve in CURVES]
    grids = [*_path_grids(run, kinds, names, main), *sources_grid(run)]
    return Story(film, [plot for plot in plots if plot.traces], grids, ["density.png"])


def sources_grid(run: RunFiles) -> list[Grid]:
    """Where each method is from, in words; nothing where the run does not say it."""
    told = sorted(run.table("sources").items(), key=lambda each: _order(each[0]))
    lines = [Line(f"{PATH_NAMES.get(method, method)} ({method})", "", "", [str(text)]) for method, text in told]
    return [Grid("Where each method is from", ["source"], lines)] if lines else []


CURVES = (
    ("Density", f"log p − log p at the first image, {NATS}", HIGHER, "u", "log_density"),
    ("Speed", "share of the mean speed", "even is 1", "u", "speed"),
    ("Residual", "of the geodesic equation, at each node", "0 is a geodesic", "node_u", "residual"),
)
"""Title, unit, which way is good, and the lists of a path's report."""


def _order(kind: str) -> int:
    return list(PATH_NAMES).index(kind) if kind in PATH_NAMES else len(PATH_NAMES)


def _called(run: RunFiles, kind: str) -> str:
    """What a path is called: as the run says, and for a run that does not say it by its residual."""
    told = dig(run.metrics, "names", kind)
    if isinstance(told, str):
        return told
    residual, limit = run.number("paths", kind, "relative_residual"), as_number(run.settings.get("tol"))
    if residual is None or limit is None:
        return PATH_NAMES.get(kind, kind)
    return path_name(kind, residual, limit)


def _brief(name: str) -> str:
    """The name without its number, for a legend beside numbers; that a solver did not end stays."""
    first, *rest = name.split(", ")
    return f"{first}, {FAILED}" if FAILED in rest else first


def _places(run: RunFiles, pattern: str) -> list[float]:
    """Where frames are along the path, as each of them says itself."""
    found: list[float | None] = []
    for name in run.named(pattern):
        try:
            found.append(as_number(media.read_metadata(run.folder / name).get("u")))
        except InputError:
            return []
    return as_numbers(found)


def _marks(run: RunFiles, count: int) -> list[Mark]:
    def whole(values: Sequence[float]) -> list[int]:
        return [int(value) for value in values if 0 <= value < count]

    marks = [Mark(k, GIVEN, "an image that was given") for k in whole(run.numbers("keyframes"))]
    doubtful = whole(run.numbers("global", "marked_frames"))
    return marks + [Mark(k, DOUBTFUL, "doubtful: the path leaves what the model finds plausible") for k in doubtful]


def _plot_of(
    run: RunFiles, kinds: Sequence[str], names: dict[str, str], number: dict[str, int], curve: tuple[str, ...]
) -> Plot:
    title, unit, good, x, y = curve
    traces = []
    for kind in kinds:
        at, values = run.numbers("paths", kind, x), run.numbers("paths", kind, y)
        if not at or len(at) != len(values):
            continue
        if y == "log_density":
            values = [value - values[0] for value in values]
        if y == "speed":
            mean = sum(values) / len(values)
            values = [value / mean for value in values] if mean else values
        traces.append(Trace(_brief(names[kind]), at, values, number.get(kind, -1)))
    return Plot(title, unit, good, ALONG, traces, y == "residual")


def _path_grids(run: RunFiles, kinds: Sequence[str], names: dict[str, str], main: str) -> list[Grid]:
    def row(name: str, unit: str, good: str, key: str, without: Sequence[str] = ()) -> Line | None:
        return line(name, unit, good, [None if kind in without else run.number("paths", kind, key) for kind in kinds])

    heads = [_brief(names[kind]) + (" (written)" if kind == main and len(kinds) > 1 else "") for kind in kinds]
    alone = FLAT_METHODS if len(kinds) > 1 else ()
    lines = [
        # The straight line leaves the sphere, and its weights belong to flat space: not to be compared.
        row("weighted length, ln", "", LOWER, "log_length", alone),
        row("length in the noisy latents", "latent distance", "", "euclidean_length"),
        row("mean log density", f"{NATS} above the first image", HIGHER, "mean_log_density"),
        row("least log density", f"{NATS} above the first image", HIGHER, "min_log_density"),
        row("mean log density above the line between its two ends", NATS, HIGHER, "mean_excess"),
        row("least log density above the line between its two ends", NATS, HIGHER, "min_excess"),
        row("residual of the geodesic equation", "0 is a geodesic", LOWER, "relative_residual", alone),
    ]
    decibels = run.numbers("reconstruction_psnr")
    images = [Path(name).name for name in run.texts("images")]
    if len(images) != len(decibels):
        images = [f"image {k + 1}" for k in range(len(decibels))]
    back = [line("the autoencoder brings it back at", "dB; 20 is a likeness", HIGHER, decibels)] if decibels else []
    return grid("The paths", heads, lines) + (grid("The images given", images, back) if len(images) <= 8 else [])


def slerp_story(run: RunFiles) -> Story:
    """The paths of the first pairs side by side, and the means of what was measured."""
    pairs = sorted({Path(name).parts[1] for name in run.named("frames/*/*.png")})[:PAIRS_SHOWN]
    alone = len(pairs) == 1
    words = {pair: f"pair {int(pair) + 1}" if pair.isdigit() else pair for pair in pairs}
    reels = [Reel(words[pair], run.pictures(f"frames/{pair}/*.png"), main=alone) for pair in pairs]
    reels = [reel for reel in reels if reel.shots]
    methods = sorted(run.table("paths"), key=_order)

    def row(name: str, good: str, key: str) -> Line | None:
        return line(name, "", good, [run.number("paths", method, "summary", key, "mean") for method in methods])

    lines = [
        row("sum of the distances of neighbouring frames", LOWER, "path_ppl"),
        row("deviation of these distances", LOWER, "std"),
        row("largest of them through the mean one", "1 is even", "largest_share"),
        row("length in clean latents, relative to the straight line", "1 is straight", "relative_length"),
        row("fit error of the scene that explains a frame best, mean", LOWER, "fit_error_mean"),
        row("the same, of the worst frame", LOWER, "fit_error_worst"),
    ]
    note = str(run.metrics.get("perceptual", ""))
    heads = [PATH_NAMES.get(method, method) for method in methods]
    film = Film(reels, fps=as_number(run.settings.get("fps")) or 8.0)
    return Story(film, grids=grid("Means over the paths", heads, lines, note and f"Distances: {note}."))
