"""How much a map h = f(x) distorts: the spectrum of its pull-back metric, and what is made of it.

With J the Jacobian of f at a point, G = JᵀJ on the tangent space of the sphere |x| = const, written in the frame of the
stereographic chart (`stereographic.frame`), and its eigenvalues l, over N points (IRVAE, Lee et al., ICLR 2022):

    riemannian   MCN = E[l_max / l_min],    VoR = E[Σ_i log² l_i(Ḡ^-1 G)],  Ḡ = E[G]

MCN is the mean condition number, VoR the variance of the Riemannian metric. The code of the isometry paper (Hahm et
al., ICML 2024) measures something else, from the singular values s of the Jacobian of h averaged over its pixels:

    published    MCN = E[s_max / s_min],    VoR = Σ_i Var(log s_i)  with N - 1

of all of J, not on the sphere, of h averaged over windows of 2 x 2 pixels, at points of pure noise at every noise
level, where the network is told the index of the level in the sampler's descending list instead of its time. With h
averaged over all of its pixels and N in the place of N - 1, at the points and times of the others, that is

    pooled       the same formulas

and none of the three must be compared with another. L = E[Tr G²] / E[Tr G]² is the isometry loss, here from the
spectrum.

Where n is too large for all of G, a fixed random k-dimensional subspace of the coordinates replaces them. Eigenvalues
interlace, so that a condition number of the part is a lower bound of the whole one. The top of the spectrum is found by
randomised subspace iteration (Halko, Martinsson & Tropp, SIAM Review 2011); each value comes with |J v - s u| / √2,
within which a true singular value lies.

Relative trajectory length: Σ_k |h_{k+1} - h_k| / |h_K - h_0| along the image of a great circle; 1 is straight.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from geodesic_cli.distortion import stereographic
from geodesic_cli.distortion.derivatives import Encoder, default_step, pull_back, push, tangent
from geodesic_cli.distortion.loss import ratio
from geodesic_cli.errors import GeometryError
from geodesic_cli.geometry import linalg

ENCODED_AT_ONCE = 128
"""Rows that go through the encoder at once; it bounds memory."""


OnePoint = Float[Tensor, "1 *point"]


@dataclass(frozen=True)
class Distortion:
    """Mean condition number and variance of the metric.

    Args:
        mcn: MCN; infinite where a metric is singular, as it must be if h has too few dimensions.
        mcn_std: standard deviation of the condition numbers over the points.
        vor: VoR.
        directions: how many dimensions each spectrum has.
        points: N.
    """

    mcn: float
    mcn_std: float
    vor: float
    directions: int
    points: int


def is_possible(points_dimension: int, features_dimension: int) -> bool:
    """Whether a map from the sphere in R^n can be an isometry up to scale at all: h needs n - 1 dimensions."""
    return features_dimension >= points_dimension - 1


@torch.no_grad()
def jacobian(f: Encoder, x: OnePoint, at_once: int = ENCODED_AT_ONCE) -> Float[Tensor, "h n"]:
    """All of J at one point, flattened, (dim h, n), by central differences: 2 n evaluations of the encoder.

    In float64 it is exact to about 1e-9; in float32 to about 1e-4 of its largest singular value.
    """
    n = x[0].numel()
    columns = [
        push(f, x, part.reshape(-1, *x.shape[1:]), sphere=False, step=default_step(x.dtype)).flatten(1)
        for part in torch.eye(n, dtype=x.dtype, device=x.device).split(_half(at_once))
    ]
    return torch.cat(columns).T


def tangent_metric(full: Float[Tensor, "h n"], x: OnePoint) -> Float[Tensor, "k k"]:
    """G (n - 1, n - 1) in the chart's frame, from all of J (dim h, n) at x (1, ...)."""
    in_frame = stereographic.reflect(x.flatten(), full)[:, :-1]
    return in_frame.T @ in_frame


@torch.no_grad()
def projected_metric(
    f: Encoder, x: OnePoint, basis: Float[Tensor, "k t"], at_once: int = ENCODED_AT_ONCE
) -> Float[Tensor, "k k"]:
    """G restricted to the directions whose coordinates are the orthonormal rows of ``basis`` (k, n - 1).

    2 k evaluations of the encoder.
    """
    directions = stereographic.frame(x.flatten(), basis)
    pushed = torch.cat([_push(f, x, part) for part in directions.split(_half(at_once))])
    return pushed @ pushed.T


