"""`geodesic invert`: images to noise and back, and how much of them and of the noise survives.

    read -> encode -> up to tau -> down -> decode -> sheet and numbers

Images go in groups, and each group is on disk as soon as it is done, so that a stopped run can be resumed. With a
second model the same images go through both, each at its own size where --size names none, and the sheet has the rows
of both.
"""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from geodesic_cli import media
from geodesic_cli.diffusion import Embedding, LatentDiffusion
from geodesic_cli.evaluation import Distance
from geodesic_cli.evaluation.likeness import perceptual_distance
from geodesic_cli.evaluation.similarity import require_window
from geodesic_cli.frames.canvas import fit, image_names, read_images
from geodesic_cli.frames.journey import Journey, Reconstruction, conditions, reconstruct
from geodesic_cli.runs.calling import called_from_python
from geodesic_cli.runs.folder import RunDirectory
from geodesic_cli.runs.job import Job, in_memory, told_model
from geodesic_cli.runs.observer import Observer
from geodesic_cli.runs.opening import AnyModel
from geodesic_cli.settings import InvertSettings
from geodesic_cli.settings.shared import PAD, ground_of
from geodesic_cli.verbs.latent.beside import SideBySide, opened, owned, sized_as
from geodesic_cli.verbs.latent.survival import inversion_metrics, survival, warn_of_structure, which_is_better

GROUP = 16
"""Images that are carried together, and lost at most when a run is stopped."""
IMAGES_SHOWN = 12
"""Images on the sheet: the first ones."""


@dataclass(frozen=True, eq=False, repr=False)
class Inversion(SideBySide):
    """The result of an inversion.

    Args:
        images: (n, 3, h, w), what was inverted, at the size of the run.
        shape: (C, H, W) of a latent.
        made: the noise, the reconstructions and what the autoencoder alone makes of the images.
    """

    images: Tensor
    shape: tuple[int, int, int]
    made: Reconstruction

    @property
    def noise(self) -> Tensor:
        """(n, d), the images at noise level tau."""
        return self.made.x

    @property
    def pictures(self) -> Tensor:
        """What came back."""
        return self.made.back

    def _page(self) -> Tensor:
        return inversion_sheet(self, self.settings.amplify)


@called_from_python(InvertSettings)
def invert(
    *images: media.Picture | Sequence[media.Picture],
    model: AnyModel = "clevr-mini",
    against: AnyModel | None = None,
    observer: Observer | None = None,
    **options: Any,
) -> Inversion:
    """Invert images in memory; nothing is written.

    Args:
        images: files, PIL images, numpy arrays (h, w, 3) or tensors (3, h, w), with floating-point values in [0, 1] or
            whole numbers; or a batch of them.
        against: a second model.
        options: any setting of `settings.InvertSettings` but images, against, out, resume and overwrite.
    """
    pictures = media.pictures(images)
    other, second = (None, None) if against is None else told_model(against, "invert")
    fixed = {"images": image_names(pictures), "against": other}
    return run(in_memory(InvertSettings, "invert", model, options, observer, **fixed), pictures, second)


def run(
    job: Job[InvertSettings], given: Sequence[str | Path | Tensor] = (), against: LatentDiffusion | None = None
) -> Inversion:
    """Invert what the settings name, or the images given in its place. See the module's text and `InvertSettings`.

    Args:
        job: to be done.
        given: images in the place of files.
        against: the second model, where it is loaded already.
    """
    s = job.settings
    read = read_images(given or s.images, job.observer, s.size, ground_of(s.background))
    models, names = opened(job, against)
    key, distance = perceptual_distance(s.lpips, s.metric_weights, str(models[0].device), job.observer.warn)
    ready = [_ready(s, model, read, job.observer) for model in models]  # what may be refused comes before the folder
    with job.in_folder(stem(s)) as job:
        work = [
            _Work(**vars(job), journey=journey, distances={key: distance}, name=name)
            for (journey, _, _), name in zip(ready, names, strict=True)
        ]
        found = [
            one.inverted(images, condition, "checkpoint/" if k == 0 else "checkpoint/against-")
            for k, (one, (_, images, condition)) in enumerate(zip(work, ready, strict=True))
        ]
        told = which_is_better(*map(_fared, found)) if len(found) == 2 else None
        return work[0].ended(found[0].beside(found[1:], told))


def stem(settings: InvertSettings) -> str:
    """What the folder of a run is called below runs/."""
    return f"invert-{Path(settings.images[0]).stem}" if settings.images else "invert"


def _ready(
    s: InvertSettings, model: LatentDiffusion, read: Sequence[Tensor | media.Still], observer: Observer
) -> tuple[Journey, Tensor, Embedding]:
    """The way of a model, the images at its size, and a condition for each."""
    ground = ground_of(s.background)
    images, canvas = fit(read, s.images, s.size, model, observer, whole_on=ground if s.fit == PAD else None)
    require_window(*images.shape[2:])
    condition = conditions(model, s.prompt, len(images))
    return Journey(model, canvas, s.tau, s.steps, s.guidance, s.scheme), images, condition


