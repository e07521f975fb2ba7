"""The boundary-value problem on a model of the score, where evaluations cost nothing: solved as exactly as it can be.

    descend   the semi-implicit flow of curve shortening, (1 - c B)^-1 r with an adapted c: it leaves saddles and finds
              the valley, but converges slowly
    settle    Anderson's method (see `collocation`): it converges fast, but to any stationary curve nearby
    continue  with alpha growing from an eighth, where neither gets through

The second variation (`variation`) tells whether the curve found is a minimum.
"""

import math
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from geodesic_cli.geometry import linalg
from geodesic_cli.geometry.curve import Curve
from geodesic_cli.geometry.density import Score
from geodesic_cli.geometry.kernel.collocation import Force, mismatch, moved, settle
from geodesic_cli.geometry.kernel.schemes import Inner, Nodes, Scheme, finer, numerov, second_difference
from geodesic_cli.geometry.metric import DensityMetric
from geodesic_cli.geometry.space import Space, across
from geodesic_cli.geometry.variation import steepest

SOLVED = 1e-3
"""The largest |r| / length at which the problem on the model counts as solved."""

ALPHA_FRACTIONS = (0.125, 0.25, 0.4, 0.6, 0.8)
"""Of alpha, in a continuation, before alpha itself."""

FLOW_STEP = 0.1
"""No point moves by more than this fraction of the length in a step of the flow."""

FIRST_SCREEN, LEAST_SCREEN, MOST_SCREEN = 20.0, 3.0, 1e6
"""The screening c of the flow: at first, at least, at most."""


