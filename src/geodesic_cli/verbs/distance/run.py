"""`geodesic distance`: images, the geodesics between all pairs of them, and what their lengths say.

    read -> encode -> link all pairs -> matrix with uncertainties -> heat map, map in the plane, neighbours, table

The distance in the same latents without the metric stands beside everything, for comparison.
"""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from geodesic_cli import media, plots
from geodesic_cli.diffusion.score import guided_evaluations
from geodesic_cli.frames.canvas import image_names
from geodesic_cli.frames.linked import GivenImages, LinkedImages, LinkPlan, given_images, link_plan, linked, way_out
from geodesic_cli.geometry import DistanceMatrix, Status
from geodesic_cli.geometry.sets.scaling import classical_scaling
from geodesic_cli.runs.calling import called_from_python
from geodesic_cli.runs.job import Job, RunResult, in_memory
from geodesic_cli.runs.observer import Observer
from geodesic_cli.runs.opening import AnyModel
from geodesic_cli.settings import DistanceSettings
from geodesic_cli.verbs.distance.table import PairRow, csv_of_pairs, pair_rows


@dataclass(frozen=True, eq=False, repr=False)
class Distances(RunResult):
    """The distances between n images.

    Args:
        names: of the images.
        images: (n, 3, h, w), at the size of the run.
        distances: (n, n), 0 on the diagonal, in units of the latents where the density is that of the images, on
            average; nan where no path with finite scores leads.
        spreads: how far the logarithms of the distances may be off, (n, n).
        converged: (n, n), whether the path between two images is a geodesic to the tolerance.
        euclidean: (n, n), distances of the same latents in space.
        points: (n, 2), the images in the plane, by the geodesic distances; nan for one without distances.
        share: of the squared distances that the plane holds.
        matrix: the links and all that was measured of them.
    """

    names: tuple[str, ...]
    images: Tensor
    distances: Tensor
    spreads: Tensor
    converged: Tensor
    euclidean: Tensor
    points: Tensor
    share: float
    matrix: DistanceMatrix

    @property
    def not_converged(self) -> list[tuple[int, int]]:
        """The pairs, numbered from 0, whose path is not a geodesic to the tolerance."""
        return [(int(i), int(j)) for i, j in (~self.converged).triu().nonzero()]

    def draw(self, file: Path) -> None:
        """Write the heat map of the distances, with that of the same latents beside it, as a PNG."""
        maps = {"geodesic distance": self.distances.tolist(), "distance in latents": self.euclidean.tolist()}
        plots.distance_maps(maps, self.not_converged, file)

    def nearest(self, count: int) -> list[list[int]]:
        """The numbers, from 0, of the nearest images to each, nearest first."""
        far = torch.where(self.distances.isnan(), math.inf, self.distances)
        orders = far.fill_diagonal_(-1.0).argsort(dim=1, stable=True)
        return [
            [int(k) for k in order[1 : count + 1] if math.isfinite(float(far[i, k]))] for i, order in enumerate(orders)
        ]


@called_from_python(DistanceSettings)
def distance(
    *images: media.Picture | Sequence[media.Picture],
    model: AnyModel = "clevr-mini",
    observer: Observer | None = None,
    **options: Any,
) -> Distances:
    """Measure the geodesic distances between images in memory; nothing is written.

    Args:
        images: two or more, each a file, a PIL image, a numpy array (h, w, 3) or a tensor (3, h, w), with
            floating-point values in [0, 1] or whole numbers; or a batch of them, or one film, GIF or folder of frames.
        options: any setting of `settings.DistanceSettings` but images, out, resume and overwrite.
    """
    given = media.pictures(images)
    return run(in_memory(DistanceSettings, "distance", model, options, observer, images=image_names(given)), given)


def run(job: Job[DistanceSettings], given: Sequence[str | Path | Tensor] = ()) -> Distances:
    """Measure the distances between the images of the settings, or those given in their place."""
    ready = given_images(job, given, "distance")  # all that may be refused comes before the folder is touched
    with job.in_folder(stem(job.settings)) as job:
        return _Work(**vars(job)).run(ready)


def dry_run(job: Job[DistanceSettings]) -> LinkPlan:
    """What the run will cost, with everything refused that the run would refuse; nothing is written."""
    return link_plan(job, given_images(job, (), "distance"), {})


def stem(settings: DistanceSettings) -> str:
    """What the folder of a run is called below runs/."""
    return f"distances-of-{Path(settings.images[0]).resolve().stem}"


