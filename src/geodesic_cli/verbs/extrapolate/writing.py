"""One direction of an extrapolation, what is told of it, and what is written of a whole sequence."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from geodesic_cli import media, plots
from geodesic_cli.diffusion import LatentDiffusion
from geodesic_cli.frames.clip import Known
from geodesic_cli.frames.journey import Journey
from geodesic_cli.frames.keyframes import Encoded
from geodesic_cli.geometry import Curve, DensityMetric, Euclidean
from geodesic_cli.geometry.clips.departure import Arrival, Departure, depart
from geodesic_cli.runs.job import Job
from geodesic_cli.settings import DRIFT, ExtrapolateSettings
from geodesic_cli.settings.vocabulary import listed

KNOWN_SHOWN = 8
"""Known frames on the sheet, at most."""
DENSITY_LOOKS = 8
"""Places a frame at which the density along the known frames is looked at for the plot."""
SHEET_ROWS = {"ray": "the ray", "straight": "straight line:\nthe last step\nagain", "repeat": "the last frame\nagain"}
"""Rows of the sheet, as they are kept, and what is written beside them."""


class RayEnding(Enum):
    """Why a ray ended; the value goes on a sentence that says how many frames were made."""

    CONVERGED = "all of it"
    LEFT_SUPPORT = "the next one would be less likely than --max-drop allows"
    DRIFTED = "the colours or shapes of the next one would drift farther than --max-drift allows"
    MAX_STEPS = "the ray bends too sharply for its steps: lower --guide, or pass --substeps 0"
    NON_FINITE = "the score is not finite there: pass --dtype fp32"


@dataclass(frozen=True, eq=False)
class Continuation:
    """One direction of an extrapolation.

    Args:
        name: `after` or `before`.
        points: the known frames whose path gave the velocity, the one that the ray starts from last.
        departure: their velocity.
        alpha: the density exponent.
        max_drop: nats by which log p may fall.
        arrivals: one for each new frame, in the ray's order.
        ending: why the ray ended.
        frames: the new frames in the ray's order, (m, 3, h, w) in [0, 1].
        z: their encodings, (m, d).
        colours: how far those of each frame have drifted from the known one that it starts from.
        shapes: the same of what it shows.
    """

    name: str
    points: Encoded
    departure: Departure
    alpha: float
    max_drop: float
    arrivals: tuple[Arrival, ...]
    ending: RayEnding
    frames: Tensor
    z: Tensor
    colours: tuple[float, ...]
    shapes: tuple[float, ...]

    @property
    def drift(self) -> tuple[float, ...]:
        """How far each frame has drifted, in its colours or its shapes, whichever is more."""
        return tuple(map(max, self.colours, self.shapes))

    @property
    def drifted(self) -> tuple[int, ...]:
        """The numbers of the new frames that are marked, in the ray's order; 1 is the first of them."""
        return tuple(k for k, drift in enumerate(self.drift, 1) if drift > DRIFT)


@dataclass(frozen=True, eq=False, kw_only=True)
class Extending(Job[ExtrapolateSettings]):
    """An extrapolation at work: its model, and how frames are carried to points."""

    model: LatentDiffusion
    journey: Journey


def advice(rays: Sequence[Continuation], settings: ExtrapolateSettings) -> str:
    """What to do about frames that have drifted or were not made; nothing where all is well."""
    if not any(one.drifted or one.ending is RayEnding.DRIFTED for one in rays):
        return ""
    if settings.prompt is None:
        return "Pass --prompt to say what the frames show, or fewer --frames."
    return "Pass fewer --frames, a --prompt that names colours and shapes, or a larger --guide."


