"""`geodesic latent combine`: noises added up with weights, A + B - C, and the picture that the sum stands for.

    x = r y / |y|,    y = w_1 x_1 + w_2 x_2 + ...,    r the mean norm of the x_i

The sum has another norm than noise has (sqrt(3) times as long for 1, 1, -1), so it is brought back to that of the
noises it is made of. What the pictures have in common with the result is measured by the perceptual distance of each
of them from it; for rendered scenes the error of the scene that explains it best says whether it shows anything valid.
"""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from geodesic_cli import media
from geodesic_cli.diffusion import LatentDiffusion
from geodesic_cli.errors import InputError
from geodesic_cli.evaluation import Pyramid
from geodesic_cli.evaluation.path_length import pair_distances
from geodesic_cli.frames.canvas import image_names, read_images
from geodesic_cli.runs.calling import called_from_python
from geodesic_cli.runs.folder import RunDirectory
from geodesic_cli.runs.job import Job, in_memory, told_model
from geodesic_cli.runs.observer import Observer
from geodesic_cli.runs.opening import AnyModel
from geodesic_cli.runs.room import frame_bytes, require_room
from geodesic_cli.scenes import fit_all
from geodesic_cli.settings import CombineSettings, parse_strengths
from geodesic_cli.settings.shared import ground_of
from geodesic_cli.verbs.latent.beside import SideBySide, opened, owned, sized_as, stage_of
from geodesic_cli.verbs.latent.noises import Noises, made_ready, noises_of

CANCELLED = 1e-4
"""The length of a sum, of the noises with the largest weight, up to which they cancel."""
A_SCENE = 0.2
"""A fit error up to which a picture shows a scene; 1 is an empty table."""


@dataclass(frozen=True, eq=False, repr=False)
class LatentSum(SideBySide):
    """Noises, their pictures, and their sum.

    Args:
        noises: (n, d), what is added up.
        parts: (n, 3, h, w), what they stand for.
        total: (d,), the sum at the norm of noise.
        drawn: (3, h, w), what it stands for.
        weights: n numbers.
    """

    noises: Tensor
    parts: Tensor
    total: Tensor
    drawn: Tensor
    weights: tuple[float, ...]

    @property
    def pictures(self) -> Tensor:
        """The pictures of the noises, and that of their sum."""
        return torch.cat([self.parts, self.drawn[None]])

    def _page(self) -> Tensor:
        return sum_sheet(self)


@called_from_python(CombineSettings)
def latent_combine(
    *images: media.Picture | Sequence[media.Picture],
    model: AnyModel = "clevr-mini",
    against: AnyModel | None = None,
    observer: Observer | None = None,
    **options: object,
) -> LatentSum:
    """Add up the noises of images, or random ones, with weights; in memory, nothing is written.

    Args:
        images: as many as there are weights, or none: files, PIL images, numpy arrays (h, w, 3) or tensors (3, h, w),
            with floating-point values in [0, 1] or whole numbers; or a batch.
        against: a second model.
        options: any setting of `settings.CombineSettings` but images, against, out and overwrite.
    """
    given = media.pictures(images)
    other, second = (None, None) if against is None else told_model(against, "latent_combine")
    fixed = {"images": image_names(given), "against": other}
    return run(in_memory(CombineSettings, "latent_combine", model, options, observer, **fixed), given, second)


def run(
    job: Job[CombineSettings], given: Sequence[str | Path | Tensor] = (), against: LatentDiffusion | None = None
) -> LatentSum:
    """Add up and draw; images that are given take the place of files. See the module's text and `CombineSettings`."""
    s, observer = job.settings, job.observer
    read = read_images(given or s.images, observer, s.size, ground_of(s.background))
    models, names = opened(job, against)
    count = len(parse_strengths(s.weights))
    ready = []
    for model, name in zip(models, names, strict=True):
        ready.append(made_ready(s, model, read, model.prompts.embed(s.prompt), observer, name))
        canvas = ready[-1].journey.canvas
        require_room({"weights": (count, 2 * frame_bytes(canvas.height, canvas.width))})
    with job.in_folder(stem(s)) as job:
        found = [_summed(s, noises_of(one, s, count, observer), observer) for one in ready]
        result = found[0].beside(found[1:])
        if job.directory is not None:
            _write(job.directory, result, observer)
        return job.done(result, result.evaluations)


def stem(settings: CombineSettings) -> str:
    """What the folder of a run is called below runs/."""
    return "-".join(["combine", *(Path(image).stem for image in settings.images[:3])])


