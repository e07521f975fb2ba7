"""report.html: what a run holds, filled into the template."""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from geodesic_cli.report.album import as_it_is, as_uris
from geodesic_cli.report.drawn import drawn_plot
from geodesic_cli.report.evaluated import evaluate_story
from geodesic_cli.report.noises_told import combine_story, line_story
from geodesic_cli.report.others import (
    all_numbers,
    direction_story,
    finetune_story,
    invert_story,
    other_story,
    toy_story,
)
from geodesic_cli.report.paths import interpolate_story, slerp_story
from geodesic_cli.report.repeat import command_again, differing, verb_of
from geodesic_cli.report.run_files import RunFiles
from geodesic_cli.report.sequences_told import extrapolate_story, thinned, video_analyze_story
from geodesic_cli.report.sets_told import distance_story, mean_story
from geodesic_cli.report.story import DOUBTFUL, GIVEN, Film, Story

REPORT = "report.html"
"""The name of the page in the folder of a run."""
HERE = Path(__file__).parent / "template"
STORIES = {
    "interpolate": interpolate_story,
    "latent/slerp": slerp_story,
    "extrapolate": extrapolate_story,
    "video-analyze": video_analyze_story,
    "invert": invert_story,
    "finetune": finetune_story,
    "latent/direction": direction_story,
    "latent/line": line_story,
    "latent/combine": combine_story,
    "toy": toy_story,
    "distance": distance_story,
    "mean": mean_story,
    "evaluate": evaluate_story,
}
"""Verbs that have more to show than their pictures, their table and their numbers."""
FILM_BYTES, PICTURE_BYTES = 11_000_000, 2_500_000
"""Of all frames, and of all other pictures, before base64 adds a third: a page stays below 19 MB."""
MOST_FRAMES = 600
"""Frames of a reel; of a longer film every n-th is shown."""
GIF_BYTES = 1_500_000
ALTERNATIVES = {"sheet": "The sheet", "convergence": "How the solver came there", "graph": "The search over samples",
                "analysis": "The analysis", "toy": "The paths in the plane", "spectrum": "The spectrum",
                "density": "Density, speed and residual", "evolution": "How the path was found",
                "loss": "The losses", "distances": "The distances as colours", "mean": "The mean",
                "plane": "The images in the plane, by their distances"}  # fmt: skip
"""What pictures of a run show, by their names."""


def page(folder: Path, manifest: Mapping[str, Any], metrics: Mapping[str, Any]) -> str:
    """The page of a run, as HTML that needs nothing but itself.

    Args:
        folder: of the run.
        manifest: what its manifest.json holds: files, settings, status, versions.
        metrics: what its metrics.json holds, in terms of JSON; empty where the run did not come to its end.
    """
    run = RunFiles(folder, manifest, metrics)
    verb = verb_of(run.settings)
    story = STORIES.get(verb or "", other_story)(run)
    film = _short(story.film)
    budget = FILM_BYTES // max(1, len(film.reels))
    frames = [as_uris(reel.shots, budget) for reel in film.reels]
    names = list(dict.fromkeys(trace.name for plot in story.plots for trace in plot.traces))
    plots = [drawn_plot(plot, film, names) for plot in story.plots]
    plots = [plot for plot in plots if plot.traces]
    doubtful = [mark.frame for mark in film.marks if mark.kind == DOUBTFUL]
    dots = [[trace.dots for trace in plot.traces] for plot in plots]
    script, style = (_part(name) for name in ("page.js", "page.css"))
    return str(
        _template().render(
            title=_title(verb, run),
            verb=_words(verb),
            status=str(manifest.get("status", "")),
            story=story,
            film=film,
            frames=frames,
            marks=_marks(film),
            plots=plots,
            data={"frames": frames, "dots": dots, "captions": _captions(story.film, film), "doubtful": doubtful},
            pictures=_pictures(run, story),
            numbers=all_numbers(run),
            settings=differing(verb, run.settings) if verb else (),
            command=command_again(verb, run.settings) if verb else str(manifest.get("command", "")),
            facts=_facts(run),
            script=script,
            style=style,
            script_hash=_digest(script),
            style_hash=_digest(style),
        )
    )