def told(one: Continuation, asked: int) -> str:
    """A sentence on how far the ray came, and another one if frames have drifted."""
    where = "after the last" if one.name == "after" else "before the first"
    if one.ending is RayEnding.CONVERGED:
        made = f"All {asked} frames {where} one were made."
    else:
        made = f"{len(one.arrivals)} of {asked} frames {where} one were made: {one.ending.value}."
    if not one.drifted:
        return made
    which = listed([f"{'+' if one.name == 'after' else '-'}{k}" for k in one.drifted])
    have = "Frame {} has" if len(one.drifted) == 1 else "Frames {} have"
    lost = [
        words
        for words, drifts in (("the colours", one.colours), ("the shapes", one.shapes))
        if any(drift > DRIFT for drift in drifts)
    ]
    return f"{made} {have.format(which)} drifted: {' and '.join(lost)} are no longer those of the known frames."


def numbers(one: Continuation, settings: ExtrapolateSettings) -> dict[str, Any]:
    """The numbers of one direction for metrics.json; steps are distances of the frames' clean encodings."""
    z = torch.cat([one.points.z, one.z.to(one.points.z)]).cpu()
    steps = (z[1:] - z[:-1]).norm(dim=-1)
    known = len(one.points.z) - 1
    return {
        "asked": settings.frames,
        "made": len(one.arrivals),
        "status": one.ending.name,
        "drift": list(one.drift),
        "drift_of_colours": list(one.colours),
        "drift_of_shapes": list(one.shapes),
        "drifted": list(one.drifted),
        "drift_marked_above": DRIFT,
        "alpha": one.alpha,
        "max_drop": one.max_drop,
        "speed": float(one.departure.v.norm()),
        "context": len(one.points.x),
        "order": min(settings.order, len(one.points.x) - 1),
        "misfit": one.departure.misfit,
        "log_density": [arrival.log_density for arrival in one.arrivals],
        "residual": one.arrivals[-1].residual if one.arrivals else None,
        "known_steps": steps[:known].tolist(),
        "steps": steps[known:].tolist(),
    }


def walked(departure: Departure, arrivals: Sequence[Arrival]) -> dict[str, Tensor]:
    """Points x and velocities v of a ray, its start included, (m + 1, d) each."""
    x = torch.stack([departure.x, *(arrival.x for arrival in arrivals)])
    return {"x": x, "v": torch.stack([departure.v, *(arrival.v for arrival in arrivals)])}


def looks(one: Continuation) -> int:
    """Score evaluations that the density along the known frames takes, for the plot."""
    return DENSITY_LOOKS * (len(one.points.x) - 1) + 1


def write(work: Extending, known: Known, frames: Tensor, begin: int, rays: Sequence[Continuation]) -> None:
    """The frames of the whole sequence, the sheet, the films, the plot and the path."""
    s, directory, observer = work.settings, work.directory, work.observer
    assert directory is not None
    end = begin + len(known.frames)
    observer.stage("Writing", len(frames) + 5, "files")
    for k, frame in enumerate(frames):
        if not directory.has(f"frames/{k:05d}.png"):
            directory.write_png(f"frames/{k:05d}.png", frame, {"frame": k - begin, "known": begin <= k < end})
        observer.advance(1)
    directory.write_png("sheet.png", _sheet(work, known, rays))
    fps = s.fps or known.fps
    media.write_gif(frames, directory.path("video.gif"), fps)
    media.write_mp4(frames, directory.path("video.mp4"), fps)
    _plot(work, known, rays, directory.path("density.png"))
    tensors: dict[str, Tensor] = {}
    for one in rays:
        tensors[f"{one.name}_known"] = one.points.x
        tensors |= {f"{one.name}_{key}": value for key, value in walked(one.departure, one.arrivals).items()}
    shape = rays[0].points.shape
    words = {"tau": str(s.tau), "embedding": s.embedding, "shape": json.dumps(list(shape)), "model": s.model}
    directory.write_tensors("path.safetensors", tensors, words)
    observer.advance(5)


