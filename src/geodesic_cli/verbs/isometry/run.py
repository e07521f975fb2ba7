"""`geodesic isometry`: how far a model's encoder is from an isometry, alone or beside a second model.

    points (scenes, own samples or images) -> noise levels -> Jacobians -> L, MCN, VoR, mRTL -> PPL, LS -> table, plot

Both models of a run see the same clean images, noise, directions and pairs. The clean points of a latent model are its
own autoencoder's, so that two models with one autoencoder, as before and after fine-tuning, see the very same points.
"""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from geodesic_cli import media
from geodesic_cli.diffusion import Embedding, LatentDiffusion
from geodesic_cli.errors import InputError
from geodesic_cli.evaluation import Distance
from geodesic_cli.evaluation.likeness import perceptual_distance
from geodesic_cli.evaluation.separability import require_examples
from geodesic_cli.layouts import labelled_images
from geodesic_cli.plots.spectrum import Spectra, spectra
from geodesic_cli.runs.calling import called_from_python
from geodesic_cli.runs.folder import METRICS, RunDirectory
from geodesic_cli.runs.job import Job, RunResult, in_memory, told_model
from geodesic_cli.runs.observer import Observer
from geodesic_cli.runs.opening import AnyModel, told_apart
from geodesic_cli.runs.room import frame_bytes, node_bytes, require_room
from geodesic_cli.scenes import Scene, render, sample
from geodesic_cli.settings import IsometrySettings
from geodesic_cli.settings.isometry import OWN_SAMPLES, SCENES_DATA
from geodesic_cli.settings.kinship import draws_scenes
from geodesic_cli.verbs.isometry.known import KnownImages, embedded_scenes, known_files, known_scenes, prompts_of
from geodesic_cli.verbs.isometry.measures import Level, Look, Points
from geodesic_cli.verbs.isometry.table import impossible, markdown, markdown_so_far, rough, used


@dataclass(frozen=True, eq=False, repr=False)
class Isometry(RunResult):
    """The result. Its metrics are `models`, a list of one or two, and how they were measured.

    Args:
        levels: for each model its noise levels, with their spectra.
    """

    levels: tuple[tuple[Level, ...], ...]

    def _write_into(self, directory: RunDirectory) -> None:
        super()._write_into(directory)
        directory.write_text("table.md", markdown(self.metrics))

    def draw(self, path: str | Path) -> None:
        """The singular values at each noise level, of each model."""
        panels: dict[str, Spectra] = {}
        for k, level in enumerate(self.levels[0]):
            title = f"tau {level.numbers['tau']:g}"
            panels[title] = {
                about["name"]: _band(own[k].spectrum)
                for about, own in zip(self.metrics["models"], self.levels, strict=True)
            }
        whole = all(level.numbers["jacobian"] == "exact" for own in self.levels for level in own)
        spectra(panels, path, whole)


@called_from_python(IsometrySettings)
def isometry(
    model: AnyModel = "clevr-mini", *, against: AnyModel | None = None, observer: Observer | None = None, **options: Any
) -> Isometry:
    """Measure a model, or two, in memory; nothing is written.

    Args:
        model: a name, or a model in fp32 that is loaded already.
        against: the second model.
        options: any setting of `settings.IsometrySettings` but model, against, out and overwrite.
    """
    other, given = (None, None) if against is None else told_model(against, "isometry")
    return run(in_memory(IsometrySettings, "isometry", model, options, observer, against=other), given)


def _require_room(s: IsometrySettings, model: LatentDiffusion) -> None:
    """Refuse more points, directions or pictures than memory holds."""
    side = model.image_size
    frame, node = frame_bytes(side, side), node_bytes(math.prod(model.latent_shape(side, side)))
    require_room(
        {
            "points": (s.points, node),
            "directions": (s.directions, node),
            "probes": (s.probes, node),
            "pairs": (s.pairs, node * s.segments),
            "ppl_pairs": (s.ppl_pairs, frame),
            "labelled": (s.labelled, frame),
        }
    )


def run(job: Job[IsometrySettings], against: LatentDiffusion | None = None) -> Isometry:
    """Measure the model of the settings, and a second one, given or theirs; writes table.md and spectrum.png.

    What is measured is in table.md and metrics.json as soon as it is there.
    """
    models = [job.load_model()]
    second = job.load_second(against)
    models += [] if second is None else [second]
    if job.settings.labels is not None:
        labelled_images(job.settings.labels)  # what cannot be read is told before the work
    _require_room(job.settings, models[0])
    distance = _distance(job, models)  # what may be missing is asked for before the work
    with job.in_folder(stem(job.settings)) as job:
        result = _Work(**vars(job), distance=distance).run(models)
        if job.directory is not None:
            result.draw(job.directory.path("spectrum.png"))
            job.directory.write_text("table.md", markdown(result.metrics))
        return job.done(result)


def stem(settings: IsometrySettings) -> str:
    """What the folder of a run is called below runs/."""
    return f"isometry-{Path(settings.model).name}"


def _distance(job: Job[IsometrySettings], models: Sequence[LatentDiffusion]) -> Distance | None:
    """The distance of the perceptual path length; None where that is not measured."""
    s = job.settings
    if not s.ppl_pairs:
        return None
    return perceptual_distance(s.lpips, s.metric_weights, str(models[0].device), job.observer.warn)[1]


