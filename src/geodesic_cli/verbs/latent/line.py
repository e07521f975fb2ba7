"""`geodesic latent line`: straight on through one noise, -2 to 2 lengths of it, along directions that matter.

    x(s) = |x| (x + s v) / |x + s v|,    v of the length of x,    s from -reach to reach

The norm stays, as noise lives near a sphere, so s = 1 is a turn by 45 degrees. The directions v are the right singular
vectors of the Jacobian J of the model's bottleneck h at x, on the sphere, by falling singular value: along the first of
them the encoder sees the most change (Park et al., NeurIPS 2023; for an isometry all directions are alike). Or they are
random ones, or a direction that `geodesic latent direction` has found, in its own length. A random direction of the
same length is drawn beside the others, so that one sees what is due to the direction and what to the mere step.
"""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from geodesic_cli import media
from geodesic_cli.diffusion import LatentDiffusion
from geodesic_cli.errors import InputError
from geodesic_cli.evaluation import Pyramid, normality, why_not_noise
from geodesic_cli.evaluation.path_length import pair_distances
from geodesic_cli.frames.canvas import image_names, read_images
from geodesic_cli.frames.journey import conditions
from geodesic_cli.runs.calling import called_from_python
from geodesic_cli.runs.folder import RunDirectory
from geodesic_cli.runs.job import Job, in_memory, told_model
from geodesic_cli.runs.observer import Observer
from geodesic_cli.runs.opening import AnyModel
from geodesic_cli.runs.room import frame_bytes, require_room
from geodesic_cli.settings import LineSettings
from geodesic_cli.settings.latent import RANDOM, SPECTRUM
from geodesic_cli.settings.shared import ground_of
from geodesic_cli.verbs.latent.beside import SideBySide, opened, owned, sized_as, stage_of
from geodesic_cli.verbs.latent.direction import move
from geodesic_cli.verbs.latent.noises import Noises, made_ready, noises_of
from geodesic_cli.verbs.latent.spectrum import BESIDE, direction_of, line_vectors

LINES_SHOWN = 12
"""Lines on the sheet, of each model: the first ones."""


@dataclass(frozen=True, eq=False, repr=False)
class LatentLines(SideBySide):
    """Lines through noises and their pictures.

    Args:
        noises: (n, d), the middle of the lines.
        vectors: (n, lines, d), along which they go, as long as one unit of strength.
        names: of the lines of a noise.
        frames: (n, lines, frames, 3, h, w).
        strengths: (frames,), how far each picture is.
    """

    noises: Tensor
    vectors: Tensor
    names: tuple[str, ...]
    frames: Tensor
    strengths: tuple[float, ...]

    @property
    def pictures(self) -> Tensor:
        """The pictures, one line after the other."""
        return self.frames.flatten(0, 2)

    def _page(self) -> Tensor:
        return line_sheet(self)


@called_from_python(LineSettings)
def latent_line(
    *images: media.Picture | Sequence[media.Picture],
    model: AnyModel = "clevr-mini",
    against: AnyModel | None = None,
    observer: Observer | None = None,
    **options: Any,
) -> LatentLines:
    """Go along lines through noises and see how the images change; in memory, nothing is written.

    Args:
        images: whose noises the lines go through: files, PIL images, numpy arrays (h, w, 3) or tensors (3, h, w), with
            floating-point values in [0, 1] or whole numbers; or a batch. Random noises where there are none.
        against: a second model.
        options: any setting of `settings.LineSettings` but images, against, out and overwrite.
    """
    given = media.pictures(images)
    other, second = (None, None) if against is None else told_model(against, "latent_line")
    fixed = {"images": image_names(given), "against": other}
    return run(in_memory(LineSettings, "latent_line", model, options, observer, **fixed), given, second)


def run(
    job: Job[LineSettings], given: Sequence[str | Path | Tensor] = (), against: LatentDiffusion | None = None
) -> LatentLines:
    """Go along the lines; images that are given take the place of files. See the module's text and `LineSettings`."""
    s, observer = job.settings, job.observer
    read = read_images(given or s.images, observer, s.size, ground_of(s.background))
    along = None if s.along in (SPECTRUM, RANDOM) else direction_of(s.along)
    models, names = opened(job, against)
    count = len(read) or s.noises
    ready = []
    for model, name in zip(models, names, strict=True):
        ready.append(made_ready(s, model, read, conditions(model, s.prompt, count), observer, name))
        _require_fit(ready[-1], along, s, count)
    with job.in_folder(stem(s)) as job:
        found = [_lines(s, noises_of(one, s, count, observer), along, observer) for one in ready]
        result = found[0].beside(found[1:])
        if job.directory is not None:
            _write(job.directory, result, observer)
        return job.done(result, result.evaluations)


def stem(settings: LineSettings) -> str:
    """What the folder of a run is called below runs/."""
    return "-".join(["line", *(Path(image).stem for image in settings.images[:1])])


def _require_fit(ready: Noises, along: Tensor | None, s: LineSettings, count: int) -> None:
    """Refuse a direction of other noises, more directions than there are, or more pictures than memory holds."""
    journey, canvas = ready.journey, ready.journey.canvas
    d = torch.Size(journey.shape).numel()
    if along is not None and len(along) != d:
        raise InputError(
            f"The direction {s.along} has {len(along)} dimensions, and the noise of {journey.model.name} has {d}.",
            "Pass the --model and the --size that it was found with.",
        )
    if s.directions > d - 2:
        raise InputError(
            f"The noise of {journey.model.name} has {d} dimensions; got --directions {s.directions}.", "Pass fewer."
        )
    lines = 1 + (s.directions if along is None else 1)
    require_room({"frames": (s.frames, count * lines * frame_bytes(canvas.height, canvas.width))})