def _fared(one: Inversion) -> tuple[str, str, float]:
    return one.name, one.status, one.metrics["transport"]["psnr"]["mean"]


@dataclass(frozen=True, eq=False, kw_only=True)
class _Work(Job[InvertSettings]):
    journey: Journey
    distances: dict[str, Distance]
    name: str = ""

    def inverted(self, images: Tensor, condition: Embedding, place: str) -> Inversion:
        """Carry images to noise and back, and measure it; checkpoints have names that begin with `place`."""
        began = time.monotonic()
        s, shape, distances = self.settings, self.journey.shape, self.distances
        made, evaluations = self._reconstructed(images, condition, place)
        metrics = {
            "images": list(s.images),
            **{name: getattr(s, name) for name in ("tau", "steps", "scheme", "guidance")},
            "size": f"{images.shape[3]}x{images.shape[2]}",
            "dimension": made.x.shape[1],
            "perceptual": {key: getattr(distance, "name", key) for key, distance in distances.items()},
            **inversion_metrics(images, made, shape, distances),
            "evaluations": evaluations,
            "seconds": round(time.monotonic() - began, 3),
        }
        if s.tau == 1:
            warn_of_structure(made.x, shape, s.images, self.observer, self.name)
        status = survival(metrics["transport"]["psnr"]["mean"], metrics["autoencoder"]["psnr"]["mean"], s)
        return Inversion(images, shape, made, name=self.name, metrics=metrics, status=status, settings=s)

    def ended(self, result: Inversion) -> Inversion:
        """The result, written where there is a folder."""
        if self.directory is not None:
            self._write(self.directory, result)
        return self.done(result, result.evaluations)

    def _reconstructed(self, images: Tensor, condition: Embedding, place: str) -> tuple[Reconstruction, int]:
        each = sum(self.journey.evaluations)
        self.observer.stage("Inverting", each * len(images))
        parts = []
        for first in range(0, len(images), GROUP):
            rows = slice(first, first + GROUP)
            parts.append(self._group(images[rows], condition[rows], f"{place}{first:05d}.safetensors"))
            self.observer.advance(each * len(images[rows]))
        whole = {name: torch.cat([getattr(part, name) for part in parts]) for name in vars(parts[0])}
        return Reconstruction(**whole), each * len(images)

    def _group(self, images: Tensor, condition: Embedding, name: str) -> Reconstruction:
        """One group of images, from disk where an earlier session has done these very ones."""
        about = self.begun_with(images, self.journey.model)
        made = self.kept(name, lambda: vars(reconstruct(self.journey, images, condition)), about)
        return Reconstruction(**made)

    def _write(self, directory: RunDirectory, result: Inversion) -> None:
        s = self.settings
        both = result.both
        self.observer.stage("Writing", 1 + len(both) * (1 + len(result.images)), "files")
        for end, one in both.items():
            for index, picture in enumerate(one.made.back):
                directory.write_png(f"{end}reconstructions/{index:05d}.png", picture, {"image": s.images[index]})
                self.observer.advance(1)
            model = s.against if end else s.model
            about = {"tau": str(s.tau), "shape": json.dumps(list(one.shape)), "model": str(model)}
            directory.write_tensors(f"{end}noise.safetensors", {"x": one.made.x, "z": one.made.z}, about)
            self.observer.advance(1)
        directory.write_png("sheet.png", inversion_sheet(result, s.amplify))
        self.observer.advance(1)


def inversion_sheet(result: Inversion, amplify: float) -> Tensor:
    """One column an image: the image, what the autoencoder makes of it, its noise, what came back, the difference.

    All rows but the first one are there twice where there is a second model.
    """
    images = result.images[:IMAGES_SHOWN]
    rows, labels = [images], ["image"]
    for one in result.both.values():
        shown = (one.images, one.made.autoencoded, one.made.x, one.made.back)
        own, autoencoded, x, back = (part[:IMAGES_SHOWN] for part in shown)
        noise = noise_pictures(x, one.shape, *images.shape[2:])
        difference = (0.5 + amplify * (back - own) / 2).clamp(0, 1)
        rows += [sized_as(autoencoded, images), noise, sized_as(back, images), sized_as(difference, images)]
        words = ["autoencoder", "noise", "inverted\nand back", f"difference\nx {amplify:g}, gray\nis none"]
        labels += [owned(one.name, word) for word in words]
    return media.sheet(rows, labels)


def noise_pictures(x: Tensor, shape: tuple[int, int, int], height: int, width: int) -> Tensor:
    """Noise (n, d) as images: its first three channels as red, green and blue, -3 to 3 as black to full."""
    maps = x.reshape(-1, *shape)[:, :3].float()
    if maps.shape[1] < 3:
        maps = maps[:, :1].expand(-1, 3, -1, -1)
    return interpolate((maps / 6 + 0.5).clamp(0, 1), size=(height, width), mode="nearest")
