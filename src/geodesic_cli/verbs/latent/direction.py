"""`geodesic latent direction`: a direction in noise that turns one label into another, and how well it does so.

    labelled images --up--> x at tau --> direction d --> x' = |x| (x + s d) / |x + s d| --down--> images

d is the difference of the two labels' means, or the normal of a support vector machine made as long as the means are
apart along it; so the strength s = 1 is the step from the one label's mean to the other's. The norm of x is kept, as
noise lives near a sphere.

The direction is tried on images it was not found with. For rendered scenes every result is judged by the scene that
explains it best: did the label flip, and is everything else as it was (`labels.Attribute.kept`)? The same steps along
random directions, one an image, tell what is due to the direction and what to the mere step. How well a hyperplane
tells the labels is linear separability, on folds that keep a pair together.
"""

import json
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from geodesic_cli import media
from geodesic_cli.diffusion import Embedding, LatentDiffusion
from geodesic_cli.errors import InputError
from geodesic_cli.evaluation import Pyramid, hyperplane, linear_separability
from geodesic_cli.frames.canvas import Canvas, fit, read_images
from geodesic_cli.frames.journey import Journey
from geodesic_cli.runs.calling import called_from_python
from geodesic_cli.runs.folder import RunDirectory
from geodesic_cli.runs.job import Job, in_memory, told_model
from geodesic_cli.runs.observer import Observer
from geodesic_cli.runs.opening import AnyModel
from geodesic_cli.runs.room import frame_bytes, require_room
from geodesic_cli.scenes import fit_all
from geodesic_cli.settings import DirectionSettings, parse_strengths
from geodesic_cli.settings.kinship import EMBEDDED, draws_scenes, kin_of
from geodesic_cli.verbs.latent.beside import SideBySide, opened, owned, sized_as
from geodesic_cli.verbs.latent.labels import Labelled, attribute, judged, median_error, of_files, of_scenes, turned
from geodesic_cli.verbs.latent.survival import warn_of_structure

HELD_OUT_SHOWN = 8
"""Held-out images on the sheet: the first ones."""
FOLDS = 5


@dataclass(frozen=True, eq=False, repr=False)
class LatentDirection(SideBySide):
    """A direction in noise and what it does.

    Args:
        direction: (d,), one unit of strength.
        held_out: (k, 3, h, w), the images it was tried on.
        before: (k, 3, h, w), what they are at strength 0, inverted and back.
        edited: (strengths, k, 3, h, w).
        strengths: how far each went.
    """

    direction: Tensor
    held_out: Tensor
    before: Tensor
    edited: Tensor
    strengths: tuple[float, ...]

    @property
    def pictures(self) -> Tensor:
        """The edited images, one strength after the other."""
        return self.edited.flatten(0, 1)

    def _page(self) -> Tensor:
        some = slice(HELD_OUT_SHOWN)
        rows, labels = [self.held_out[some]], ["image"]
        for one in self.both.values():
            rows += [sized_as(part, rows[0]) for part in (one.before[some], *one.edited[:, some])]
            words = ["inverted\nand back", *(f"{strength:+g}" for strength in one.strengths)]
            labels += [owned(one.name, word) for word in words]
        return media.sheet(rows, labels)


@called_from_python(DirectionSettings)
def latent_direction(
    source: str,
    target: str,
    *,
    model: AnyModel = "clevr-mini",
    against: AnyModel | None = None,
    observer: Observer | None = None,
    **options: Any,
) -> LatentDirection:
    """Find a direction from one label to another and try it, in memory; nothing is written.

    Args:
        source: the label to start from, such as `red`.
        target: the label to go to, such as `blue`.
        against: a second model.
        options: any setting of `settings.DirectionSettings` but source, target, against, out, resume and overwrite.
    """
    other, second = (None, None) if against is None else told_model(against, "latent_direction")
    fixed = {"source": source, "target": target, "against": other}
    return run(in_memory(DirectionSettings, "latent_direction", model, options, observer, **fixed), second)