@cache
def _template() -> Any:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    where = FileSystemLoader(HERE)
    made = Environment(loader=where, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return made.get_template("page.html")


@cache
def _part(name: str) -> str:
    return (HERE / name).read_text("utf-8")


def _digest(text: str) -> str:
    """What the page's own policy calls the one script, or the one style, that it may run."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _short(film: Film) -> Film:
    """The film with every n-th frame, where it is too long for a page."""
    kept = thinned(film.length, MOST_FRAMES)
    if len(kept) == film.length:
        return film
    reels = [
        replace(
            reel,
            shots=[reel.shots[k] for k in kept if k < len(reel.shots)],
            places=[reel.places[k] for k in kept if k < len(reel.places)],
        )
        for reel in film.reels
    ]
    where = {frame: k for k, frame in enumerate(kept)}
    marks = [replace(mark, frame=where[mark.frame]) for mark in film.marks if mark.frame in where]
    return replace(film, reels=reels, marks=marks, captions=[film.captions[k] for k in kept] if film.captions else ())


def _captions(whole: Film, film: Film) -> list[str]:
    """A line for each frame: its number, where it is, and what it is marked as."""
    numbers, lines = thinned(whole.length, MOST_FRAMES), []
    for k, number in enumerate(numbers):
        words = [film.captions[k]] if k < len(film.captions) else []
        if not words:
            words = [f"{film.unit} {number} (0 to {whole.length - 1})" if whole.length > 1 else film.unit]
        words += [mark.words for mark in film.marks if mark.frame == k]
        lines.append(" · ".join(words))
    return lines


def _marks(film: Film) -> list[tuple[int, str, str]]:
    """Place on the slider in thousandths, kind and words of each mark; the important ones last, on top."""
    last = max(1, film.length - 1)
    order = sorted(film.marks, key=lambda mark: mark.kind != GIVEN)
    return [(round(1000 * mark.frame / last), mark.kind, mark.words) for mark in order if mark.frame < film.length]


def _pictures(run: RunFiles, story: Story) -> list[tuple[str, str, bool]]:
    """The other pictures of the run, sheet first: what they are, their data, and whether they are wide."""
    names = [name for name in run.named("*.png") if not (story.plots and name in story.instead)]
    names.sort(key=lambda name: (name != "sheet.png", name))
    found = []
    for name in names:
        shots = run.pictures(name)
        wide = any(shot.open().width > 2 * shot.open().height for shot in shots)
        found += [(_what(name), uri, wide) for uri in as_uris(shots, PICTURE_BYTES // len(names))]
    for name in run.named("*.gif"):
        if not story.film.reels and (run.folder / name).stat().st_size <= GIF_BYTES:
            found.append((_what(name), as_it_is((run.folder / name).read_bytes(), "gif"), False))
    return found


def _what(name: str) -> str:
    stem, _, kind = name.rpartition(".")
    return ALTERNATIVES.get(stem, stem) + (", moving" if kind == "gif" else "")


def _title(verb: str | None, run: RunFiles) -> str:
    names = next((run.texts(key) for key in ("images", "source", "clip") if run.settings.get(key)), [])
    stems = [Path(name).resolve().stem for name in names]
    if verb == "latent/direction":
        stems = [*run.texts("source"), *run.texts("target")]
    ends = " to ".join(stems[:1] + stems[-1:] if len(stems) > 1 else stems)
    about = ends or next((text for key in ("density", "model") for text in run.texts(key)), "")
    return f"{_words(verb).capitalize()}: {about}" if about else _words(verb).capitalize()


def _words(verb: str | None) -> str:
    return (verb or "run").replace("/", " ")


def _facts(run: RunFiles) -> Sequence[tuple[str, str]]:
    """What made it: the model, the seed, the versions, the machine."""
    versions = run.manifest.get("versions")
    versions = versions if isinstance(versions, Mapping) else {}
    rows = [("model", run.settings.get("model")), ("device", run.settings.get("device"))]
    rows += [("numbers", run.settings.get("dtype")), ("seed", run.manifest.get("seed"))]
    names = sorted((str(name) for name in versions), key=lambda name: (name != "geodesic-cli", name))
    rows += [(name, versions.get(name)) for name in names if name != "platform"]
    rows += [
        ("machine", versions.get("platform")),
        ("hash of the settings", str(run.manifest.get("settings_hash", ""))[:16] or None),
    ]
    return [(name, str(value)) for name, value in rows if value is not None]
