"""What `geodesic toy` found, and its pictures."""

import math
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from geodesic_cli import plots
from geodesic_cli.geometry import Curve, CurveReport, DensityMetric, Solution
from geodesic_cli.geometry.toys import GaussianMixture
from geodesic_cli.runs.job import RunResult

FINE = 1025
"""Points at which a path is measured."""
DRAWN = 257
"""Points at which a path is drawn, and measured after every step."""
GRID = 240
"""Points of the map along its longer side."""
ARROWS = 19
"""Arrows along that side."""
FRAMES, HELD, FPS = 32, 6, 12.0
"""Most frames that move, frames in which the last path stands, frames a second."""


@dataclass(frozen=True, eq=False)
class Moment:
    """The path after a step of the solver, at `DRAWN` positions.

    Args:
        x: points of the path, (m, 2).
        log_density: log p relative to A, (m,), nats.
        log_length: log of the weighted length.
        score_calls: score evaluations so far.
    """

    x: Tensor
    log_density: Tensor
    log_length: float
    score_calls: int


@dataclass(frozen=True, eq=False)
class Toy(RunResult):
    """A density in the plane and what was found on it. Its status says how the solver ended.

    Args:
        name: of the density.
        density: the density, with exact `log_prob` and score.
        points: what it was fitted to, (n, 2), or None.
        metric: ds = p^(-alpha) |dx|.
        straight: the straight line from A to B, at `FINE` positions.
        solution: how the geodesic was found.
        geodesic: the geodesic, at `FINE` positions.
        straight_report: measurements of `straight`.
        geodesic_report: measurements of `geodesic`.
        history: the path after every step.
        rays: geodesics shot from A.
    """

    name: str
    density: GaussianMixture
    points: Tensor | None
    metric: DensityMetric
    straight: Curve
    solution: Solution
    geodesic: Curve
    straight_report: CurveReport
    geodesic_report: CurveReport
    history: tuple[Moment, ...]
    rays: tuple[Curve, ...]

    @property
    def converged(self) -> bool:
        """Whether the path satisfies the geodesic equation to the tolerance."""
        return self.solution.converged

    def draw(self, path: str | Path) -> None:
        """toy.png: the density with both paths and the rays; beside it the density along the two."""
        straight, geodesic = (Curve(line(even_steps(DRAWN))) for line in (self.straight, self.geodesic))
        profiles = {
            name: (report.u.numpy(), report.log_density.numpy())
            for name, report in zip(
                self.metrics["names"].values(), (self.straight_report, self.geodesic_report), strict=True
            )
        }
        plots.map_and_profile(
            self._plane(),
            straight.x.numpy(),
            geodesic.x.numpy(),
            [ray.x.numpy() for ray in self.rays],
            profiles,
            f"Paths on the density “{self.name}”, α = {self.metric.alpha:.3g}",
            path,
        )

    def draw_evolution(self, path: str | Path) -> None:
        """evolution.png: the density along the path after every step, and the weighted length."""
        changes = torch.stack([moment.log_density for moment in self.history])
        calls = [moment.score_calls for moment in self.history]
        plots.evolution(even_steps(DRAWN).numpy(), changes.numpy(), calls, self._lengths(), path)

    def film(self) -> Tensor:
        """evolution.gif: frames (n, 3, h, w) of the path on its way from the straight line to the geodesic.

        Between two steps of the solver the path is drawn on the straight way from the one to the other.
        """
        last = len(self.history) - 1
        between = max(1, min(6, FRAMES // max(1, last)))
        # Of more steps than frames, evenly chosen ones.
        chosen = sorted({round(k * last / min(last, FRAMES)) for k in range(min(last, FRAMES) + 1)}) if last else [0]
        paths, captions, lengths = [], [], self._lengths()
        for before, after in zip([0, *chosen[:-1]], chosen, strict=True):
            one, other = self.history[before], self.history[after]
            for k in range(1, between + 1) if after else [1]:
                paths.append(torch.lerp(one.x, other.x, k / between if after else 1.0).numpy())
                captions.append(f"{other.score_calls} score evaluations,  length {lengths[after]:.3g} × straight line")
        paths, captions = paths + paths[-1:] * HELD, captions + captions[-1:] * HELD
        frames = plots.film(self._plane(), self.straight(even_steps(2)).numpy(), paths, captions)
        return torch.from_numpy(frames).movedim(-1, 1).float() / 255

    def _lengths(self) -> list[float]:
        """Weighted lengths after the steps, relative to the straight line's."""
        return [exp(moment.log_length - self.straight_report.log_length) for moment in self.history]

    def _plane(self) -> plots.Plane:
        """The density on a grid that shows all of it, and both paths."""
        reach = 3 * self.density.scales[:, None]
        inside = torch.cat([self.density.means - reach, self.density.means + reach, self.straight.x, self.geodesic.x])
        low, high = inside.amin(0), inside.amax(0)
        margin = 0.03 * (high - low).max()
        low, high = low - margin, high + margin
        step = float((high - low).max()) / GRID
        x, y = (_steps(float(low[k]), float(high[k]), step) for k in (0, 1))
        log_density = self.density.log_prob(torch.cartesian_prod(x, y)).reshape(len(x), len(y)).T
        sides = (_steps(float(low[k]), float(high[k]), step * GRID / ARROWS)[1:-1] for k in (0, 1))
        coarse = torch.cartesian_prod(*sides)
        dense = coarse[self.density.log_prob(coarse) > float(log_density.max()) - plots.DEPTH]
        arrows = torch.cat([dense, self.metric.scores_at(dense, torch.zeros_like(dense[:, 0]))], dim=1)
        points = None if self.points is None else self.points.numpy()
        ends = self.straight.x[[0, -1]].numpy()
        return plots.Plane(x.numpy(), y.numpy(), log_density.numpy(), arrows.numpy(), ends, points)


def _steps(low: float, high: float, step: float) -> Tensor:
    """Equal steps of about the given size, at least four, that end at both bounds."""
    return torch.linspace(low, high, max(5, round((high - low) / step) + 1), dtype=torch.float64)


def exp(log: float) -> float:
    """e to the power of a logarithm, infinite beyond the largest float."""
    return math.exp(log) if log < 709 else math.inf


def even_steps(count: int) -> Tensor:
    """Equal steps in u, (count,), float64."""
    return torch.linspace(0, 1, count, dtype=torch.float64)