def combined(x: Tensor, weights: Sequence[float]) -> Tensor:
    """The weighted sum (d,) of points (n, d), brought to their mean norm."""
    total = torch.tensor(weights, dtype=x.dtype) @ x
    return total * (x.norm(dim=1).mean() / total.norm().clamp(min=torch.finfo(x.dtype).tiny))


def _summed(s: CombineSettings, noises: Noises, observer: Observer) -> LatentSum:
    began = time.monotonic()
    journey, x, weights = noises.journey, noises.points, parse_strengths(s.weights)
    _refuse_nothing(x, weights, noises.name)
    total = combined(x, weights)
    observer.stage(stage_of("Drawing", noises.name), len(x) + 1, "pictures")
    drawn = journey.draw(torch.cat([x, total[None]]), noises.condition)
    observer.advance(len(drawn))
    result, parts = drawn[-1:], drawn[:-1]
    distances = pair_distances(result.expand_as(parts), parts, Pyramid()).tolist()
    up, down = journey.evaluations
    metrics = {
        "images": list(s.images),
        "weights": list(weights),
        **{name: getattr(s, name) for name in ("tau", "steps", "scheme", "guidance", "seed")},
        "norm_of_the_sum": float((torch.tensor(weights) @ x).norm() / x.norm(dim=1).mean()),
        "distances": distances,
        "perceptual": Pyramid().name,
        "fit_error": float(fit_all(result)[0].error) if s.fit else None,
        "evaluations": len(drawn) * down + (0 if noises.images is None else len(x) * up),
        "seconds": round(time.monotonic() - began, 3),
    }
    found = LatentSum(x, parts, total, result[0], weights, name=noises.name, metrics=metrics, status="", settings=s)
    return replace(found, status=_verdict(metrics["fit_error"], distances))


def _refuse_nothing(x: Tensor, weights: Sequence[float], name: str) -> None:
    """Refuse a sum in which the noises cancel, as A - A: it points nowhere, and no picture stands for it."""
    left = float((torch.tensor(weights, dtype=x.dtype) @ x).norm() / x.norm(dim=1).mean())
    if left <= CANCELLED * max(map(abs, weights)):
        raise InputError(
            f"{f'{name}: ' if name else ''}The noises cancel in {formula(weights)}: nothing is left that could be "
            "drawn.",
            "Pass other images, or --weights whose sum is not 0.",
        )


def _verdict(fit_error: float | None, distances: Sequence[float]) -> str:
    nearest = min(range(len(distances)), key=lambda k: distances[k])
    told = f"The result looks most like {chr(65 + nearest) if nearest < 26 else nearest + 1}"
    if fit_error is None:
        return f"{told}."
    fine = fit_error <= A_SCENE
    return f"{told}, and shows {'a scene' if fine else 'no clean scene'} (fit error {fit_error:.2f})."


def _write(directory: RunDirectory, result: LatentSum, observer: Observer) -> None:
    both = result.both
    observer.stage("Writing", 1 + sum(2 + len(one.parts) for one in both.values()), "files")
    for end, one in both.items():
        for index, part in enumerate(one.parts):
            directory.write_png(f"{end}parts/{index:05d}.png", part, {"weight": one.weights[index]})
            observer.advance(1)
        directory.write_png(f"{end}result.png", one.drawn, {"weights": list(one.weights)})
        observer.advance(1)
        tensors = {"noises": one.noises, "sum": one.total}
        directory.write_tensors(f"{end}noise.safetensors", tensors, {"weights": json.dumps(one.weights)})
        observer.advance(1)
    directory.write_png("sheet.png", sum_sheet(result))
    observer.advance(1)


def formula(weights: Sequence[float]) -> str:
    """The sum in letters: `A + B - C`, `0.5 A + 0.5 B`."""
    told = []
    for k, weight in enumerate(weights):
        letter = chr(65 + k) if k < 26 else f"x{k + 1}"
        size = "" if abs(weight) == 1 else f"{abs(weight):g} "
        told += [("- " if weight < 0 else "+ ") + size + letter]
    text = " ".join(told)
    return text.removeprefix("+ ") if weights[0] >= 0 else text.replace("- ", "-", 1)


def sum_sheet(result: LatentSum) -> Tensor:
    """The pictures of the noises and, last, that of their sum; a row for each model."""
    rows, labels = [], []
    for one in result.both.values():
        rows.append(sized_as(one.pictures, result.pictures))
        labels.append(owned(one.name, f"A to {chr(64 + min(26, len(one.weights)))}, then\n{formula(one.weights)}"))
    return media.sheet(rows, labels)
