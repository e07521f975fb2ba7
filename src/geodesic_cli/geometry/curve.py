"""A curve: nodes at uniform positions u in [0, 1], and a smooth way to pass through them.

Between the nodes the curve is the cubic spline with continuous second derivative whose slopes m solve

    m[i-1] + 4 m[i] + m[i+1] = 3 (x[i+1] - x[i-1]) / h,   h = 1 / (k - 1),

with the end slopes taken from one-sided differences, followed by the projection onto the space; its error is of
fourth order. Derivatives at the nodes are differences of second order, central inside and one-sided at the ends. With
nodes at equal chords the central ones satisfy x''.x' = 0 exactly, so the discrete geodesic equation itself keeps the
nodes equally spaced. Where a curve is known to be smooth, differences of fourth order tell more.

The arc length of the spline needs no dense sampling in d dimensions: on a segment

    g'(w) = 6 w (1 - w) D + (1 - 4 w + 3 w²) m[i] + (3 w² - 2 w) m[i+1],   D = (x[i+1] - x[i]) / h,

so |g'|² is a quartic in w whose coefficients are the inner products of D, m[i] and m[i+1].
"""

from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from geodesic_cli.errors import GeometryError
from geodesic_cli.geometry import linalg
from geodesic_cli.geometry.space import Euclidean, Space

SAMPLES_PER_SEGMENT = 64
"""Positions per segment at which the arc length is tabulated."""

UNEVEN = 1.01
"""Ratio of the longest to the shortest segment above which nodes are not evenly spaced."""


