"""The nearest of several points under the metric ds = p^(-alpha) |dx|.

The weight is 1 at the query, so that distances to several points can be compared without potentials.
"""

from dataclasses import dataclass

from jaxtyping import Float, Int
from torch import Tensor

from geodesic_cli.errors import GeometryError
from geodesic_cli.geometry.curve import Curve
from geodesic_cli.geometry.metric import DensityMetric
from geodesic_cli.geometry.sets.distances import require_points
from geodesic_cli.geometry.sets.links import LinkSearch, Survey
from geodesic_cli.geometry.solution import Status


@dataclass(frozen=True, eq=False)
class Neighbours:
    """The k points nearest to a query.

    Args:
        indices: into the points, nearest first, (k,).
        log_distances: theirs, with weight 1 at the query, (k,).
        statuses: of the paths from the query to all n points; the order is certain if all CONVERGED.
        score_calls: evaluations of the score at single points.
    """

    indices: Int[Tensor, "k"]
    log_distances: Float[Tensor, "k"]
    statuses: tuple[Status, ...]
    score_calls: int

    @property
    def converged(self) -> bool:
        """Whether the paths to all points converged."""
        return all(status is Status.CONVERGED for status in self.statuses)


def nearest_neighbours(
    metric: DensityMetric, query: Tensor, points: Tensor, k: int, *, search: LinkSearch | None = None
) -> Neighbours:
    """The k >= 1 of points (n, d) with the least geodesic distance to a query (d,), where the weight is 1.

    Solves for the paths to all n of them.

    Raises:
        GeometryError: points that do not fit, are not finite, lie off the space or are antipodal to the query, or k
            out of range.
    """
    require_points(points)
    if not 1 <= k <= points.shape[0]:
        raise GeometryError(f"The number of neighbours must be from 1 to {points.shape[0]}, got {k}.")
    survey = Survey(metric, search)
    paths = [survey.link(Curve.straight(query, point, 17, metric.space)) for point in points]
    distances = points.new_tensor([path.log_distance for path in paths])
    # A path without a length is no neighbour: nan sorts last.
    order = distances.argsort(stable=True)[:k]
    return Neighbours(order, distances[order], tuple(path.status for path in paths), survey.known)