@dataclass(frozen=True, eq=False)
class _Work(Job[DistanceSettings]):
    def run(self, given: GivenImages) -> Distances:
        began = time.monotonic()
        s, found = self.settings, linked(self, given)
        matrix, n = found.matrix, len(given.images)
        distances = found.log_distances.exp()
        converged = torch.eye(n, dtype=torch.bool)
        for (i, j), ended in matrix.statuses.items():
            converged[i, j] = converged[j, i] = ended is Status.CONVERGED
        points, share = _in_the_plane(distances)
        flat, flat_share = _in_the_plane(found.euclidean)
        rows = pair_rows(found)
        spent = guided_evaluations(s.guidance) * found.survey.known
        metrics: dict[str, Any] = {
            "images": list(given.names),
            **{name: getattr(s, name) for name in ("tau", "guidance", "tol")},
            "dimension": found.x.shape[1],
            "alpha": found.survey.metric.alpha,
            "bend": found.bend,
            "distances": distances.tolist(),
            "plus_minus": (distances * matrix.spreads.expm1()).tolist(),
            "euclidean": found.euclidean.tolist(),
            "not_converged": [[row.first + 1, row.last + 1] for row in rows if not row.converged],
            "log_densities": (matrix.log_densities - matrix.log_densities.nanmean()).tolist(),
            "mismatch": matrix.mismatch,
            "plane": {
                "points": points.tolist(),
                "share": share,
                "euclidean": flat.tolist(),
                "euclidean_share": flat_share,
            },
            "evaluations": spent,
            "seconds": round(time.monotonic() - began, 3),
        }
        status = _sentence(rows, n, way_out(set(matrix.statuses.values()) - {Status.CONVERGED}))
        shown = given.canvas.crop(given.images)
        result = Distances(
            given.names, shown, distances, matrix.spreads, converged, found.euclidean, points, share, matrix,
            metrics=metrics, status=status,
        )  # fmt: skip
        metrics["nearest"] = [[image + 1 for image in near] for near in result.nearest(s.neighbours)]
        if self.directory is not None:
            self._write(result, rows, found, flat, flat_share)
        return self.done(result, spent)

    def _write(
        self, result: Distances, rows: list[PairRow], found: LinkedImages, flat: Tensor, flat_share: float
    ) -> None:
        directory = self.directory
        assert directory is not None
        self.observer.stage("Writing", 4 + len(result.images), "files")
        for k, image in enumerate(result.images):
            directory.write_png(f"images/{k:05d}.png", image)
            self.observer.advance(1)
        directory.write_text("distances.csv", csv_of_pairs(rows, result.names))
        self.observer.advance(1)
        result.draw(directory.path("distances.png"))
        self.observer.advance(1)
        plots.images_in_plane(
            {
                f"geodesic: {100 * result.share:.0f}% of the squared distances": result.points.tolist(),
                f"in latents: {100 * flat_share:.0f}% of the squared distances": flat.tolist(),
            },
            result.images.permute(0, 2, 3, 1).tolist(),
            directory.path("plane.png"),
        )
        self.observer.advance(1)
        tensors = {"x": found.x, "distances": result.distances, "spreads": result.spreads, "points": result.points}
        directory.write_tensors("distances.safetensors", tensors | {"euclidean": result.euclidean})
        self.observer.advance(1)


def _in_the_plane(distances: Tensor) -> tuple[Tensor, float]:
    """Points (n, 2) and the share that they hold; nan for what has no distance to the others."""
    # One at a time, because an image without distances takes one from every other.
    kept = list(range(len(distances)))
    while kept and not bool(distances[kept][:, kept].isfinite().all()):
        kept.pop(int((~distances[kept][:, kept].isfinite()).sum(1).argmax()))
    points = torch.full((len(distances), 2), math.nan, dtype=torch.float64)
    points[kept], share = classical_scaling(distances[kept][:, kept])
    return points, share


def _sentence(rows: list[PairRow], count: int, advice: str) -> str:
    missed = sum(not row.converged for row in rows)
    many = "1 distance" if len(rows) == 1 else f"{len(rows)} distances"
    begin = f"{many} between {count} images."
    if not missed:
        return f"{begin} All paths are geodesics to the tolerance."
    return (
        f"{begin} {missed} of them {'is' if missed == 1 else 'are'} marked: the path there is not a geodesic to the "
        f"tolerance, so that the distance is an upper bound. {advice}"
    )