def run(job: Job[DirectionSettings], against: LatentDiffusion | None = None) -> LatentDirection:
    """Find a direction, try it and judge it, with each model. See the module's text and `DirectionSettings`."""
    s = job.settings
    if s.labels is None:
        attribute(s.source, s.target)  # a misspelt label is told before a model is loaded
        if kin_of(s.model) in EMBEDDED and not draws_scenes(s.model):
            raise InputError(
                f"Images with the labels are needed; {s.model} cannot draw rendered scenes, which are the default.",
                "Pass --labels with a CSV of the columns image and label, or with a folder that has a folder a label.",
            )
    models, names = opened(job, against)
    ready = [_ready(s, model, job.observer) for model in models]  # what may be refused comes before the folder
    with job.in_folder(stem(s)) as job:
        work = [
            _Work(**vars(job), journey=journey, name=name, end="against-" if k else "")
            for k, ((journey, _, _), name) in enumerate(zip(ready, names, strict=True))
        ]
        found = [one.run(data, condition) for one, (_, data, condition) in zip(work, ready, strict=True)]
        result = found[0].beside(found[1:])
        if job.directory is not None:
            job.observer.stage("Writing", 1, "files")
            job.directory.write_png("sheet.png", result._page())
            job.observer.advance(1)
        return job.done(result, result.evaluations)


def _ready(s: DirectionSettings, model: LatentDiffusion, observer: Observer) -> tuple[Journey, Labelled, Embedding]:
    """The way between images and noise, the labelled images, and what they are said to show."""
    canvas = Canvas.of(model, None)
    frame = frame_bytes(canvas.height, canvas.width)
    require_room({"pairs": (s.pairs, 2 * frame), "held_out": (s.held_out, frame)})
    data = _labelled(s, model, observer)
    return Journey(model, canvas, s.tau, s.steps, s.guidance, s.scheme), data, model.prompts.embed(s.prompt)


def stem(settings: DirectionSettings) -> str:
    """What the folder of a run is called below runs/."""
    return "-to-".join(Path(word).name or "label" for word in (settings.source, settings.target))


def find(source: Tensor, target: Tensor, estimate: str) -> Tensor:
    """The direction (d,) from points with the one label (n, d) to points with the other (m, d)."""
    apart = target.mean(0) - source.mean(0)
    if estimate == "mean":
        return apart
    labels = torch.cat([torch.zeros(len(source)), torch.ones(len(target))])
    normal = hyperplane(torch.cat([source, target]), labels)
    return normal * (apart @ normal)


def move(x: Tensor, direction: Tensor, strength: float) -> Tensor:
    """Points (n, d) moved along a direction (d,) or one for each (n, d), at their own norm."""
    moved = x + strength * direction
    return moved * (x.norm(dim=1, keepdim=True) / moved.norm(dim=1, keepdim=True))


def _labelled(s: DirectionSettings, model: LatentDiffusion, observer: Observer) -> Labelled:
    if s.labels is None:
        return of_scenes(attribute(s.source, s.target), s.pairs, s.held_out, model.image_size, s.seed)

    def fit_in(names: list[str]) -> Tensor:
        return fit(read_images(names, observer), names, None, model, observer)[0]

    return of_files(s.labels, s.source, s.target, s.held_out, s.seed, fit_in)