@dataclass(frozen=True)
class OnModel:
    """Geodesics of a model of the score. All tensors are float64 on the CPU.

    The score is the model, and the slope its linear trend k, in 1 / unit of x squared. The problem on the model is
    solved to `exact`, the largest |r| / length, where that can be reached.
    """

    score: Score
    alpha: float
    space: Space
    slope: float
    exact: float

    def resolved(self, x: Nodes, rough: float) -> tuple[Scheme, Float[Tensor, "finer d"]]:
        """A scheme for the points (n + 2, d), finer where the force is rougher than that, and the path on it."""
        coarse = numerov(x.shape[0] - 2)
        scheme = finer(coarse) if self.roughness(coarse, x) > rough else coarse
        if scheme is coarse:
            return scheme, x
        refined = self.space.project(coarse.at(scheme.u[1:-1]) @ x)
        return scheme, torch.cat([x[:1], refined, x[-1:]])

    def geodesic(self, scheme: Scheme, x: Nodes) -> tuple[Nodes, float]:
        """The geodesic near the points x (n + 2, d): its points, and the largest |r| / length.

        Where Numerov's scheme does not get there, second differences may.
        """
        best, residual = self._solved(scheme, x)
        if residual > SOLVED:
            other, other_residual = self._solved(second_difference(scheme.n), x)
            if other_residual < min(residual, SOLVED):
                return other, other_residual
        return best, residual

    def _solved(self, scheme: Scheme, x: Tensor) -> tuple[Tensor, float]:
        best, residual = self._polish(scheme, self.descend(scheme, x, 25))
        if residual > SOLVED:
            best, residual = _better((best, residual), self._polish(scheme, x))
        if residual > SOLVED:
            at = x
            for fraction in ALPHA_FRACTIONS:
                weaker = replace(self, alpha=fraction * self.alpha)
                at, _ = weaker._polish(scheme, weaker.descend(scheme, at, 15), max_steps=60, tol=1e-4)
            best, residual = _better((best, residual), self._polish(scheme, self.descend(scheme, at, 15)))
        if residual > SOLVED:
            slow = self.descend(scheme, x, 150)
            r, _, length = mismatch(self._force(), self.space, scheme, slow)
            best, residual = _better((best, residual), (slow, float(linalg.norm(r).max()) / length))
        return best, residual

    def descend(self, scheme: Scheme, x: Nodes, steps: int) -> Nodes:
        """Follow the flow of curve shortening for at most so many steps."""
        force, c, before = self._force(), FIRST_SCREEN, math.inf
        for count in range(steps):
            r, _, length = mismatch(force, self.space, scheme, x)
            size = float(linalg.norm(r).max())
            if not math.isfinite(size) or size <= SOLVED * length:
                break
            if count == 0:
                c = min(max(c, self.alpha * length**2 * self.slope), MOST_SCREEN)
            screened = scheme.waves @ (scheme.waves @ r / (1 - c * scheme.decay[:, None]))
            step = self.space.tangent(x[1:-1], screened)
            total = float(step.norm())
            if total > 1.3 * before:
                c = min(2 * c, MOST_SCREEN)
            elif total < before:
                c = max(0.85 * c, LEAST_SCREEN)
            before = total
            x = moved(self.space, x, step, FLOW_STEP * length)
        return x

    def log_length(self, scheme: Scheme, x: Nodes, nodes: int = 129) -> float:
        """The logarithm of the length on the model, the same from either end."""
        u = torch.linspace(0, 1, nodes, dtype=x.dtype)
        return float(self._metric.symmetric_log_length(Curve(self.space.project(scheme.at(u) @ x), self.space)))

    def pull(self, scheme: Scheme, x: Nodes) -> Float[Tensor, "points-2"]:
        """alpha |P_v P_x s| of the model at the inner points of the path (n + 2, d)."""
        inner, u = x[1:-1], scheme.u[1:-1]
        v = scheme.derivative @ x
        along = v[1:-1] if v.shape[0] == x.shape[0] else v
        pull = across(self.space, inner, self.space.tangent(inner, along), self.score(inner, u))
        return self.alpha * linalg.norm(pull).squeeze(-1)

    def roughness(self, scheme: Scheme, x: Nodes) -> float:
        """rms |second difference of the force| / 12 over rms |force|: what second order would do wrong here."""
        v = self.space.tangent(x, scheme.derivative @ x)
        pull = across(self.space, x, v, self.score(x, scheme.u))
        size = float(pull.norm())
        return float((pull[2:] - 2 * pull[1:-1] + pull[:-2]).norm()) / (12 * size) if size > 0 else 0.0

    def steepest(self, x: Nodes) -> tuple[float, Inner]:
        """The lowest eigenvalue of the second variation, and its direction; see `variation.steepest`.

        The points x are those of a geodesic at equal steps, ends included.
        """
        curve = Curve(x, self.space)
        return steepest(self._metric, curve, self.score(x, curve.u))

    def downhill(self, scheme: Scheme, x: Nodes, direction: Inner, reach: float) -> Nodes:
        """Leave a saddle along a direction (n, d), both ways, as far as `reach`: the shorter geodesic found."""
        found = []
        for sign in (1.0, -1.0):
            inner = self.space.project(x[1:-1] + sign * reach * direction)
            start = self.descend(scheme, torch.cat([x[:1], inner, x[-1:]]), 150)
            there, residual = self._polish(scheme, start)
            found.append((residual > SOLVED, self.log_length(scheme, there), there))
        return min(found, key=lambda one: one[:2])[2]

    def _force(self) -> Force:
        def force(x: Tensor, v: Tensor, u: Tensor) -> Tensor:
            # One speed for the whole curve: a geodesic has constant speed, and a local one would feed back its errors.
            speed = float(linalg.norm(v).mean())
            return -self.alpha * speed**2 * across(self.space, x, v, self.score(x, u))

        return force

    def _polish(
        self, scheme: Scheme, x: Tensor, max_steps: int = 200, tol: float | None = None
    ) -> tuple[Tensor, float]:
        settled = settle(self._force(), self.space, scheme, x, tol=tol or self.exact, max_steps=max_steps)
        return settled.x, settled.residual

    @property
    def _metric(self) -> DensityMetric:
        return DensityMetric(self.score, self.alpha, self.space)


def _better(one: tuple[Tensor, float], other: tuple[Tensor, float]) -> tuple[Tensor, float]:
    return other if other[1] < one[1] else one