@dataclass(frozen=True, eq=False)
class Curve:
    """A path of k nodes in a space.

    Args:
        x: (k, d), k >= 2, the nodes at u = 0, 1/(k-1), ..., 1.
        space: where the nodes live.

    Raises:
        GeometryError: x is not a (k, d) tensor of floating-point numbers with k >= 2.
    """

    x: Tensor
    space: Space = field(default_factory=Euclidean)

    def __post_init__(self) -> None:
        if self.x.ndim != 2 or self.x.shape[0] < 2 or not self.x.is_floating_point():
            raise GeometryError(
                f"A curve needs at least two nodes as a floating-point tensor of shape (k, d), "
                f"got {self.x.dtype} of shape {tuple(self.x.shape)}."
            )

    @classmethod
    def straight(cls, a: Tensor, b: Tensor, nodes: int, space: Space | None = None) -> "Curve":
        """The straight line of the space from a to b (a segment or a great circle) at constant speed.

        The ends are kept bit for bit, and are among the nodes, of which there are at least 2. Flat space unless given.

        Raises:
            GeometryError: shapes that do not fit, values that are not finite, ends off the space, antipodal ends.
        """
        space = Euclidean() if space is None else space
        if a.ndim != 1 or a.shape != b.shape or nodes < 2:
            raise GeometryError(
                f"A straight curve needs two points of one shape (d,) and at least two nodes, "
                f"got {tuple(a.shape)}, {tuple(b.shape)} and {nodes} nodes."
            )
        _require_on(space, torch.stack([a, b]))
        u = torch.linspace(0, 1, nodes, dtype=a.dtype, device=a.device)
        return cls(space.between(a, b, u), space)

    @classmethod
    def through(cls, points: Tensor, space: Space | None = None, nodes: int | None = None) -> "Curve":
        """The smooth curve through given points, such as the frames of a clip.

        Args:
            points: (m, d), m >= 2.
            space: flat space unless given.
            nodes: None keeps the points themselves as nodes; a number spreads that many nodes at equal arc length
                over the curve (the ends stay, the inner points need not be nodes any more).

        Raises:
            GeometryError: shapes that do not fit, values that are not finite, points off the space.
        """
        space = Euclidean() if space is None else space
        curve = cls(points, space)
        _require_on(space, points)
        return curve if nodes is None else curve.at_constant_speed(nodes)

    @property
    def u(self) -> Float[Tensor, "k"]:
        """The positions of the nodes, (k,), from 0 to 1."""
        return torch.linspace(0, 1, self.x.shape[0], dtype=self.x.dtype, device=self.x.device)

    @property
    def segments(self) -> Float[Tensor, "spans"]:
        """Distances between neighbouring nodes along straight lines of the space, (k - 1,)."""
        return self.space.distance(self.x[:-1], self.x[1:])

    @property
    def length(self) -> Float[Tensor, ""]:
        """The Euclidean length of the polygon of nodes, (), in units of x; second order in the spacing."""
        return self.segments.sum()

    @property
    def speed(self) -> Float[Tensor, "k"]:
        """|dx/du| at the nodes."""
        return linalg.norm(self.velocity()).squeeze(-1)

    def velocity(self, order: int = 2) -> Float[Tensor, "k d"]:
        """dx/du at the nodes, (k, d), tangent to the space; of order 2, or 4 from six nodes on."""
        x, spans = self.x, self.x.shape[0] - 1
        if order == 4 and spans >= 5:
            return self.space.tangent(x, spans * _differences(x, _FIRST))
        if spans == 1:
            change = (x[1:] - x[:-1]).expand_as(x)
        else:
            first = -1.5 * x[:1] + 2 * x[1:2] - 0.5 * x[2:3]
            last = 1.5 * x[-1:] - 2 * x[-2:-1] + 0.5 * x[-3:-2]
            change = torch.cat([first, 0.5 * (x[2:] - x[:-2]), last])
        return self.space.tangent(x, spans * change)

    def acceleration(self, order: int = 2) -> Float[Tensor, "k d"]:
        """d²x/du² at the nodes in ambient coordinates, (k, d); of order 2 from four nodes on, or 4 from six.

        Three nodes have one second difference, used at all of them; two nodes have none and give zero.
        """
        x, spans = self.x, self.x.shape[0] - 1
        if order == 4 and spans >= 5:
            return spans**2 * _differences(x, _SECOND)
        if spans == 1:
            return torch.zeros_like(x)
        inside = (x[2:] - x[1:-1]) - (x[1:-1] - x[:-2])
        if spans == 2:
            return spans**2 * inside.expand_as(x)
        return spans**2 * torch.cat([2 * inside[:1] - inside[1:2], inside, 2 * inside[-1:] - inside[-2:-1]])

    def __call__(self, u: Float[Tensor, "m"]) -> Float[Tensor, "m d"]:
        """Points of the curve at any positions, (m,) in [0, 1] -> (m, d).

        At the position of a node (to rounding) the node itself is returned, bit for bit.

        Raises:
            GeometryError: a position outside [0, 1].
        """
        if u.ndim != 1 or bool(((u < 0) | (u > 1) | u.isnan()).any()):
            raise GeometryError("Positions along a curve must be a tensor of shape (m,) with values in [0, 1].")
        x, spans = self.x, self.x.shape[0] - 1
        position = u * spans
        i = position.floor().clamp(max=spans - 1).long()
        w = (position - i)[:, None]
        m = self._slopes() / spans
        cubic = (
            (1 + 2 * w) * (1 - w) ** 2 * x[i]
            + w * (1 - w) ** 2 * m[i]
            + w**2 * (3 - 2 * w) * x[i + 1]
            - w**2 * (1 - w) * m[i + 1]
        )
        nearest = position.round()
        at_node = (position - nearest).abs() <= 4 * spans * torch.finfo(x.dtype).eps
        return torch.where(at_node[:, None], x[nearest.long()], self.space.project(cubic))

    def refine(self) -> "Curve":
        """The curve with a node added between every two: 2 k - 1 nodes, the old ones kept bit for bit."""
        between = self((self.u[:-1] + self.u[1:]) / 2)
        pairs = torch.stack([self.x[:-1], between], dim=1).flatten(0, 1)
        return Curve(torch.cat([pairs, self.x[-1:]]), self.space)

    def reversed(self) -> "Curve":
        """The same nodes from the last to the first."""
        return Curve(self.x.flip(0), self.space)

    def evenly_spaced(self) -> "Curve":
        """The curve itself, bit for bit, if its segments are about equal; else with its nodes at equal arc length."""
        segments = self.segments
        return self if bool(segments.max() <= UNEVEN * segments.min()) else self.at_constant_speed()

    def at_constant_speed(self, nodes: int | None = None) -> "Curve":
        """The same curve with nodes at equal arc length, as many as before unless given; the ends stay bit for bit."""
        nodes = self.x.shape[0] if nodes is None else nodes
        if nodes < 2:
            raise GeometryError(f"A curve needs at least two nodes, got {nodes}.")
        spans = self.x.shape[0] - 1
        w = torch.linspace(0, 1, SAMPLES_PER_SEGMENT + 1, dtype=self.x.dtype, device=self.x.device)
        speed = self._spline_speed(w)
        pieces = (speed[:, :-1] + speed[:, 1:]).flatten() / (2 * spans * SAMPLES_PER_SEGMENT)
        arc = torch.cat([torch.zeros_like(pieces[:1]), pieces.cumsum(0)])
        table = torch.linspace(0, 1, arc.shape[0], dtype=self.x.dtype, device=self.x.device)
        wanted = torch.linspace(0, 1, nodes, dtype=self.x.dtype, device=self.x.device)
        if not bool(arc[-1] > 0):
            return Curve(self(wanted), self.space)
        j, part = linalg.bracket(arc, wanted * arc[-1])
        u = (table[j - 1] + part * (table[j] - table[j - 1])).clamp(0, 1)
        return self.with_inner(self(u[1:-1]))

    def with_inner(self, inner: Float[Tensor, "j d"]) -> "Curve":
        """A curve of other inner nodes (j, d) in the space, its ends these bit for bit."""
        return Curve(torch.cat([self.x[:1], inner, self.x[-1:]]), self.space)

    def _slopes(self) -> Tensor:
        """dx/du of the spline at the nodes, (k, d), before any projection."""
        x, spans = self.x, self.x.shape[0] - 1
        if spans == 1:
            return (x[1:] - x[:-1]).expand_as(x)
        if spans == 2:
            first = -1.5 * x[0] + 2 * x[1] - 0.5 * x[2]
            last = 1.5 * x[2] - 2 * x[1] + 0.5 * x[0]
        else:
            first = (-11 * x[0] + 18 * x[1] - 9 * x[2] + 2 * x[3]) / 6
            last = (11 * x[-1] - 18 * x[-2] + 9 * x[-3] - 2 * x[-4]) / 6
        inside = linalg.solve_tridiagonal(3 * (x[2:] - x[:-2]), first, last, centre=4.0, side=1.0)
        return spans * torch.cat([first[None], inside, last[None]])

    def _spline_speed(self, w: Tensor) -> Tensor:
        """|dx/du| of the spline at the fractions w (q,) of every segment, (k - 1, q)."""
        m = self._slopes()
        chord = (self.x[1:] - self.x[:-1]) * (self.x.shape[0] - 1)
        basis = torch.stack([chord, m[:-1], m[1:]], dim=1)
        gram = basis @ basis.transpose(1, 2)
        weights = torch.stack([6 * w * (1 - w), 1 - 4 * w + 3 * w**2, 3 * w**2 - 2 * w])
        return torch.einsum("aq,iab,bq->iq", weights, gram, weights).clamp(min=0).sqrt()