def random_basis(k: int, dimension: int, generator: torch.Generator) -> Float[Tensor, "k t"]:
    """k orthonormal rows in R^dimension, uniform among all subspaces, float64 on the CPU."""
    return torch.linalg.qr(torch.randn(dimension, k, generator=generator, dtype=torch.float64))[0].T


def window_pooled_jacobian(
    f: Encoder, x: OnePoint, window: int = 2, at_once: int = ENCODED_AT_ONCE
) -> Float[Tensor, "r n"]:
    """All of J of h averaged over windows of its pixels, at one point x (1, ...): a backward pass for each row.

    What a window does not fill at the right and below is left out, as `torch.nn.AvgPool2d` does.

    Raises:
        GeometryError: h is smaller than a window.
    """
    with torch.no_grad():
        h = f(x)
    channels, height, width = h.shape[1:]
    down, across = height // window, width // window
    if not down * across:
        raise GeometryError(
            f"Averages over {window} x {window} pixels need h of that size; it has {height} x {width}.", ""
        )
    rows = []
    for part in torch.arange(channels * down * across).split(at_once):
        cotangent = h.new_zeros(len(part), channels, down, across).flatten(1)
        cotangent[torch.arange(len(part)), part.to(h.device)] = 1.0 / window**2
        wide = cotangent.reshape(-1, channels, down, across)
        wide = wide.repeat_interleave(window, 2).repeat_interleave(window, 3)
        wide = torch.nn.functional.pad(wide, (0, width - across * window, 0, height - down * window))
        rows.append(pull_back(f, x.repeat(len(part), *(1 for _ in x.shape[1:])), wide).flatten(1))
    return torch.cat(rows)


def pooled(full: Float[Tensor, "h n"], shape: torch.Size) -> Float[Tensor, "c n"]:
    """The Jacobian of h averaged over its pixels: (dim h, n) and h's shape (C', ...) -> (C', n)."""
    return full.reshape(shape[0], -1, full.shape[1]).mean(1)


def pooled_jacobian(
    f: Encoder, x: OnePoint, at_once: int = ENCODED_AT_ONCE, mix: Float[Tensor, "k c"] | None = None
) -> Float[Tensor, "r n"]:
    """The same at one point x (1, ...) from C' backward passes, (C', n), without all of J.

    With ``mix`` (k, C'), orthonormal combinations of the channels, k rows from k passes: a part of the whole.
    """
    with torch.no_grad():
        h = f(x)
    pixels = max(1, h[0, 0].numel())
    wanted = torch.eye(h.shape[1], dtype=h.dtype, device=h.device) if mix is None else mix.to(h)
    rows = []
    for part in wanted.split(at_once):
        cotangent = part.reshape(*part.shape, *(1 for _ in h.shape[2:])).expand(-1, *h.shape[1:]) / pixels
        rows.append(pull_back(f, x.repeat(len(part), *(1 for _ in x.shape[1:])), cotangent).flatten(1))
    return torch.cat(rows)


def top_directions(
    f: Encoder, x: OnePoint, k: int, generator: torch.Generator, *, rounds: int = 6, at_once: int = ENCODED_AT_ONCE
) -> tuple[Float[Tensor, "k"], Float[Tensor, "k n"], Float[Tensor, "k"]]:
    """The k < n largest singular values of J P at x, descending, their right singular vectors, and each one's error.

    The vectors are unit tangent directions at x in which f changes most; the sign of each is such that its largest
    entry is positive. The generator draws the first subspace. A round costs 3 (k + 16) evaluations and k + 16
    backward passes.
    """
    n = x[0].numel()
    if not 1 <= k < n:
        raise GeometryError(f"Between 1 and {n - 1} singular values can be asked for; got {k}.", "Ask for fewer.")
    size = min(k + 16, n - 1)
    coordinates = random_basis(size, n - 1, generator).to(x.device, x.dtype)
    right = stereographic.frame(x.flatten(), coordinates)

    def through(rows: Tensor) -> Tensor:
        with torch.no_grad():
            return torch.cat([_push(f, x, part) for part in rows.split(_half(at_once))])

    def back_through(rows: Tensor, shape: torch.Size) -> Tensor:
        parts = (part.reshape(-1, *shape) for part in rows.split(at_once))
        carried = torch.cat([pull_back(f, x.repeat(len(part), *(1 for _ in x.shape[1:])), part) for part in parts])
        return tangent(x.expand_as(carried), carried).flatten(1)

    with torch.no_grad():
        shape = f(x).shape[1:]
    for _ in range(rounds):
        left = torch.linalg.qr(through(right).T)[0].T
        back = back_through(left, shape)
        right = torch.linalg.qr(back.T)[0].T
    turn, values, vectors = torch.linalg.svd(back, full_matrices=False)
    found = through(vectors[:k])  # rows J v
    left = turn.T[:k] @ left
    error = linalg.norm(found - values[:k, None] * left).squeeze(1) / math.sqrt(2)
    found = vectors[:k]
    signs = found.gather(1, found.abs().argmax(1, keepdim=True)).sign()
    return values[:k], found * signs, error


