"""Images as points of one density, joined by geodesics: what `geodesic distance` and `geodesic mean` share.

    images -> encodings z -> points x = a z at noise level tau -> alpha -> links between all of them

The points are those where the density at level tau puts the images without noise (a = sqrt(alpha_bar)), as for clips:
there neighbouring pictures lie in one valley of the metric. The exponent alpha follows from the bend, the median over
all pairs of the bending number of the straight line, so that it means the same in any dimension and for any model.

Each link is on disk as soon as it is found, with the scores that it asked for: a run that was stopped goes on to the
same bytes.
"""

import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import Tensor

from geodesic_cli import media
from geodesic_cli.diffusion import LatentDiffusion
from geodesic_cli.errors import InputError
from geodesic_cli.frames.canvas import Canvas, enough_for, fit, image_names, read_images
from geodesic_cli.frames.keyframes import widest
from geodesic_cli.geometry import (
    DensityMetric,
    DistanceMatrix,
    Link,
    LinkSearch,
    Seen,
    Status,
    Survey,
    bending,
    distance_matrix,
)
from geodesic_cli.runs.job import Job
from geodesic_cli.runs.observer import Observer
from geodesic_cli.runs.plain import aligned
from geodesic_cli.runs.steps import pack, unpack
from geodesic_cli.settings import LinkedOptions

POINTS, LINES = "checkpoint/points.safetensors", "checkpoint/lines.safetensors"
USUAL_LINK, USUAL_NEAR_LINK, NEAR_LINKS = 80, 40, 1.25
"""Evaluations for a link, on average over 66 of them between pictures of one object and over the 15 near ones alone;
and how many near ones there are for each image."""
MOST_LINES = 66
"""Straight lines that alpha is taken from; of more pairs so many, evenly over their lengths."""


@dataclass(frozen=True, eq=False)
class GivenImages:
    """What was asked about, before anything is computed.

    Args:
        model: whose density it is.
        images: (n, 3, h, w), as the model sees them.
        canvas: crops what the model draws.
        names: of the images.
    """

    model: LatentDiffusion
    images: Tensor
    canvas: Canvas
    names: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class LinkedImages:
    """Images as points, and the geodesics between them.

    Args:
        given: the images.
        x: (n, d), at noise level tau.
        survey: the metric, and all that is known of its score.
        bend: the bending number that its alpha means.
        matrix: of the geodesic distances; its anchor is the first image.
    """

    given: GivenImages
    x: Tensor
    survey: Survey
    bend: float
    matrix: DistanceMatrix

    @property
    def log_distances(self) -> Tensor:
        """(n, n), with weight 1 where log p is the mean over the images: no image is special."""
        return self.matrix.log_distances + self.survey.metric.alpha * float(self.matrix.log_densities.nanmean())

    @property
    def euclidean(self) -> Tensor:
        """Distances of the same points in space, (n, n)."""
        return torch.cdist(self.x.cpu(), self.x.cpu(), compute_mode="donot_use_mm_for_euclid_dist")


def given_images(job: Job[LinkedOptions], given: Sequence[str | Path | Tensor], verb: str) -> GivenImages:
    """The images of the settings, or those given in their place, and the model; all refusals come from here."""
    s, observer = job.settings, job.observer
    read, names = _read(s, given, observer)
    if len(read) < 2:
        raise InputError(
            f"A {verb} needs two images; got {len(read)}.",
            "Pass two image files, or a film or a folder of at least two.",
        )
    model = job.load_model()
    images, canvas = fit(read, names, s.size, model, observer, alike=True)
    model.latent_shape(*canvas.padded)  # refuses a size that the model cannot take
    return GivenImages(model, canvas.pad(images), canvas, names)


def _read(
    s: LinkedOptions, given: Sequence[str | Path | Tensor], observer: Observer
) -> tuple[Sequence[Tensor | media.Still], tuple[str, ...]]:
    pictures = tuple(given or s.images)
    source = pictures[0]
    if len(pictures) > 1 or isinstance(source, Tensor):
        if s.start is not None or s.stop is not None:
            raise InputError("--start and --stop are for a film or a folder; got images.", "Leave them out.")
        pictures = pictures[:: s.stride][: s.max_frames]
        return read_images(pictures, observer, s.size), image_names(pictures)
    if s.start is None and s.stop is None:
        every = media.read_frames(source, observer.warn, enough=enough_for(s.size))
        stills, names = zip(*every[:: s.stride][: s.max_frames], strict=True)
        return stills, names
    cut: dict[str, Any] = {name: getattr(s, name) for name in ("start", "stop", "stride", "max_frames")}
    frames = list(media.stream_sequence(str(source), warn=observer.warn, **cut))
    return [frame.image for frame in frames], tuple(frame.name for frame in frames)


def linked(job: Job[LinkedOptions], given: GivenImages, near: bool = False) -> LinkedImages:
    """The images as points, with all links between them, or with those that `near` leaves (see `distance_matrix`).

    Links of an earlier session are taken over.
    """
    s, model = job.settings, given.model
    n = len(given.images)
    about = job.begun_with(given.images, model)
    job.observer.stage("Encoding", n, "images")
    made = job.kept(POINTS, lambda: {"x": widest(model.ridge(model.encode(given.images), s.tau)).cpu()}, about)
    job.observer.advance(n)
    x = made["x"].to(model.device)
    score = model.score(model.latent_shape(*given.canvas.padded), s.tau, model.prompts.along((s.prompt,)), s.guidance)
    search = LinkSearch(tol=s.tol, max_steps=s.max_steps, nodes=s.nodes)
    survey = Survey(DensityMetric(score, 1.0), search)
    bend = _take_alpha(job, survey, x)
    known = _known_links(job, x)
    pairs = n * (n - 1) // 2
    job.observer.stage("Linking", pairs, "pairs")
    if known:
        job.observer.advance(min(len(known), pairs))
    count = len(known)

    def keep(i: int, j: int, link: Link) -> None:
        nonlocal count
        if job.directory is not None:
            tensors, tree = pack(link)
            job.directory.write_tensors(_checkpoint(count), tensors, {"link": json.dumps(tree)})
        count += 1
        if count <= pairs:
            job.observer.advance(1, f"images {i + 1} and {j + 1}")

    matrix = distance_matrix(survey.metric, x, survey=survey, known=known, on_link=keep, near=near)
    job.observer.advance(max(0, pairs - count))
    return LinkedImages(given, x, survey, bend, matrix)