# Weights of the first six nodes (with both signs: of the last six) and of five neighbours, fourth order; 1/12 each.
_FIRST = (((-25, 48, -36, 16, -3, 0), (-3, -10, 18, -6, 1, 0)), (1, -8, 0, 8, -1), -1)
_SECOND = (((45, -154, 214, -156, 61, -10), (10, -15, -4, 14, -6, 1)), (-1, 16, -30, 16, -1), 1)


def _differences(x: Tensor, weights: tuple[tuple[tuple[int, ...], ...], tuple[int, ...], int]) -> Tensor:
    """Differences of the rows of x per unit step, (k, d) with k >= 6; the sign mirrors the weights at the far end."""
    ends, inside, sign = weights
    k = x.shape[0]
    head = torch.tensor(ends, dtype=x.dtype, device=x.device) / 12
    middle = torch.zeros_like(x[4:])
    for j, w in enumerate(inside):
        middle = middle + w / 12 * x[j : k - 4 + j]
    # Differences of x itself would lose digits to its magnitude: take them of what it is beyond its first node.
    first, last = x[:6] - x[:1], x[-6:].flip(0) - x[-1:]
    return torch.cat([head @ first, middle, sign * (head @ last).flip(0)])


def _require_on(space: Space, points: Tensor) -> None:
    if not bool(points.isfinite().all()):
        raise GeometryError("The points of a curve must be finite numbers.", "Check the encoder's precision.")
    inside = space.contains(points)
    if not bool(inside.all()):
        norms = linalg.norm(points).flatten()[~inside]
        raise GeometryError(
            f"The points of a curve must lie in its space, {space}, but one has norm {float(norms[0]):.6g}.",
            "Project the points first, or give them a RadialProfile.",
        )
