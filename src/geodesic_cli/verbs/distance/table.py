"""The distances between images as a table, one row for each pair."""

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass

from geodesic_cli.frames.linked import LinkedImages
from geodesic_cli.geometry import Status

COLUMNS = (
    "first", "last", "first_image", "last_image", "distance", "plus_minus", "euclidean", "log_density_change",
    "converged", "status", "passes", "evaluations",
)  # fmt: skip


@dataclass(frozen=True)
class PairRow:
    """What is known of the distance between two images.

    Args:
        first: the number of one image, from 0.
        last: the number of the other.
        distance: between them.
        plus_minus: how far it may be off.
        euclidean: the distance in the same latents.
        log_density_change: from the first to the last, in nats.
        converged: whether the path is a geodesic to the tolerance.
        status: how the search for it ended, in a sentence.
        passes: the images that it passes, where it is a chain.
        evaluations: of the score.
    """

    first: int
    last: int
    distance: float
    plus_minus: float
    euclidean: float
    log_density_change: float
    converged: bool
    status: str
    passes: tuple[int, ...]
    evaluations: int


def pair_rows(found: LinkedImages) -> list[PairRow]:
    """A row for each pair of images, in their order."""
    matrix, logs, flat = found.matrix, found.log_distances, found.euclidean
    statuses = matrix.statuses
    rows = []
    for (i, j), link in sorted(matrix.links.items()):
        log = float(logs[i, j])
        far = math.exp(log) if log < 700 else math.inf
        rows.append(
            PairRow(
                first=i,
                last=j,
                distance=far,
                plus_minus=far * math.expm1(float(matrix.spreads[i, j])),
                euclidean=float(flat[i, j]),
                log_density_change=link.log_density,
                converged=statuses[i, j] is Status.CONVERGED,
                status=statuses[i, j].value,
                passes=matrix.chains[i, j][1:-1],
                evaluations=0 if link.seen is None else len(link.seen.x),
            )
        )
    return rows


def csv_of_pairs(rows: Sequence[PairRow], names: Sequence[str]) -> str:
    """The table as CSV; numbers to six digits, images counted from 1 in their order."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in rows:
        numbers = (row.distance, row.plus_minus, row.euclidean, row.log_density_change)
        writer.writerow(
            [
                row.first + 1,
                row.last + 1,
                names[row.first],
                names[row.last],
                *(f"{number:.6g}" for number in numbers),
                "yes" if row.converged else "no",
                row.status,
                " ".join(str(image + 1) for image in row.passes),
                row.evaluations,
            ]
        )
    return out.getvalue()
