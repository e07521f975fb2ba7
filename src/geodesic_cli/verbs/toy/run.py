"""`geodesic toy`: a density in the plane, the straight line and the geodesic between two places, and pictures of both.

    density (by name, or fitted to points) -> alpha from the bend -> solve -> shoot rays -> measure -> draw

In the plane all that the method does can be seen, and with a closed form it can be checked: whatever is measured here
is measured from the score alone, as for a diffusion model, and then compared with the true log p.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from geodesic_cli import media
from geodesic_cli.errors import InputError
from geodesic_cli.geometry.toys import GaussianMixture, banana, moons, ring
from geodesic_cli.runs.calling import called_from_python
from geodesic_cli.runs.folder import RunDirectory
from geodesic_cli.runs.job import Job
from geodesic_cli.runs.observer import Observer, Silent
from geodesic_cli.settings import ToySettings, from_options, parse_point
from geodesic_cli.verbs.toy.computing import compute
from geodesic_cli.verbs.toy.points import fit_mixture, read_points
from geodesic_cli.verbs.toy.result import FPS, Toy

Place = tuple[float, float]

NAMED = {
    "ring": (ring, (-1.9, 0.6), (1.9, 0.6)),
    "banana": (banana, (-1.9, 0.6), (1.9, 0.6)),
    "moons": (moons, (-2.2, 0.0), (1.9, -0.6)),
}
"""Name -> how to make the density, A and B."""
NEAR_HIGHEST = 2.0
"""Nats. A and B are chosen where the density is at most this far below its highest."""


@called_from_python(ToySettings, a=str | Place | None, b=str | Place | None, points=str | Path | None)
def toy(density: str = "ring", *, observer: Observer | None = None, **options: Any) -> Toy:
    """The geodesic between two places of a density in the plane, in memory; nothing is written.

    Args:
        density: ring, banana or moons; `points`, a file of points, takes its place.
        options: any setting of `settings.ToySettings` but out and overwrite; a and b may be pairs of numbers.
    """
    for name in ("a", "b"):
        if isinstance(options.get(name), Sequence) and not isinstance(options[name], str):
            options[name] = ",".join(repr(float(value)) for value in options[name])
    if options.get("points") is not None:
        options["points"] = str(options["points"])
    settings = from_options(ToySettings, "toy", options, {"density": density})
    return run(Job(settings, observer or Silent()))


def run(job: Job[ToySettings]) -> Toy:
    """Compute and draw. See the module's text and `ToySettings`."""
    density, points, places = _density(job.settings)  # all that may be refused comes before the folder is touched
    with job.in_folder(stem(job.settings)) as job:
        result = compute(job, stem(job.settings).removeprefix("toy-"), density, points, places)
        if job.directory is not None:
            _write(job.directory, job, result)
        return job.done(result, result.metrics["evaluations"]["path"])


def _write(directory: RunDirectory, job: Job[ToySettings], result: Toy) -> None:
    job.observer.stage("Drawing", 3 if job.settings.gif else 2, "pictures")
    result.draw(directory.path("toy.png"))
    job.observer.advance(1)
    result.draw_evolution(directory.path("evolution.png"))
    job.observer.advance(1)
    if job.settings.gif:
        media.write_gif(result.film(), directory.path("evolution.gif"), FPS)
        job.observer.advance(1)
    nodes = result.solution.curve
    directory.write_tensors(
        "path.safetensors",
        {"x": nodes.x, "u": nodes.u, "history": torch.stack([moment.x for moment in result.history])}
        | {f"ray.{k}": ray.x for k, ray in enumerate(result.rays)}
        | {name: getattr(result.density, name) for name in ("means", "scales", "weights")},
        {"density": result.name, "alpha": repr(result.metric.alpha)},
    )


def stem(settings: ToySettings) -> str:
    """What the folder of a run is called below runs/."""
    return f"toy-{settings.density if settings.points is None else Path(settings.points).stem}"


def _density(settings: ToySettings) -> tuple[GaussianMixture, Tensor | None, tuple[Tensor, Tensor]]:
    """The density, the points that it was fitted to, and A and B."""
    points = None
    if settings.points is None:
        make, *usual = NAMED[settings.density]
        density = make()
    else:
        points = read_points(settings.points)
        fit = fit_mixture(points, settings.components, settings.seed)
        density = GaussianMixture(fit.means, fit.scales, fit.weights)
        usual = _far_apart(density)
    a, b = (
        torch.tensor(parse_point(name, text) if text is not None else place, dtype=torch.float64)
        for name, text, place in (("a", settings.a, usual[0]), ("b", settings.b, usual[1]))
    )
    if torch.equal(a, b):
        raise InputError(
            f"A path needs two places; A and B are both {a[0]:g},{a[1]:g}.", "Pass another --a X,Y or --b X,Y."
        )
    return density, points, (a, b)


def _far_apart(density: GaussianMixture) -> list[Place]:
    """The two means that are furthest apart, of those where it is dense; of one, two places on its opposite sides."""
    heights = density.log_prob(density.means)
    means = density.means[heights >= heights.max() - NEAR_HIGHEST]
    if len(means) == 1:
        x, y = means[0].tolist()
        reach = 1.5 * float(density.scales[heights.argmax()])
        return [(x - reach, y), (x + reach, y)]
    one, other = divmod(int(torch.cdist(means, means).argmax()), len(means))
    left, right = sorted([means[one].tolist(), means[other].tolist()])  # A on the left, as one reads
    return [(left[0], left[1]), (right[0], right[1])]
