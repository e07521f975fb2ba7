"""How the page of a run on a clip is told: extrapolate and video-analyze."""

from itertools import islice
from typing import Any

from PIL import Image

from geodesic_cli import media
from geodesic_cli.errors import GeodesicError
from geodesic_cli.report.album import Shot
from geodesic_cli.report.run_files import RunFiles, as_number
from geodesic_cli.report.story import (
    DOUBTFUL,
    EVENT,
    GIVEN,
    HIGHER,
    LOWER,
    NEW,
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

FRAME_AXIS = "number of the frame"
CLIP_SIDE = 384
"""Longest side, in pixels, at which the frames of a clip are held."""
MOST_CLIP_FRAMES = 400
"""Frames of a clip that are shown, at even distances."""
RAY_NAMES = {"after": "after the last frame", "before": "before the first frame"}


def extrapolate_story(run: RunFiles) -> Story:
    """The whole sequence with its new frames marked, the density that the rays lose and the steps they take."""
    shots = run.pictures("frames/*.png")
    known = [int(value) for value in run.numbers("known")]
    first, last = known if len(known) == 2 else (0, len(shots))
    marks = [Mark(k, NEW, "a new frame") for k in range(len(shots)) if not first <= k < last]
    marks += [Mark(k, GIVEN, "the outermost frame that was given") for k in {first, last - 1} if known]
    marks += [Mark(k, DOUBTFUL, words) for k, words in _drifted(run, first, last, len(shots))]
    lost, drift = (_along(run, first, last, key) for key in ("log_density", "drift"))
    steps = _steps(run, first, last)
    plots = [
        Plot("Density", "log p − log p where the ray begins, nats", HIGHER, FRAME_AXIS, lost),
        Plot("Step", "distance from the frame before, in latents", "even is good", FRAME_AXIS, steps),
        Plot("Drift", "of colours or shapes, from the last frame known", "0 is good", FRAME_AXIS, drift),
    ]
    rays = list(run.table("rays"))

    def row(name: str, unit: str, good: str, key: str) -> Line | None:
        return line(name, unit, good, [run.number("rays", ray, key) for ray in rays])

    lines = [
        row("frames made", "", "", "made"),
        row("frames asked for", "", "", "asked"),
        row("speed at which the ray begins", "noisy latents a frame", "", "speed"),
        row("log density that it may lose", "nats", "", "max_drop"),
        row("residual of the geodesic equation at its end", "0 to 1", LOWER, "residual"),
        row("misfit of the velocity to the frames known", "share", LOWER, "misfit"),
    ]
    film = Film([Reel("the sequence", shots, range(len(shots)), True)], marks, fps=_fps(run))
    tables = grid("The rays", [RAY_NAMES.get(ray, ray) for ray in rays], lines)
    return Story(film, [plot for plot in plots if plot.traces], tables, ["density.png"])


def _fps(run: RunFiles) -> float:
    return as_number(run.settings.get("fps")) or 8.0


def _drifted(run: RunFiles, first: int, last: int, count: int) -> list[tuple[int, str]]:
    """The new frames of each ray that are said to show something else than the last one known."""
    found = []
    for ray in run.table("rays"):
        for k in run.numbers("rays", ray, "drifted"):
            frame = last - 1 + int(k) if ray == "after" else first - int(k)
            if 0 <= frame < count:
                found.append((frame, "doubtful: what it shows has drifted from the last frame that was given"))
    return found


def _along(run: RunFiles, first: int, last: int, key: str) -> list[Trace]:
    """What grows from 0 along each ray, over the numbers of the frames."""
    traces = []
    for ray in run.table("rays"):
        values = [0.0, *run.numbers("rays", ray, key)]
        seam, way = (last - 1, 1) if ray == "after" else (first, -1)
        if len(values) > 1:
            traces.append(Trace(RAY_NAMES.get(ray, ray), [seam + way * k for k in range(len(values))], values))
    return traces


def _steps(run: RunFiles, first: int, last: int) -> list[Trace]:
    traces = []
    for ray in run.table("rays"):
        known, new = run.numbers("rays", ray, "known_steps"), run.numbers("rays", ray, "steps")
        seam, way = (last - 1, 1) if ray == "after" else (first, -1)
        if new:
            at = [seam + way * k for k in range(1 - len(known), len(new) + 1)]
            traces.append(Trace(RAY_NAMES.get(ray, ray), at, known + new))
    return traces


# --- video-analyze


RIVAL_PATHS = {
    "clip": "the clip",
    "optimised": "geodesic through its ends",
    "perturbed": "perturbed clips",
    "smoothed": "smoothed clip",
    "straight": "straight line",
}


def video_analyze_story(run: RunFiles) -> Story:
    """The clip with its worst segment marked, what was measured at every frame, and its rivals."""
    (frames,) = run.column("clip.csv", "frame") or [[]]
    shots = _clip(run, len(frames))
    event = run.table("worst_segment")
    kind = str(event.get("kind", "departure"))
    ends = [as_number(event.get(key)) for key in ("first", "last")]
    if kind == "turn back" and as_number(event.get("frame")) is not None:
        ends = [as_number(event["frame"])] * 2
    marks = []
    if ends[0] is not None and ends[1] is not None:
        marks = [Mark(k, EVENT, kind) for k in range(int(ends[0]), int(ends[1]) + 1) if k < max(len(shots), 1)]
    film = Film([Reel("the clip", shots, range(len(shots)), True)] if shots else [], marks)
    density, speed = (_traces(run, {key: RIVAL_PATHS["clip"]}) for key in ("log_density", "segment_speed"))
    size = "norm, per unit of latent distance"
    plots = [
        Plot("Density", "log p − log p at the first frame, nats", HIGHER, FRAME_AXIS, density),
        Plot("Geodesic gradient", size, "0 is a geodesic", FRAME_AXIS, _gradients(run), True),
        Plot("Speed", "share of the median", "even is 1", FRAME_AXIS, speed),
    ]
    return Story(film, [plot for plot in plots if plot.traces], _clip_grids(run))


def _clip(run: RunFiles, count: int) -> list[Shot]:
    """The frames that were analysed, read again where they lie; none where they are gone or others."""
    s = run.settings
    names = run.texts("clip")
    choice: dict[str, Any] = {key: s.get(key) for key in ("start", "stop", "max_frames") if s.get(key) is not None}
    stride = s.get("stride")
    if not names or not 0 < count <= MOST_CLIP_FRAMES:
        return []
    try:
        source = names[0] if len(names) == 1 else names
        stream = media.stream_sequence(source, stride=stride if isinstance(stride, int) else 1, size=None, **choice)
        frames = [_small(frame.image) for frame in islice(stream, count + 1)]
    except (GeodesicError, OSError, TypeError):
        return []
    return [Shot(image=image) for image in frames] if len(frames) == count else []


def _small(frame: Any) -> Image.Image:
    image = Image.fromarray(frame.mul(255).round().clamp(0, 255).byte().movedim(0, -1).contiguous().numpy())
    image.thumbnail((CLIP_SIDE, CLIP_SIDE), Image.Resampling.LANCZOS)
    return image


def _traces(run: RunFiles, names: dict[str, str]) -> list[Trace]:
    traces = []
    for key, name in names.items():
        columns = run.column("clip.csv", "frame", key)
        if columns and sum(value is not None for value in columns[1]) > 1:
            at = [value for value in columns[0] if value is not None]
            if len(at) == len(columns[1]):
                traces.append(Trace(name, at, columns[1]))
    return traces


def _gradients(run: RunFiles) -> list[Trace]:
    return _traces(run, {"gradient" if key == "clip" else f"gradient_{key}": name for key, name in RIVAL_PATHS.items()})


def _clip_grids(run: RunFiles) -> list[Grid]:
    rivals = [key for key in RIVAL_PATHS if key in run.table("gradient_norm")]

    def row(name: str, unit: str, good: str, *keys: str) -> Line | None:
        return line(name, unit, good, [run.number(*[rival if key == "*" else key for key in keys]) for rival in rivals])

    lines = [
        row("geodesic gradient", "norm", LOWER, "gradient_norm", "*"),
        row("the same through the sum of its two terms", "0 to 1", LOWER, "terms", "*", "relative"),
        row("curvature", "norm", "", "terms", "*", "curvature_term"),
        row("density's pull, alpha times score", "norm", "", "terms", "*", "score_term"),
        row("cosine between curvature and pull", "1 on a geodesic", HIGHER, "terms", "*", "alignment"),
        row("weighted length, ln", "", LOWER, "terms", "*", "log_length"),
    ]
    one = [
        line("frames that move", "", "", [run.number("frames_that_move")]),
        line("roughness H", "0.5 is a random walk", "1 is smooth", [run.number("roughness")]),
        line("alpha", "", "", [run.number("alpha")]),
        line("largest departure of a frame", "steps of the clip", LOWER, [run.number("departure")]),
    ]
    return grid("The clip and its rivals", [RIVAL_PATHS[key] for key in rivals], lines) + grid(
        "The clip", ["the clip"], one
    )


def thinned(count: int, most: int) -> list[int]:
    """Numbers at even distances, the last one included, so many at most."""
    return list(range(count)) if count <= most else [k * (count - 1) // (most - 1) for k in range(most)]