@dataclass(frozen=True, eq=False, kw_only=True)
class _Work(Job[DirectionSettings]):
    journey: Journey
    name: str = ""
    end: str = ""

    def run(self, data: Labelled, condition: Embedding) -> LatentDirection:
        began = time.monotonic()
        s = self.settings
        what = attribute(s.source, s.target) if s.labels is None else None
        journey = self.journey
        points = self._points(data, condition)
        direction = find(points["source"], points["target"], s.estimate)
        x = points["held_out"]
        random = torch.randn(x.shape, generator=torch.Generator().manual_seed(s.seed))
        random = random * (direction.norm() / random.norm(dim=1, keepdim=True))
        strengths = parse_strengths(s.strengths)
        tried = {"direction": direction, "random": random}
        self.observer.stage("Drawing", (1 + len(tried) * len(strengths)) * len(x), "images")
        before = journey.draw(x, condition)
        self.observer.advance(len(x))
        judge = None if what is None else (what, fit_all(before))
        tables: dict[str, list[dict[str, float]]] = {}
        edited = []
        for name, vector in tried.items():
            tables[name] = []
            for strength in strengths:
                images = journey.draw(move(x, vector, strength), condition)
                tables[name].append({"strength": strength} | judged(judge, before, images))
                edited += [images] if name == "direction" else []
                self.observer.advance(len(x), f"{name} {strength:g}")
        up, down = journey.evaluations
        evaluations = up * sum(len(part) for part in points.values()) + down * len(x) * (1 + 2 * len(strengths))
        metrics = {
            "source": s.source,
            "target": s.target,
            "attribute": None if what is None else what.name,
            "estimate": s.estimate,
            "trained_on": [len(points["source"]), len(points["target"])],
            "held_out": len(x),
            **{name: getattr(s, name) for name in ("tau", "steps", "scheme", "guidance", "seed")},
            "length": float(direction.norm() / x.norm(dim=1).mean()),
            "agreement": _agreement(points, direction, data.paired),
            "separability": self._separability(points, data.paired),
            "fit_error_before": None if judge is None else median_error(judge[1]),
            "strengths": tables,
            "perceptual": Pyramid().name,
            "evaluations": evaluations,
            "seconds": round(time.monotonic() - began, 3),
        }
        status = turned(tables, s.source, s.target, len(x))
        drawn = (data.held_out, before, torch.stack(edited))
        result = LatentDirection(
            direction, *drawn, strengths, name=self.name, metrics=metrics, status=status, settings=s
        )
        if self.directory is not None:
            self._write(self.directory, result, points)
        return result

    def _points(self, data: Labelled, condition: Embedding) -> dict[str, Tensor]:
        """All images at noise level tau; from disk where an earlier session has carried these very ones there."""
        batches = {"source": data.source, "target": data.target, "held_out": data.held_out}
        each = self.journey.evaluations[0]
        self.observer.stage("Inverting", each * sum(len(images) for images in batches.values()))
        points, journey = {}, self.journey

        def carried(images: Tensor) -> dict[str, Tensor]:
            return {"x": journey.up(journey.encode(images), condition).cpu()}

        for name, images in batches.items():
            about = self.begun_with(images, journey.model)
            place = f"checkpoint/{self.end}{name}.safetensors"
            points[name] = self.kept(place, partial(carried, images), about)["x"]
            self.observer.advance(each * len(images))
        if self.settings.tau == 1:
            warn_of_structure(torch.cat(list(points.values())), journey.shape, (), self.observer, self.name)
        return points

    def _separability(self, points: dict[str, Tensor], paired: bool) -> dict[str, Any] | None:
        source, target = points["source"], points["target"]
        if min(len(source), len(target)) < FOLDS:
            self.observer.warn(f"Linear separability is left out: it needs {FOLDS} images with each label.")
            return None
        labels = torch.cat([torch.zeros(len(source)), torch.ones(len(target))])
        groups = torch.arange(len(source)).repeat(2) if paired else None
        found = linear_separability(
            torch.cat([source, target]), {"label": labels}, FOLDS, seed=self.settings.seed, groups=groups
        )
        return {"ls": found.value, "guessing": found.guessing, "accuracy": found.accuracies["label"], "folds": FOLDS}

    def _write(self, directory: RunDirectory, result: LatentDirection, points: dict[str, Tensor]) -> None:
        s = self.settings
        about = {"source": s.source, "target": s.target, "tau": str(s.tau)}
        about |= {"model": str(s.against if self.end else s.model), "strengths": json.dumps(list(result.strengths))}
        tensors = {"direction": result.direction, "held_out": points["held_out"]}
        directory.write_tensors(f"{self.end}direction.safetensors", tensors, about)


def _agreement(points: dict[str, Tensor], direction: Tensor, paired: bool) -> float | None:
    """The mean cosine of the pairs' own differences with the direction; None where there are no pairs."""
    if not paired:
        return None
    own = points["target"] - points["source"]
    return float(torch.nn.functional.cosine_similarity(own, direction[None], dim=1).mean())