def riemannian(metrics: Float[Tensor, "points k k"]) -> Distortion:
    """Of metrics (N, k, k) at N points, in frames that can be compared."""
    values = torch.linalg.eigvalsh(metrics)
    points, k = values.shape
    # What lies below rounding is zero: the metric is singular there.
    if bool((values <= values[:, -1:] * k * torch.finfo(metrics.dtype).eps).any()):
        return Distortion(math.inf, math.nan, math.inf, k, points)
    conditions = values[:, -1] / values[:, 0]
    root = torch.linalg.cholesky(metrics.mean(0))
    half = torch.linalg.solve_triangular(root, metrics, upper=False)
    both = torch.linalg.solve_triangular(root, half.mT, upper=False)
    logs = torch.linalg.eigvalsh((both + both.mT) / 2).log()
    return Distortion(float(conditions.mean()), _std(conditions), float((logs**2).sum(1).mean()), k, points)


def singular(values: Float[Tensor, "points k"], unbiased: bool = False) -> Distortion:
    """Of singular values (N, k), descending, at N points; their variance divided by N, or unbiased by N - 1."""
    if bool((values[:, -1] <= values[:, 0] * torch.finfo(values.dtype).eps * values.shape[1]).any()):
        return Distortion(math.inf, math.nan, math.inf, values.shape[1], len(values))
    conditions = values[:, 0] / values[:, -1]
    variance = values.log().var(0, unbiased=unbiased).sum()
    return Distortion(float(conditions.mean()), _std(conditions), float(variance), values.shape[1], len(values))


def moments(metric: Float[Tensor, "k k"]) -> Float[Tensor, "3"]:
    """(Tr G, Tr G², 1): what `loss.linearise` estimates by chance, from all of a metric (k, k)."""
    return torch.stack([metric.diagonal().sum(), (metric**2).sum(), metric.new_ones(())]).double().cpu()


def loss_and_error(totals: Sequence[Tensor]) -> tuple[float, float]:
    """L from the totals of N points, and its standard error over points by the jackknife; 0 for a single point."""
    everything = torch.stack(list(totals)).sum(0)
    value = ratio(everything)
    n = len(totals)
    if n < 2:
        return value, 0.0
    without = torch.tensor([ratio(everything - one) for one in totals], dtype=torch.float64)
    return value, float(((n - 1) / n * ((without - without.mean()) ** 2).sum()).sqrt())


def relative_length(h: Float[Tensor, "m frames *feature"]) -> Float[Tensor, "m"]:
    """Relative trajectory lengths of curves h (m, K + 1, ...)."""
    h = h.flatten(2)
    steps = (h[:, 1:] - h[:, :-1]).norm(dim=2).sum(1)
    return steps * linalg.reciprocal((h[:, -1] - h[:, 0]).norm(dim=1))


def _push(f: Encoder, x: Tensor, directions: Tensor) -> Tensor:
    """Rows J d (m, dim h) for tangent rows d (m, n) at x (1, ...)."""
    rows = directions.reshape(-1, *x.shape[1:])
    return push(f, x, rows, sphere=True, step=default_step(x.dtype)).flatten(1)


def _half(at_once: int) -> int:
    """A central difference takes two rows."""
    return max(1, at_once // 2)


def _std(values: Tensor) -> float:
    return float(values.std()) if len(values) > 1 else 0.0
