"""A sequence of points in its own order and timing: is it a geodesic, and where does it depart from one?

A clip is not a curve that may be re-spaced: its frames are where they are. So its length is that of the polygon

    L = sum_k w_k+½ h_k,     h_k = |x[k+1] - x[k]|,   w = p^(-alpha),

and the geodesic equation is the first variation of L by x[k]. With the unit directions ahead a_k (to the next point)
and back b_k (to the one before), both tangent to the space at x[k], and the mean step h = (h[k-1] + h[k]) / 2,

    -grad L / (w h)  =  kappa_k + alpha P_v s_k,     kappa_k = (a_k + b_k) / h,     v along a_k - b_k.

For even steps this is P_v g'' / |v|² to second order. Unlike central differences it is right at corners too: where the
path turns back, x[k+1] - x[k-1] vanishes and differences see no bend at all, while kappa_k is 2 / h, its largest.

A repeated point is not a step: callers join it to the one before (`moving`). A codec writes a held frame with a little
noise of its own, whose direction is random: as a step it would hide a turn back.

The timing tells more than the shape. At constant speed a geodesic has x'' + alpha |x'|² P_v s = 0, the part along the
path included. With the acceleration in steps, c_k = h[k] a_k + h[k-1] b_k, the *departure* of a point is what no alpha
explains,

    rho_k = min over alpha >= 0 of | c_k + alpha P_v s_k | / typical step,

0 on a geodesic of any alpha that is walked at constant speed, nearly 2 where the path turns back, and about J where one
step is J times the others. A segment whose two ends both depart is a jump; a single point that departs is a corner.

Roughness is told by the ratio of steps over two frames to steps over one, H = ½ log2 (mean |x[k+2] - x[k]|² / mean
|x[k+1] - x[k]|²): 1 for a smooth curve, ½ for a random walk, where frames are as far apart as they can be without
knowing of each other, and below ½ where they forget even that.

Source: the test is Fig. 3 of "Probability Density Geodesics in Image Diffusion Latent Space" (Yu et al., CVPR 2025);
the form for polygons, the departure and H are derived here.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from geodesic_cli.errors import GeometryError
from geodesic_cli.geometry import linalg
from geodesic_cli.geometry.metric import accumulate
from geodesic_cli.geometry.space import Space, across

HELD = 0.1
"""A step below this share of the usual one is no step: the frame repeats the one before. Held frames of a rendered ball
came to 0.002 to 0.04 after H.264 at CRF 18 and 32, the slowest step of an eased motion of 17 frames to 0.16."""
OFTEN = 0.3
"""Where so many steps are larger than the median by 1 / HELD, most frames are held, as in animation on threes."""


@dataclass(frozen=True, eq=False)
class SequenceReport:
    """Measurements of a sequence of m points. Lists over the m - 2 inner points, unless said otherwise.

    Args:
        steps: distances from point to point in the space, (m - 1,).
        curvature: kappa, (m - 2, d), in 1 / unit of x.
        pull: P_v s, (m - 2, d), in nats per unit of x; without alpha.
        alpha: the density exponent.
        turn: angle between the directions of arriving and leaving in radians, 0 straight on, pi back.
        departure: rho, in typical steps.
        log_density: log p relative to the first point, nats, (m,).
        log_weighted: logarithms of the lengths of the segments under the metric, weight 1 at the first point, (m - 1,).
    """

    steps: Float[Tensor, "spans"]
    curvature: Float[Tensor, "spans-1 d"]
    pull: Float[Tensor, "spans-1 d"]
    alpha: float
    turn: Float[Tensor, "spans-1"]
    departure: Float[Tensor, "spans-1"]
    log_density: Float[Tensor, "spans+1"]
    log_weighted: Float[Tensor, "spans"]
    roughness: float

    @property
    def gradient(self) -> Float[Tensor, "n"]:
        """|kappa + alpha P_v s|, the norm of the geodesic gradient, in 1 / unit of x."""
        return linalg.norm(self.curvature + self.alpha * self.pull).squeeze(-1)

    @property
    def curvature_term(self) -> Float[Tensor, "n"]:
        """|kappa|, in 1 / unit of x."""
        return linalg.norm(self.curvature).squeeze(-1)

    @property
    def score_term(self) -> Float[Tensor, "n"]:
        """|alpha P_v s|, in 1 / unit of x."""
        return self.alpha * linalg.norm(self.pull).squeeze(-1)

    @property
    def angle(self) -> Float[Tensor, "n"]:
        """Between the two terms in radians: pi on a geodesic; half of pi where one of them vanishes."""
        return torch.acos(-self.alignment)

    @property
    def alignment(self) -> Float[Tensor, "n"]:
        """The cosine between kappa and -P_v s: 1 on a geodesic of any alpha > 0; 0 where one of them vanishes."""
        return alignment(self.curvature, self.pull)

    @property
    def length(self) -> float:
        """The Euclidean length of the polygon."""
        return float(self.steps.sum())

    @property
    def log_length(self) -> float:
        """The logarithm of the length under the metric, weight 1 at the first point."""
        return float(torch.logsumexp(self.log_weighted, dim=0))

    @property
    def mean_gradient(self) -> float:
        """The mean norm of the geodesic gradient over the inner points."""
        return float(self.gradient.mean())


def moving(x: Float[Tensor, "m d"], space: Space) -> Int[Tensor, "k"]:
    """Indices of the points (m, d) that are not repetitions of the one kept before them; the first always is kept.

    A repetition is nearer than HELD times the usual step.
    """
    least = HELD * usual_step(space.distance(x[:-1], x[1:]))
    kept = [0]
    for k in range(1, len(x)):
        if float(space.distance(x[kept[-1]][None], x[k][None])) > least:
            kept.append(k)
    return torch.tensor(kept)


def usual_step(steps: Float[Tensor, "spans"]) -> float:
    """The median of the steps that are not zero; where most frames are held, that of the others. 0 if nothing moves."""
    walked = steps[steps > 0]
    if not len(walked):
        return 0.0
    middle = walked.median()
    large = walked[walked > middle / HELD]
    return float(large.median() if len(large) >= max(2, OFTEN * len(walked)) else middle)


def measure_sequence(
    x: Tensor, scores: Tensor, alpha: float, space: Space, third_scores: Float[Tensor, "2 spans d"] | None = None
) -> SequenceReport:
    """Measure a sequence of m >= 3 points of the space, (m, d), no two neighbours equal, with their scores, (m, d).

    With the scores at the `thirds` of the segments the change of log p is that of a cubic through four scores, which
    sees a valley between two frames far apart; without, of a straight line.

    Raises:
        GeometryError: shapes that do not fit, fewer than three points, or two neighbours that are equal.
    """
    if x.ndim != 2 or x.shape[0] < 3 or scores.shape != x.shape:
        raise GeometryError(
            f"A sequence needs at least three points (m, d) with a score each, "
            f"got {tuple(x.shape)} and {tuple(scores.shape)}."
        )
    steps = space.distance(x[:-1], x[1:])
    if not bool((steps > 0).all()):
        raise GeometryError("Neighbouring points of a sequence must differ.", "Drop the repetitions first.")
    ahead, back, pull = directions(x, scores, space)
    before, after = steps[:-1, None], steps[1:, None]
    mean = (before + after) / 2
    curvature = (ahead + back) / mean
    jolt = after * ahead + before * back
    against = (-linalg.dot(jolt, pull)).clamp(min=0) * linalg.reciprocal(linalg.dot(pull, pull))
    changes = log_density_changes(x, scores, space, third_scores)
    density = accumulate(changes[:, 1])
    at_start, at_middle = -alpha * density[:-1], -alpha * (density[:-1] + changes[:, 0])
    ends = torch.logaddexp(at_start, -alpha * density[1:])
    weighted = steps.log() + torch.logaddexp(ends, at_middle + math.log(4)) - math.log(6)
    return SequenceReport(
        steps=steps,
        curvature=curvature,
        pull=pull,
        alpha=alpha,
        turn=linalg.angle(ahead, -back).squeeze(-1),
        departure=linalg.norm(jolt + against * pull).squeeze(-1) / steps.median(),
        log_density=density,
        log_weighted=weighted,
        roughness=roughness(x),
    )


def directions(
    x: Float[Tensor, "m d"], scores: Float[Tensor, "m d"], space: Space
) -> tuple[Float[Tensor, "m-2 d"], Float[Tensor, "m-2 d"], Float[Tensor, "m-2 d"]]:
    """The unit directions ahead and back at the inner points, and the scores across the path, P_v s."""
    inner = x[1:-1]
    ahead, back = (linalg.unit(space.tangent(inner, beside - inner)) for beside in (x[2:], x[:-2]))
    return ahead, back, across(space, inner, ahead - back, scores[1:-1])


def thirds(x: Float[Tensor, "m d"], space: Space) -> Float[Tensor, "2 m-1 d"]:
    """The points a third and two thirds of the way along the segments between neighbours."""
    return torch.stack([space.project((2 * x[:-1] + x[1:]) / 3), space.project((x[:-1] + 2 * x[1:]) / 3)])


def log_density_changes(
    x: Float[Tensor, "m d"],
    scores: Float[Tensor, "m d"],
    space: Space,
    third_scores: Float[Tensor, "2 m-1 d"] | None = None,
) -> Float[Tensor, "m-1 2"]:
    """The change of log p from each point to the middle of its segment and to its end, nats.

    The slope along the segment is a cubic through its values at both ends and at the thirds; a straight line where
    these are not known. A middle alone would not do: in a valley between two ridges the slope vanishes at all three.
    """
    step = x[1:] - x[:-1]

    def slope(at: Tensor, score: Tensor) -> Tensor:
        return linalg.dot(space.tangent(at, score), step).squeeze(-1)

    first, last = slope(x[:-1], scores[:-1]), slope(x[1:], scores[1:])
    if third_scores is None:
        return torch.stack([(3 * first + last) / 8, (first + last) / 2], dim=1)
    one, two = (slope(at, score) for at, score in zip(thirds(x, space), third_scores, strict=True))
    half = (15 * first + 51 * one - 3 * two + last) / 128
    return torch.stack([half, (first + 3 * one + 3 * two + last) / 8], dim=1)


def roughness(x: Float[Tensor, "m d"]) -> float:
    """H of the module's text for points (m, d), m >= 3; 1 where nothing moves."""
    one, two = (float((x[k:] - x[:-k]).square().sum(-1).mean()) for k in (1, 2))
    return 0.5 * math.log2(max(two / one, 1e-12)) if one > 0 else 1.0


def alignment(curvature: Float[Tensor, "n d"], pull: Float[Tensor, "n d"]) -> Float[Tensor, "n"]:
    """The cosine between kappa and -P_v s; 0 where a row is zero."""
    return -linalg.dot(linalg.unit(curvature), linalg.unit(pull)).squeeze(-1).clamp(-1, 1)