@dataclass(frozen=True, eq=False, kw_only=True)
class _Work(Job[IsometrySettings]):
    distance: Distance | None

    def run(self, models: Sequence[LatentDiffusion]) -> Isometry:
        """Measure models that are loaded, in fp32, one after the other at the same points."""
        s = self.settings
        images, scenes, source = _images(models[0], s, self.observer)
        labelled = self._labelled(scenes)
        told: list[dict[str, Any]] = []
        levels: list[tuple[Level, ...]] = []
        asked = ("points", "segments", "pairs", "directions", "seed")
        metrics = {"models": told, "data": source, **{name: getattr(s, name) for name in asked}}
        for number, model in enumerate(models, 1):
            which = f" of model {number}" if len(models) > 1 else ""
            look = Look(model, s, self.observer)
            levels.append(self._measured(look, _points(model, images, scenes, s), labelled, which, metrics))
            first = levels[-1][0].numbers
            if not first["possible"]:
                self.observer.warn(impossible(model.name, first))
            told_rough = rough(model.name, [level.numbers for level in levels[-1]])
            if told_rough is not None:
                self.observer.warn(told_rough)
        for about, name in zip(told, told_apart(models), strict=True):
            about["name"] = name
        return Isometry(tuple(levels), metrics=metrics, status=nearness(told))

    def _labelled(self, scenes: list[Scene]) -> KnownImages | None:
        """The images for linear separability; None where it is not asked for, or they are too few."""
        s, some = self.settings, scenes[self.settings.points :]
        if not s.labelled or (s.labels is None and not some):
            return None
        try:
            known = known_scenes(some) if s.labels is None else known_files(s)
            require_examples(known.labels, known.count)
        except InputError as error:
            self.observer.warn(f"Linear separability is left out. {error}")
            return None
        return known

    def _measured(
        self, look: Look, points: Points, labelled: KnownImages | None, which: str, metrics: dict[str, Any]
    ) -> tuple[Level, ...]:
        """The noise levels of one model; it becomes the last of `metrics["models"]`, measure by measure."""
        s, began = self.settings, time.monotonic()
        levels: list[Level] = []
        told: dict[str, Any] = {"name": look.model.name}
        metrics["models"].append(told)

        def found(**more: Any) -> None:
            told.update(more, seconds=round(time.monotonic() - began, 3))
            if self.directory is not None:
                self.directory.write_json(METRICS, metrics)
                self.directory.write_text("table.md", markdown_so_far(metrics))

        self.observer.stage(f"Looking at the encoder{which}", len(s.levels) * s.points, "points")
        for tau in s.levels:
            levels.append(look.level(tau, points))
            numbers = [level.numbers for level in levels]
            found(levels=numbers, mrtl=sum(level["mrtl"] for level in numbers) / len(numbers))
        if self.distance is not None:
            self.observer.stage(f"Perceptual path length{which}", s.ppl_pairs, "pairs")
            found(ppl=look.path_length(points, self.distance))
        if labelled is not None:
            self.observer.stage(f"Linear separability{which}", labelled.count, labelled.what)
            found(ls=look.separability(labelled))
        return tuple(levels)


def nearness(models: Sequence[dict[str, Any]]) -> str:
    """How near the first model is to an isometry, and whether the second one is nearer."""
    best = min(models[0]["levels"], key=lambda level: level["loss"])
    told = (
        f"An isometry uses all {best['dimension'] - 1} directions alike; {models[0]['name']} uses "
        f"{used(best)} at tau {best['tau']:g}, where it is nearest to one"
    )
    if len(models) == 1:
        return f"{told}. `geodesic finetune --iso` brings a model nearer."
    other = models[1]["levels"][models[0]["levels"].index(best)]
    compared = "nearer" if other["loss"] < best["loss"] else "no nearer"
    return f"{told}, and {models[1]['name']} {used(other)}: it is {compared} to an isometry there."


def _images(model: LatentDiffusion, settings: IsometrySettings, observer: Observer) -> tuple[Tensor, list[Scene], str]:
    """Images (N, 3, h, w), the scenes that they show if any, and in words where they are from."""
    of_scenes = any(map(draws_scenes, filter(None, (model.name, settings.against))))
    data = settings.data or (SCENES_DATA if of_scenes else OWN_SAMPLES)
    n, chance = settings.points, torch.Generator().manual_seed(settings.seed)
    if data == SCENES_DATA:
        scenes = sample(n + settings.labelled, chance)
        return render(scenes[:n], model.image_size), scenes, "rendered scenes"
    if data == OWN_SAMPLES:
        observer.stage("Drawing points", n, "samples")
        images = model.sample(
            prompts_of(settings, settings.points), chance, steps=max(30, settings.steps), guidance=1.0
        ).cpu()
        observer.advance(n)
        return images, [], f"samples of {model.name}"
    files = sorted(path for path in Path(data).glob("*") if path.suffix.lower() in (".png", ".jpg", ".jpeg", ".webp"))
    if len(files) < n:
        raise InputError(
            f"--data takes {SCENES_DATA}, {OWN_SAMPLES} or a folder with at least {n} images; {data} has {len(files)}.",
            f"Pass --points {len(files)}, or another folder." if len(files) > 1 else "Pass another folder.",
        )
    side = model.image_size
    read = [media.read_image(path, size=(side, side)) for path in files[:n]]
    return torch.stack(read), [], f"images of {data}"


def _points(model: LatentDiffusion, images: Tensor, scenes: list[Scene], settings: IsometrySettings) -> Points:
    side = model.image_size
    fitted = torch.stack([media.resize(image, side, side) for image in images])
    if scenes:
        condition = embedded_scenes(model, scenes[: settings.points])
    else:
        condition = Embedding.cat([model.prompts.embed(prompt) for prompt in prompts_of(settings, settings.points)])
    return Points(model.encode(fitted).float().cpu(), condition)


def _band(values: Tensor) -> tuple[list[float], list[float], list[float]]:
    return values.mean(0).tolist(), values.min(0).values.tolist(), values.max(0).values.tolist()
