"""`geodesic mean`: the image in the middle of others, with the geodesics from it to each of them.

    read -> encode -> link near pairs -> the image that is nearest to all -> move it to the mean -> draw

Of all points the mean has the least sum of weighted squared geodesic distances (Fréchet). The average of the latents,
which knows no density, is drawn beside it for comparison.
"""

import csv
import io
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from geodesic_cli import media
from geodesic_cli.diffusion.score import guided_evaluations
from geodesic_cli.errors import InputError
from geodesic_cli.frames.canvas import image_names
from geodesic_cli.frames.linked import (
    GivenImages,
    LinkedImages,
    LinkPlan,
    drawn,
    given_images,
    link_plan,
    linked,
    way_out,
)
from geodesic_cli.geometry import Mean, MeanStep, Status, follow_mean, mean_from_links, shares_of
from geodesic_cli.runs.calling import called_from_python
from geodesic_cli.runs.job import Job, RunResult, in_memory
from geodesic_cli.runs.observer import Observer
from geodesic_cli.runs.opening import AnyModel
from geodesic_cli.runs.steps import pack, unpack
from geodesic_cli.settings import MeanSettings, parse_weights
from geodesic_cli.settings.vocabulary import listed

USUAL_SPOKE, USUAL_MOVES = 90, 9
"""Evaluations for a path from a mean that has moved, and how often all paths are looked for: of twelve pictures."""
ONE_BY_ONE = 6
"""Images whose paths did not converge and that are named one by one."""
SHOWN = 12
"""Geodesics on the sheet: those to the first images."""


@dataclass(frozen=True, eq=False, repr=False)
class MeanImage(RunResult):
    """The mean of images.

    Args:
        names: of the images.
        image: (3, h, w) in [0, 1], the mean drawn.
        average: (3, h, w), the average of the latents drawn, for comparison.
        paths: (n, frames, 3, h, w), the geodesics from the mean to each image.
        distances: (n,), from the mean to the images, in units of the latents where the density is that of the mean.
        mean: the mean itself, a point at noise level tau, its links and its status.
    """

    names: tuple[str, ...]
    image: Tensor
    average: Tensor
    paths: Tensor
    distances: Tensor
    mean: Mean

    @property
    def converged(self) -> bool:
        """Whether the mean and all geodesics from it are so to the tolerance."""
        return self.mean.status is Status.CONVERGED

    @property
    def pictures(self) -> Tensor:
        """The mean, (1, 3, h, w)."""
        return self.image[None]

    def _page(self) -> Tensor:
        marks = ["" if link.status is Status.CONVERGED else " (not converged)" for link in self.mean.links]
        labels = [f"to image {k + 1}{mark}" for k, mark in enumerate(marks)][:SHOWN]
        mark = "" if self.mean.residual <= self.settings.mean_tol else " (not converged)"
        rows = [self.image[None], self.average[None], *self.paths[:SHOWN]]
        return media.sheet(rows, [f"mean{mark}", "average of latents", *labels])


@called_from_python(MeanSettings)
def mean(
    *images: media.Picture | Sequence[media.Picture],
    model: AnyModel = "clevr-mini",
    observer: Observer | None = None,
    **options: Any,
) -> MeanImage:
    """Find the mean of images in memory; nothing is written.

    Args:
        images: two or more, each a file, a PIL image, a numpy array (h, w, 3) or a tensor (3, h, w), with
            floating-point values in [0, 1] or whole numbers; or a batch of them, or one film, GIF or folder of frames.
        options: any setting of `settings.MeanSettings` but images, out, resume and overwrite. Weights are a text such
            as "2,1,1".
    """
    given = media.pictures(images)
    return run(in_memory(MeanSettings, "mean", model, options, observer, images=image_names(given)), given)