def _lines(s: LineSettings, noises: Noises, along: Tensor | None, observer: Observer) -> LatentLines:
    began = time.monotonic()
    journey, x = noises.journey, noises.points
    vectors, names, spectrum = line_vectors(s, noises, along, observer)
    strengths = tuple(s.reach * (2 * k / (s.frames - 1) - 1) for k in range(s.frames))
    count, lines = vectors.shape[:2]
    observer.stage(stage_of("Drawing", noises.name), count * lines * s.frames, "pictures")
    rows, went = [], []
    for k in range(count):
        condition = noises.condition[k]
        for vector in vectors[k]:
            points = torch.cat([move(x[k : k + 1], vector, strength) for strength in strengths])
            went.append(points)
            rows.append(journey.draw(points, condition.expand(len(points))))
            observer.advance(len(points))
    frames = torch.stack(rows).unflatten(0, (count, lines))
    if s.tau == 1:
        _warn_of_leaving(torch.cat(went), noises, observer)
    change = _changes(frames)
    drawn = count * lines * s.frames * journey.evaluations[1]
    metrics = {
        "noises": count,
        "images": list(s.images),
        "lines": list(names),
        "along": s.along,
        "strengths": list(strengths),
        **{name: getattr(s, name) for name in ("tau", "steps", "scheme", "guidance", "seed")},
        **spectrum,
        "change": {name: change[line].tolist() for line, name in enumerate(names)},
        "perceptual": Pyramid().name,
        "evaluations": drawn + (0 if noises.images is None else count * journey.evaluations[0]),
        "seconds": round(time.monotonic() - began, 3),
    }
    status = along_which(names, change.amax(1).tolist(), s.reach)
    found = (x, vectors, names, frames, strengths)
    return LatentLines(*found, name=noises.name, metrics=metrics, status=status, settings=s)


def _warn_of_leaving(points: Tensor, noises: Noises, observer: Observer) -> None:
    """Warn where points (m, d) on the lines are plainly no noise: what is drawn there says little."""
    why = [words for words in map(why_not_noise, normality(points, noises.journey.shape)) if words]
    if why:
        of = f"{noises.name}: " if noises.name else ""
        observer.warn(
            f"{of}{len(why)} of {len(points)} points on the lines are not like noise ({why[0]}): what is drawn there "
            "may be nothing that the model knows. Pass a smaller --reach."
        )


def _changes(frames: Tensor) -> Tensor:
    """How far each picture looks from the middle one of its line, (lines, frames), a mean over noises."""
    count, lines, many = frames.shape[:3]
    middle = frames[:, :, many // 2 : many // 2 + 1].expand_as(frames)
    return pair_distances(frames.flatten(0, 2), middle.flatten(0, 2), Pyramid()).reshape(count, lines, many).mean(0)


def along_which(names: Sequence[str], most: Sequence[float], reach: float) -> str:
    """Along which of the lines the pictures change most, beside a random one.

    Args:
        names: of the lines.
        most: the largest change on each.
        reach: how far they go.
    """
    best = max(range(len(names)), key=lambda k: most[k])
    told = f"Between -{reach:g} and {reach:g} the pictures change most along {names[best]} ({most[best]:.3f})"
    if BESIDE not in names:
        return f"{told}, least along {names[min(range(len(names)), key=lambda k: most[k])]} ({min(most):.3f})."
    chance = most[names.index(BESIDE)]
    if names[best] == BESIDE:
        return f"{told}: the directions that were asked for change less than that."
    return f"{told}, along a random direction of the same length by {chance:.3f}."


def _write(directory: RunDirectory, result: LatentLines, observer: Observer) -> None:
    both = result.both
    observer.stage("Writing", 1 + sum(1 + len(one.pictures) for one in both.values()), "files")
    for end, one in both.items():
        for noise, lines in enumerate(one.frames):
            for number, line in enumerate(lines):
                for index, frame in enumerate(line):
                    about = {"line": one.names[number], "strength": one.strengths[index]}
                    directory.write_png(f"{end}frames/{noise:03d}/{number:03d}/{index:05d}.png", frame, about)
                    observer.advance(1)
        tensors = {"noises": one.noises, "vectors": one.vectors.contiguous()}
        told = {"names": json.dumps(one.names), "strengths": json.dumps(one.strengths)}
        directory.write_tensors(f"{end}lines.safetensors", tensors, told)
        observer.advance(1)
    directory.write_png("sheet.png", line_sheet(result))
    observer.advance(1)


def line_sheet(result: LatentLines) -> Tensor:
    """A row a line, from the one end to the other; the lines of a second model below those of the first."""
    middle, last = len(result.strengths) // 2, result.strengths[-1]
    words = f"the noise itself; from left to right -{last:g} to {last:g}"
    marks = media.SheetMarks(given=(middle,), given_words=words)
    rows, labels = [], []
    for one in result.both.values():
        several = len(one.frames) > 1
        for k, line in enumerate(one.frames.flatten(0, 1)[:LINES_SHOWN]):
            noise, number = divmod(k, len(one.names))
            words = f"noise {noise + 1}\n{one.names[number]}" if several else one.names[number]
            rows.append(sized_as(line, result.frames[0, 0]))
            labels.append(owned(one.name, words.replace(", ", ",\n")))
    return media.sheet(rows, labels, marks)