def _checkpoint(number: int) -> str:
    return f"checkpoint/link-{number:05d}.safetensors"


def _known_links(job: Job[LinkedOptions], x: Tensor) -> list[Link]:
    """The links that an earlier session found, in their order."""
    links: list[Link] = []
    while job.directory is not None and job.directory.has(_checkpoint(len(links))):
        tensors, about = job.directory.read_tensors(_checkpoint(len(links)))
        links.append(unpack(tensors, json.loads(about["link"]), x.device, Link))
    return links


def _take_alpha(job: Job[LinkedOptions], survey: Survey, x: Tensor) -> float:
    """Give the survey its alpha, from straight lines between the images where only the bend is given; the bend."""
    s, n = job.settings, len(x)
    far = torch.cdist(x.cpu(), x.cpu())
    pairs = sorted((float(far[i, j]), i, j) for i in range(n) for j in range(i + 1, n))
    step = -(-len(pairs) // MOST_LINES)
    chosen = [(x[i], x[j]) for length, i, j in pairs[step // 2 :: step] if length > 0]
    if not chosen:
        return 0.0
    job.observer.stage("Looking at straight lines", len(chosen), "lines")

    def asked() -> dict[str, Tensor]:
        for ends in chosen:
            survey.straight(*ends)
            job.observer.advance(1)
        return vars(survey.since(0))

    made = job.kept(LINES, asked)
    if survey.known == 0:
        survey.learn(Seen(**made), x)
    per_alpha = median(bending(survey.metric.score, survey.straight(*ends).curve) for ends in chosen)
    alpha = s.alpha if s.alpha is not None else s.bend / per_alpha if per_alpha > 0 else 0.0
    survey.take_alpha(alpha)
    return alpha * per_alpha


def drawn(images: LinkedImages, x: Tensor, tau: float) -> Tensor:
    """Pictures (m, 3, h, w) of points (m, d) at noise level tau, on the CPU."""
    given = images.given
    shape = given.model.latent_shape(*given.canvas.padded)
    return given.canvas.crop(given.model.decode(given.model.from_ridge(x, tau).float(), shape)).cpu()


WAYS_OUT = {
    "raise --max-steps": {Status.MAX_STEPS, Status.BUDGET},
    "raise --tol": {Status.SETTLED},
    "pass --dtype float32": {Status.NON_FINITE},
}
"""What may help where a path ended in one of these ways; a lower bend helps everywhere."""


def way_out(statuses: Iterable[Status]) -> str:
    """What to do about paths that ended so and are no geodesics to the tolerance, as a sentence."""
    found = set(statuses)
    words = [*(words for words, helped in WAYS_OUT.items() if helped & found), "lower --bend"]
    return f"{', or '.join(words).capitalize()}."


@dataclass(frozen=True)
class LinkPlan:
    """What a run will cost, before it is run.

    Args:
        stages: name -> evaluations of the score, about.
        per_evaluation: seconds for one, as timed in a batch of 4.
    """

    stages: dict[str, int]
    per_evaluation: float

    @property
    def metrics(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {
            "stages": self.stages,
            "evaluations": sum(self.stages.values()),
            "seconds": self.per_evaluation * sum(self.stages.values()),
            "seconds_per_evaluation": self.per_evaluation,
        }

    @property
    def text(self) -> str:
        """A table and a sentence."""
        rows = [(name, str(count), f"{count * self.per_evaluation:.1f} s") for name, count in self.stages.items()]
        total = sum(self.stages.values())
        rows.append(("in all, about", str(total), f"{total * self.per_evaluation:.1f} s"))
        legend = f"{1e3 * self.per_evaluation:.1f} ms an evaluation; the solver's own work comes on top."
        return "\n".join([*aligned(("stage", "evaluations", "about"), rows, str.ljust), legend])


def link_plan(job: Job[LinkedOptions], given: GivenImages, more: dict[str, int], near: bool = False) -> LinkPlan:
    """The plan of a run on these images; makes one timed call of the score, after one to warm up.

    Args:
        job: what is asked.
        given: the images.
        more: further stages -> their evaluations, about.
        near: as in `linked`.
    """
    s, model, n = job.settings, given.model, len(given.images)
    shape = model.latent_shape(*given.canvas.padded)
    score = model.score(shape, s.tau, model.prompts.along((s.prompt,)), s.guidance)
    x = torch.randn(4, torch.Size(shape).numel(), generator=torch.Generator().manual_seed(0)).to(model.device)
    seconds = 0.0
    for _ in range(2):
        began = time.perf_counter()
        score(x, torch.zeros(4, device=x.device)).sum().item()  # waits for the device
        seconds = time.perf_counter() - began
    pairs = n * (n - 1) // 2
    links = USUAL_NEAR_LINK * min(pairs, round(NEAR_LINKS * n)) if near else USUAL_LINK * pairs
    stages = {"Looking at straight lines": 9 * pairs, "Linking": links, **more}
    return LinkPlan(stages, seconds / 4)
