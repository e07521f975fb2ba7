"""What a global search has found, and the same as seen from the other image."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from geodesic_cli.frames.paths import ImagePath
from geodesic_cli.geometry import Curve, Solution


@dataclass(frozen=True, eq=False)
class GlobalPath:
    """What a global search found.

    Args:
        path: the shorter of the refined global path and the local one, in flat space; see `candidates.preferred`.
        curves: all paths by the names of `lengths`, in flat space.
        solutions: how `local` and `global` were solved.
        lengths: logarithms of weighted lengths by `slerp`, `local`, `graph` (the polygon of way-points, roughly) and
            `global` (refined); what was not found is missing. They are the same from either image: the weight is 1
            half way between the log densities of the two, along that path (`geometry.from_both_ends`).
        changes: log p at the second image less that at the first, nats, along the path of each name.
        too_long: by about how much the logarithm of each length may exceed that of the geodesic nearby (`too_long_by`).
        comparable_to: to how much the logarithms of `local` and `global` can be compared (`candidates.known_to`).
        way_points: (k, d), the nodes of the path over the graph, ends included.
        way_positions: (k,), their positions u.
        evaluations: network evaluations by what they were spent on: `pool`, `search`, `grow`, `refine`, `local`,
            `measure`.
        graph: numbers about it: `pool` (evaluations that it costs where nothing is on disk), `nodes`, `edges`, `hops`,
            `mismatch` (nats), `rounds`, `deepest_dip` (nats).
        history: logarithm of the length over the graph after every round, as in `lengths`.
        log_density: along `path` at m equal steps of u, relative to the first image, nats, (m,).
        doubtful: whether the path is improbable there, (m,).
        status: a sentence.
        points: the nodes of the graph, (n, d).
        links: its edges, (m, 2).
        densities: log p at its nodes relative to the first image, nats, (n,).
    """

    path: ImagePath
    curves: dict[str, Curve]
    solutions: dict[str, Solution]
    lengths: dict[str, float]
    changes: dict[str, float]
    too_long: dict[str, float]
    comparable_to: float
    way_points: Tensor
    way_positions: Tensor
    evaluations: dict[str, int]
    graph: dict[str, float]
    history: tuple[float, ...]
    log_density: Tensor
    doubtful: Tensor
    status: str
    points: Tensor
    links: Tensor
    densities: Tensor

    @property
    def reversed(self) -> "GlobalPath":
        """What a search from the second image to the first would have found: the same, read backwards."""
        order = torch.arange(len(self.points), device=self.points.device)
        order[:2] = order[:2].flip(0)
        return replace(
            self,
            path=replace(self.path, curve=self.path.curve.reversed()),
            curves={name: curve.reversed() for name, curve in self.curves.items()},
            solutions={name: replace(one, curve=one.curve.reversed()) for name, one in self.solutions.items()},
            changes={name: -change for name, change in self.changes.items()},
            way_points=self.way_points.flip(0),
            way_positions=1 - self.way_positions.flip(0),
            log_density=(self.log_density - self.log_density[-1]).flip(0),
            doubtful=self.doubtful.flip(0),
            points=self.points[order],
            links=order[self.links],
            densities=self.densities[order] - self.densities[1],
        )