def run(job: Job[MeanSettings], given: Sequence[str | Path | Tensor] = ()) -> MeanImage:
    """Find the mean of the images of the settings, or of those given in their place."""
    ready = _ready(job, given)  # all that may be refused comes before the folder is touched
    with job.in_folder(stem(job.settings)) as job:
        return _Work(**vars(job)).run(ready)


def dry_run(job: Job[MeanSettings]) -> LinkPlan:
    """What the run will cost, with everything refused that the run would refuse; nothing is written."""
    ready = _ready(job, ())
    tries = min(USUAL_MOVES, job.settings.moves + 1)
    return link_plan(job, ready, {"Moving the mean": USUAL_SPOKE * tries * len(ready.images)}, near=True)


def stem(settings: MeanSettings) -> str:
    """What the folder of a run is called below runs/."""
    return f"mean-of-{Path(settings.images[0]).resolve().stem}"


def _ready(job: Job[MeanSettings], given: Sequence[str | Path | Tensor]) -> GivenImages:
    ready = given_images(job, given, "mean")
    weights = parse_weights(job.settings.weights)
    if weights is not None and len(weights) != len(ready.images):
        raise InputError(
            f"--weights takes a number for each of {len(ready.images)} images; got {len(weights)}.",
            "Leave it out for equal weights.",
        )
    return ready


@dataclass(frozen=True, eq=False)
class _Work(Job[MeanSettings]):
    def run(self, given: GivenImages) -> MeanImage:
        began = time.monotonic()
        s, found = self.settings, linked(self, given, near=True)
        weights = parse_weights(s.weights)
        shares = shares_of(found.x, None if weights is None else found.x.new_tensor(weights))
        mean = self._moved(found, shares)
        u = torch.linspace(0, 1, s.frames, dtype=torch.float64)
        n = len(given.images)
        self.observer.stage("Drawing", n + 1, "paths")
        paths = []
        for link in mean.links:
            paths.append(drawn(found, link.curve(u.to(link.curve.x)), s.tau))
            self.observer.advance(1)
        both = drawn(found, torch.stack([mean.x, (shares * found.x).sum(0)]), s.tau)
        self.observer.advance(1)
        logs = mean.log_distances.double().cpu()
        flat = (found.x - mean.x).norm(dim=1).cpu()
        spent = guided_evaluations(s.guidance) * found.survey.known
        missed = [k + 1 for k, link in enumerate(mean.links) if link.status is not Status.CONVERGED]
        metrics: dict[str, Any] = {
            "images": list(given.names),
            "weights": shares.flatten().tolist(),
            **{name: getattr(s, name) for name in ("tau", "guidance", "tol")},
            "dimension": found.x.shape[1],
            "alpha": found.survey.metric.alpha,
            "bend": found.bend,
            "residual": mean.residual,
            "moves": mean.steps,
            "distances": logs.exp().tolist(),
            "plus_minus": (logs.exp() * logs.new_tensor([link.spread for link in mean.links]).expm1()).tolist(),
            "euclidean": flat.tolist(),
            "variance": float((shares.flatten().cpu() * logs.exp() ** 2).sum()),
            "not_converged": missed,
            "evaluations": spent,
            "seconds": round(time.monotonic() - began, 3),
        }
        status = _sentence(mean, missed, n, s.mean_tol)
        result = MeanImage(
            given.names, both[0], both[1], torch.stack(paths), logs.exp(), mean,
            metrics=metrics, status=status, settings=s,
        )  # fmt: skip
        if self.directory is not None:
            self._write(result, given)
        return self.done(result, spent)

    def _moved(self, found: LinkedImages, shares: Tensor) -> Mean:
        """The mean, from the last step that an earlier session reached."""
        s, survey = self.settings, found.survey
        self.observer.stage("Moving the mean", s.moves, "moves")
        steps: list[MeanStep] = []
        while len(steps) <= s.moves and self.directory is not None and self.directory.has(_checkpoint(len(steps))):
            tensors, about = self.directory.read_tensors(_checkpoint(len(steps)))
            steps.append(unpack(tensors, json.loads(about["step"]), found.x.device, MeanStep))
            survey.learn(steps[-1].seen, found.x)

        def keep(step: MeanStep) -> None:
            if self.directory is not None:
                tensors, tree = pack(step)
                self.directory.write_tensors(_checkpoint(step.tries), tensors, {"step": json.dumps(tree)})
            if step.tries:
                self.observer.advance(1, f"pull {step.residual:.3f}")

        if len(steps) > 1:
            self.observer.advance(len(steps) - 1)
        if not steps:
            steps.append(mean_from_links(survey, found.matrix, found.x, shares, s.mean_tol))
            keep(steps[0])
        return follow_mean(survey, steps[-1], shares, tol=s.mean_tol, max_steps=s.moves + 1, on_step=keep)

    def _write(self, result: MeanImage, given: GivenImages) -> None:
        directory, s = self.directory, self.settings
        assert directory is not None
        self.observer.stage("Writing", 4 + len(result.paths), "files")
        for k, path in enumerate(result.paths):
            for j, frame in enumerate(path):
                directory.write_png(f"frames/{k:03d}/{j:05d}.png", frame)
            self.observer.advance(1)
        directory.write_png("mean.png", result.image)
        self.observer.advance(1)
        directory.write_png("sheet.png", result._page())
        self.observer.advance(1)
        directory.write_text("distances.csv", _csv(result))
        self.observer.advance(1)
        tensors = {"x": result.mean.x, "distances": result.distances}
        directory.write_tensors("mean.safetensors", tensors, {"tau": str(s.tau), "model": s.model})
        self.observer.advance(1)