def _sheet(work: Extending, known: Known, rays: Sequence[Continuation]) -> Tensor:
    """The rays' row and, with --compare, those of the last step repeated in clean encodings and of the last frame."""
    made = {"ray": {one.name: one.frames for one in rays}}
    none = known.frames[:0]
    if work.settings.compare:
        made |= {"straight": {}, "repeat": {}}
        for one in rays:
            start = depart(one.points.z[-2:], 1)
            ahead = torch.arange(1, work.settings.frames + 1, device=start.x.device, dtype=start.x.dtype)[:, None]
            line = work.model.decode(start.x + ahead * start.v, one.points.shape)
            made["straight"][one.name] = known.canvas.crop(line).cpu()
            last = known.frames[-1] if one.name == "after" else known.frames[0]
            made["repeat"][one.name] = last.expand(work.settings.frames, -1, -1, -1)
    shown = known_shown(known.frames, len(rays) > 1)
    asked = {one.name: work.settings.frames if work.settings.compare else len(one.frames) for one in rays}
    ahead_of, behind = asked.get("before", 0), asked["after"]

    def filled(frames: Tensor, length: int) -> Tensor:
        """Frames in the ray's order, with white ones in place of those that were not made: rows stand in columns."""
        return torch.cat([frames, torch.ones(length - len(frames), *none.shape[1:])])

    rows = [
        torch.cat([filled(both.get("before", none), ahead_of).flip(0), shown, filled(both["after"], behind)])
        for both in made.values()
    ]
    seam = ahead_of + len(shown) - 1
    marks = media.SheetMarks(
        written=(0,) if len(rows) > 1 else (),
        given=tuple(range(ahead_of, ahead_of + len(shown))),
        doubtful=tuple(seam + k if one.name == "after" else ahead_of - k for one in rays for k in one.drifted),
        given_words="a frame of the clip",
        doubtful_words="drifted: its colours or shapes are no longer those of the clip",
    )
    return media.sheet(rows, [SHEET_ROWS[name] for name in made] if len(rows) > 1 else None, marks)


def known_shown(known: Tensor, both: bool) -> Tensor:
    """Of the known frames those nearest to the new ones, which stand at one end of them or at both."""
    if len(known) <= KNOWN_SHOWN:
        return known
    near = KNOWN_SHOWN // 2 if both else 0
    return torch.cat([known[:near], known[-(KNOWN_SHOWN - near) :]])


def _plot(work: Extending, known: Known, rays: Sequence[Continuation], path: Path) -> None:
    s = work.settings
    last = len(known.frames) - 1
    lines: dict[str, tuple[list[float], list[float]]] = {}
    steps: tuple[list[float], list[float]] = ([], [])
    for one in rays:
        way = 1 if one.name == "after" else -1
        seam = last if one.name == "after" else 0
        densities = [0.0, *(arrival.log_density for arrival in one.arrivals)]
        lines[one.name] = ([float(seam + way * k) for k in range(len(densities))], densities)
        found = numbers(one, s)
        both = found["known_steps"] + found["steps"]
        first = 1 - len(found["known_steps"])
        steps[0].extend(float(seam + way * (first + k) + (way < 0)) for k in range(len(both)))
        steps[1].extend(both)
    after = rays[0]
    look = Curve(after.points.x, Euclidean())
    u = torch.linspace(0, 1, looks(after), dtype=look.x.dtype, device=look.x.device)
    conditioning = work.model.prompts.along(() if s.prompt is None else (s.prompt,))
    score = work.model.score(after.points.shape, s.tau, conditioning, s.guidance)
    density = DensityMetric(score, 0.0).log_density(Curve(look(u), Euclidean()))
    where = (last + (u - 1) * (len(look.x) - 1)).tolist()
    limit = DRIFT if s.max_drift is None else s.max_drift
    known_density = where, (density - density[-1]).tolist()
    drifts = {one.name: (lines[one.name][0][1:], list(one.drift)) for one in rays}
    plots.continuation(known_density, lines, steps, drifts, (last, -after.max_drop, limit), path)
