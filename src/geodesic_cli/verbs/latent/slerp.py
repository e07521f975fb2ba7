"""`geodesic latent slerp`: from one noise to another along the great circle, and how the images change on the way.

Noise in d dimensions lies close to a sphere of radius sqrt(d), so the way from one noise to another that stays where
noise is follows the great circle of the directions, with the norm going geometrically from one end's to the other's.
The straight line dips to a norm of sqrt(1/2) in the middle, where the model has never been; --compare shows what it
makes of that.

What is measured: the perceptual length of the frames and its evenness (`evaluation.path_length`); the relative length
of the path in clean latents, Σ |z_k+1 - z_k| / |z_K - z_0|, 1 where it is straight; and for models of rendered scenes
the error of the scene that explains a frame best, an independent judge of whether a frame shows anything valid.
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
from geodesic_cli.diffusion import Embedding, LatentDiffusion
from geodesic_cli.distortion.measures import relative_length
from geodesic_cli.errors import InputError
from geodesic_cli.evaluation import Distance, path_perception
from geodesic_cli.evaluation.likeness import perceptual_distance, summary
from geodesic_cli.frames.canvas import Canvas, fit, image_names, read_images
from geodesic_cli.frames.journey import Journey
from geodesic_cli.geometry import RadialProfile, linalg
from geodesic_cli.runs.calling import called_from_python
from geodesic_cli.runs.folder import RunDirectory
from geodesic_cli.runs.job import Job, in_memory, told_model
from geodesic_cli.runs.observer import Observer
from geodesic_cli.runs.opening import AnyModel
from geodesic_cli.runs.room import frame_bytes, require_room
from geodesic_cli.scenes import fit_all
from geodesic_cli.settings import JOINS, SlerpSettings
from geodesic_cli.settings.shared import ground_of
from geodesic_cli.settings.vocabulary import PATH_NAMES
from geodesic_cli.verbs.latent.beside import SideBySide, opened, owned, sized_as, stage_of
from geodesic_cli.verbs.latent.survival import warn_of_structure

EVEN = 1.5
"""A path whose largest step is at most so many times the mean one changes evenly."""
PATHS_SHOWN = 8
"""Paths on the sheet: the first ones."""


@dataclass(frozen=True, eq=False, repr=False)
class LatentPaths(SideBySide):
    """Paths in noise and their frames.

    Args:
        ends: (pairs, 2, d), the noises that are joined.
        frames: by method, (pairs, frames, 3, h, w).
        u: positions of the frames, (frames,).
    """

    ends: Tensor
    frames: dict[str, Tensor]
    u: Tensor

    @property
    def pictures(self) -> Tensor:
        """The frames of all paths of the method that was asked for, one path after the other."""
        return self.frames[self.settings.method].flatten(0, 1)

    def _page(self) -> Tensor:
        return slerp_sheet(self, self.settings.method)


@called_from_python(SlerpSettings)
def latent_slerp(
    *images: media.Picture | Sequence[media.Picture],
    model: AnyModel = "clevr-mini",
    against: AnyModel | None = None,
    observer: Observer | None = None,
    **options: Any,
) -> LatentPaths:
    """Join two images in noise, or random noises where no image is given; in memory, nothing is written.

    Args:
        images: none, or two: files, PIL images, numpy arrays (h, w, 3) or tensors (3, h, w), with floating-point values
            in [0, 1] or whole numbers; or a batch of two.
        against: a second model.
        options: any setting of `settings.SlerpSettings` but images, against, out and overwrite.
    """
    given = media.pictures(images)
    other, second = (None, None) if against is None else told_model(against, "latent_slerp")
    fixed = {"images": image_names(given), "against": other}
    return run(in_memory(SlerpSettings, "latent_slerp", model, options, observer, **fixed), given, second)


def run(
    job: Job[SlerpSettings], given: Sequence[str | Path | Tensor] = (), against: LatentDiffusion | None = None
) -> LatentPaths:
    """Join, draw and measure; images that are given take the place of files. See the module's text, `SlerpSettings`.

    Two models join the same random noises, where their noise has the same shape, or each its own of the same images.
    """
    s, observer = job.settings, job.observer
    read = read_images(given or s.images, observer, s.size, ground_of(s.background))
    models, names = opened(job, against)
    # All that may be refused comes before the folder is touched.
    ready = [_ready(s, model, read, observer, name) for model, name in zip(models, names, strict=True)]
    with job.in_folder(stem(s)) as job:
        found = [_paths(s, one, observer) for one in ready]
        result = found[0].beside(found[1:])
        if job.directory is not None:
            _write(job.directory, s, result, observer)
        return job.done(result, result.evaluations)


def stem(settings: SlerpSettings) -> str:
    """What the folder of a run is called below runs/."""
    ends = "-to-".join(Path(image).stem for image in settings.images)
    return f"slerp-{ends}" if ends else "slerp"


def join(a: Tensor, b: Tensor, u: Tensor, method: str) -> Tensor:
    """Points (m, d) at positions u (m,) between noises a and b (d,), along the great circle or the straight line."""
    if method == "lerp":
        return torch.lerp(a.expand(len(u), -1), b.expand(len(u), -1), u[:, None].to(a))
    profile = RadialProfile(float(a.norm()), float(b.norm()))
    on_sphere = linalg.slerp(a * (profile.radius / a.norm()), b * (profile.radius / b.norm()), u.to(a))
    return profile.lift(on_sphere, u.to(a))


@dataclass(frozen=True, eq=False)
class _Ready:
    """What was made ready: both images or None, one prompt's embedding or two, a perceptual distance and its key.

    The name is that of the model, where there are two.
    """

    journey: Journey
    images: Tensor | None
    condition: Embedding
    key: str
    distance: Distance
    name: str


def _ready(
    s: SlerpSettings, model: LatentDiffusion, read: list[Tensor | media.Still], observer: Observer, name: str
) -> _Ready:
    condition = Embedding.cat([model.prompts.embed(prompt) for prompt in s.prompt or ("",)])
    key, distance = perceptual_distance(s.lpips, s.metric_weights, str(model.device), observer.warn)
    images, canvas = fit(read, s.images, s.size, model, observer) if read else (None, Canvas.of(model, s.size))
    if images is not None and torch.equal(images[0], images[1]):
        raise InputError("The two images are the same; there is no path between them.", "Pass two different images.")
    journey = Journey(model, canvas, s.tau, s.steps, s.guidance, s.scheme, fresh=images is None)
    model.latent_shape(*canvas.padded)  # refuses a size that the model cannot take
    frame = frame_bytes(canvas.height, canvas.width) * (len(JOINS) if s.compare else 1)
    require_room({"frames": (s.frames, frame if read else frame * s.pairs)})
    return _Ready(journey, images, condition, key, distance, name)


def _paths(s: SlerpSettings, ready: _Ready, observer: Observer) -> LatentPaths:
    began = time.monotonic()
    journey, distance = ready.journey, ready.distance
    ends, spent = _ends(s, ready, observer)
    u = torch.linspace(0, 1, s.frames, dtype=torch.float64)
    conditions = ready.condition[0].lerp(ready.condition[len(ready.condition) - 1], u)  # of one prompt, or joined
    wanted = [method for method in JOINS if s.compare or method == s.method]
    frames: dict[str, Tensor] = {}
    measures: dict[str, Any] = {}
    observer.stage(stage_of("Drawing", ready.name), len(wanted) * len(ends) * s.frames, "frames")
    for method in wanted:
        rows, lengths = [], []
        for a, b in ends:
            x = join(a, b, u.to(torch.float32), method)
            z = journey.down(x, conditions)
            rows.append(journey.decode(z))
            lengths.append(float(relative_length(z.cpu()[None])[0]))
            observer.advance(s.frames)
        frames[method] = torch.stack(rows)
        measures[method] = _measured(frames[method], distance, s.fit) | {"relative_length": lengths}
    drawn = len(wanted) * len(ends) * s.frames * journey.evaluations[1]
    metrics = {
        "pairs": len(ends),
        "images": list(s.images),
        **{name: getattr(s, name) for name in ("method", "frames", "tau", "steps", "scheme", "guidance", "seed")},
        "perceptual": getattr(distance, "name", ready.key),
        "norms": (ends.norm(dim=2) / ends.shape[2] ** 0.5).tolist(),
        "paths": {method: found | {"summary": summary(found)} for method, found in measures.items()},
        "evaluations": spent + drawn,
        "seconds": round(time.monotonic() - began, 3),
    }
    status = evenness(metrics["paths"][s.method]["summary"]["largest_share"]["mean"])
    return LatentPaths(ends, frames, u, name=ready.name, metrics=metrics, status=status, settings=s)


def evenness(largest: float) -> str:
    """Whether images change evenly along a path whose largest step is so many times the mean one."""
    if not largest > EVEN:
        return "The images change evenly from frame to frame."
    return (
        f"The images change in jumps: the largest step is {largest:.1f} times the mean one. `geodesic interpolate` "
        "spaces its frames evenly, and more --frames show what happens in a jump."
    )


def _ends(s: SlerpSettings, ready: _Ready, observer: Observer) -> tuple[Tensor, int]:
    """Ends (pairs, 2, d), and the network evaluations spent on them."""
    journey = ready.journey
    if ready.images is None:
        noise = torch.randn(s.pairs, 2, *journey.shape, generator=torch.Generator().manual_seed(s.seed))
        return noise.flatten(2), 0
    spent = 2 * journey.evaluations[0]
    observer.stage("Inverting", spent)
    both = ready.condition if len(ready.condition) == 2 else ready.condition.expand(2)
    x = journey.up(journey.encode(ready.images), both).cpu()
    observer.advance(spent)
    if s.tau == 1:
        warn_of_structure(x, journey.shape, s.images, observer, ready.name)
    return x[None], spent


def _measured(frames: Tensor, distance: Distance, fit: bool) -> dict[str, list[float]]:
    """Measures of each path, by name; frames (pairs, m, 3, h, w)."""
    found = [path_perception(path, distance) for path in frames]
    lists = {name: [float(getattr(one, name)) for one in found] for name in ("path_ppl", "pdv", "std", "largest_share")}
    if fit:
        errors = torch.tensor([one.error for one in fit_all(frames.flatten(0, 1))]).reshape(frames.shape[:2])
        lists["fit_error_mean"] = errors.mean(1).tolist()
        lists["fit_error_worst"] = errors.amax(1).tolist()
    return lists


def _write(directory: RunDirectory, s: SlerpSettings, result: LatentPaths, observer: Observer) -> None:
    both = result.both
    observer.stage("Writing", 1 + len(both) * (result.frames[s.method][:, :, 0, 0, 0].numel() + 2), "files")
    for end, one in both.items():
        main = one.frames[s.method]
        for pair, path in enumerate(main):
            for index, frame in enumerate(path):
                directory.write_png(f"{end}frames/{pair:03d}/{index:05d}.png", frame, {"u": float(one.u[index])})
                observer.advance(1)
        media.write_gif(main.flatten(0, 1), directory.path(f"{end}video.gif"), s.fps)
        observer.advance(1)
        about = {"tau": str(s.tau), "model": str(s.against if end else s.model)}
        about |= {"method": s.method, "seed": json.dumps(s.seed)}
        directory.write_tensors(f"{end}path.safetensors", {"ends": one.ends, "u": one.u}, about)
        observer.advance(1)
    directory.write_png("sheet.png", slerp_sheet(result, s.method))
    observer.advance(1)


def slerp_sheet(result: LatentPaths, method: str) -> Tensor:
    """The frames of the first paths, a row a path, method and model; the rows of a method are marked."""
    pairs = len(result.frames[method])
    rows: list[Tensor] = []
    labels, marked = [], []
    for pair in range(min(PATHS_SHOWN, pairs)):
        for one in result.both.values():
            for name, frames in one.frames.items():
                marked += [len(rows)] if name == method and len(one.frames) > 1 else []
                rows.append(sized_as(frames[pair], result.frames[method][pair]))
                labels.append(owned(one.name, PATH_NAMES[name] if pairs == 1 else f"{pair} {PATH_NAMES[name]}"))
    marks = media.SheetMarks(written=tuple(marked))
    return media.sheet(rows, labels, marks)