def _checkpoint(number: int) -> str:
    return f"checkpoint/mean-{number:04d}.safetensors"


def _csv(result: MeanImage) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["image", "name", "weight", "distance", "plus_minus", "euclidean", "converged", "status"])
    rows = zip(*(result.metrics[name] for name in ("weights", "distances", "plus_minus", "euclidean")), strict=True)
    for k, (numbers, name, link) in enumerate(zip(rows, result.names, result.mean.links, strict=True)):
        told = "yes" if link.status is Status.CONVERGED else "no"
        writer.writerow([k + 1, name, *(f"{number:.6g}" for number in numbers), told, link.status.value])
    return out.getvalue()


def _sentence(mean: Mean, missed: list[int], count: int, tol: float) -> str:
    begin = f"The mean of {count} images"
    if mean.status is Status.CONVERGED:
        return f"{begin}: the pulls of all images cancel to {100 * mean.residual:.1f}% of the distances."
    if mean.status is Status.NON_FINITE:
        return f"{begin} was not found: {mean.status.value}"
    marked = _marked(missed)
    advice = way_out(mean.links[k - 1].status for k in missed)
    if mean.residual <= tol:
        return (
            f"{begin}: the pulls of all images cancel to {100 * mean.residual:.1f}% of the distances.{marked} {advice}"
        )
    return (
        f"{begin} is not reached yet: {100 * mean.residual:.1f}% of the distances is left as pull. The sum of "
        f"squared distances is at most about {50 * mean.residual**2:.1g}% above its least.{marked} Raise --moves, or "
        f"{advice[0].lower()}{advice[1:]}"
    )


def _marked(missed: list[int]) -> str:
    """What is said of paths that are no geodesics, as a sentence after another; nothing where there are none."""
    if not missed:
        return ""
    if len(missed) == 1:
        told, pull = f"The path to image {missed[0]} is no geodesic", "this image"
    else:
        which = f"images {listed([str(k) for k in missed])}" if len(missed) <= ONE_BY_ONE else f"{len(missed)} images"
        told, pull = f"The paths to {which} are no geodesics", "these images"
    return f" {told} to the tolerance (marked: not converged), so the pull of {pull} is known only roughly."
