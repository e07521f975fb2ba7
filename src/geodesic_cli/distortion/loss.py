"""How far a map is from an isometry up to scale, and the exact gradient of that without a second backward pass.

Let J be the Jacobian of a map h = f(x), and P v = v - x (x.v) / |x|² the projection onto the tangent space of the
sphere through x. R = P Jᵀ J P has the squares of the singular values of f on the sphere as its eigenvalues; f is an
isometry up to scale if they are all equal. The isometry loss (Hahm et al., ICML 2024, section 3) compares their first
two moments,

    L = E[Tr R²] / E[Tr R]²,      Tr R = E|a|²,  a = J P v,      Tr R² = E|w|²,  w = P Jᵀ a,      v ~ N(0, I),

and lies between 1 / rank and 1 where R is the same everywhere; 1 / L is the participation ratio, the number of
directions that f really uses. The paper writes the same number in a stereographic chart; chart, metric and radius
cancel (`stereographic` has them for the tests).

The gradient. With sg for stop-gradient and b = J sg(w),

    grad |a|² = 2 grad <a, sg a>,       grad |w|² = 2 grad (<b, sg a> + <sg b, a>),

so directional derivatives that carry a graph are enough. They are differences along the great circle,
x cos(step) ± |x| sin(step) d for a unit vector d. Their graph is an ordinary one. (Fused attention has no derivative
of second order or forward mode, and PyTorch's LayerNorm a wrong one under forward mode.)

    central  (f(+) - f(-)) / 2 step: exact to step², 4e-4 to 2e-3 of the gradient in float32
    forward  (f(+) - f(x)) / step: half as many passes, and f(x) with its graph is what a training step computes for its
             own loss (`Visit`). The error of first order, about 1% in float32, is odd in the probe: over probes, which
             are as likely as their opposites, it vanishes, and beside the chance in one probe (10 to 17% of the two
             moments) it is not seen.

The loss is a ratio of means, so its gradient

    grad L = grad T2 / T1² - 2 T2 / T1³ grad T1,      T1 = mean s1,  T2 = mean s2   (here s1 = |a|², s2 = |w|²)

needs both means over *everything*, which is why there are two phases: `linearise` gives a probe with running sums, the
sums of all probes, micro-batches and processes are added, and `surrogate` gives for each probe a number whose gradients
add up to grad L exactly. The regularisers differ in s1 and s2 only:

    iso            as above
    iso-euclidean  as above without the projection, P = I, along straight lines
    path-length    s1 = |Jᵀy|, s2 = |Jᵀy|², y ~ N(0, I): L - 1 is the squared variation of the path length about its
                   mean, E(|Jᵀy| - m)² / m² (Karras et al., StyleGAN2, CVPR 2020, section 3.2, free of scale and with
                   the mean over the step for m)
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from geodesic_cli.errors import GeometryError

Encoder = Callable[[Tensor], Tensor]
"""f: (m, ...) -> (m, ...), row by row. m is a multiple of the number of points: a batch is repeated as a whole, so that
row i belongs to point i mod n. An encoder that holds something for each point (a timestep, a prompt) repeats it so."""

Noise = Callable[[Tensor], Tensor]
"""Standard normal numbers of the shape, dtype and device of a given tensor; see `gaussian`."""

REGULARISERS = ("iso", "iso-euclidean", "path-length", "none")
"""The names; `none` is the control without any, for which nothing here is called."""


DIFFERENCES = ("central", "forward")


@dataclass(frozen=True, eq=False)
class Visit:
    """f evaluated with its graph.

    Attributes:
        x: points (m, ...), a leaf that requires grad.
        h: f(x), (n, ...), at some of them.
        rows: which of the m they are, (n,); None are all.
    """

    x: Tensor
    h: Tensor
    rows: Tensor | None = None


@dataclass(frozen=True, eq=False)
class Probe:
    """A linearised batch: what phase two needs to know of phase one. Only `image` and `visit` carry a graph.

    Attributes:
        regulariser: one of `REGULARISERS`.
        x: points (m, ...), repeated for each direction.
        ahead: the probe: P v in the space of x; for path-length y in the space of h.
        back: w, the probe carried to h and back; for path-length Jᵀy. In the space of x.
        image: a = J P v with its graph, if it was kept.
        totals: (3,): the sums of s1 and s2 over the rows, and the number of rows. Totals are added.
        step: of the differences.
        differences: one of `DIFFERENCES`.
        visit: where forward differences begin, if its graph was kept.
    """

    regulariser: str
    x: Tensor
    ahead: Tensor
    back: Tensor
    image: Tensor | None
    totals: Tensor
    step: float
    differences: str = "central"
    visit: Visit | None = None


def gaussian(generator: torch.Generator) -> Noise:
    """Numbers drawn with a CPU generator in float32, so that every device sees the same ones."""
    return lambda like: torch.randn(like.shape, generator=generator).to(like.device, like.dtype)


def linearise(
    f: Encoder,
    x: Tensor,
    noise: Noise,
    *,
    regulariser: str = "iso",
    probes: int = 1,
    keep_graph: bool = False,
    step: float | None = None,
    differences: str = "central",
    visit: Visit | None = None,
) -> Probe:
    """Phase one: carry random directions through f and back.

    Costs one forward pass of 2 m rows, by forward differences of m, and one of m rows with its backward pass to x;
    path-length the second alone. With a visit there is no second forward pass.

    Args:
        f: the encoder; deterministic, in the precision of x (half precision drowns the differences).
        x: points (n, ...).
        noise: draws the probe directions.
        regulariser: `iso`, `iso-euclidean` or `path-length`.
        probes: directions for each point.
        keep_graph: keep the graph of a, so that `surrogate` need not compute a again: for a single micro-batch.
        step: angle of the differences in radians; None is `default_step`, 7e-4 or 3e-4 in float32.
        differences: `central` or `forward`.
        visit: f at these very points, for forward differences with one direction for each; it is not walked twice, and
            `surrogate` adds to its graph.

    Raises:
        GeometryError: x is half precision, or f is not finite.
    """
    _require_known(regulariser)
    if differences not in DIFFERENCES or (visit is not None and (probes != 1 or differences != "forward")):
        raise ValueError("differences are central or forward; a visit goes with forward ones and a single probe")
    if x.dtype not in (torch.float32, torch.float64):
        raise GeometryError(f"The isometry loss needs points in float32 or float64; got {x.dtype}.", "Call x.float().")
    step = default_step(x.dtype, differences) if step is None else step
    x = x.detach().repeat(probes, *(1 for _ in x.shape[1:]))
    forward = differences == "forward"
    if visit is None and (forward or regulariser == "path-length"):
        visit = _visited(f, x)
    image = None
    if regulariser == "path-length":
        assert visit is not None
        ahead = noise(visit.h.detach())
        back = _pulled(visit, ahead)
        length = _squares(back).sqrt()
        first, second = length, length**2
    else:
        sphere = regulariser == "iso"
        ahead = tangent(x, noise(x)) if sphere else noise(x)
        with torch.set_grad_enabled(keep_graph):
            image = push(f, x, ahead, sphere=sphere, step=step, start=visit.h if visit else None)
        back = _pulled(visit or _visited(f, x), image.detach())
        back = tangent(x, back) if sphere else back
        first, second = _squares(image.detach()), _squares(back)
    totals = torch.stack([first.sum(), second.sum(), first.new_tensor(len(x))])
    if not bool(torch.isfinite(totals).all()):
        raise GeometryError(
            "The encoder or its derivative is not finite (NaN or infinity).", "Lower the learning rate, or use float32."
        )
    totals = totals if x.device.type == "mps" else totals.double()
    image, visit = (image, visit if forward else None) if keep_graph else (None, None)
    return Probe(regulariser, x, ahead, back, image, totals, step, differences, visit)


def surrogate(f: Encoder, probe: Probe, totals: Tensor, visit: Visit | None = None) -> Tensor:
    """Phase two: a scalar whose gradient, *summed* over all probes that went into the totals, is the gradient of L.

    Its value means nothing; `ratio` has the value of L. Costs one forward pass with graph of 4 m rows, of 2 m with the
    graph of a kept and for path-length, and the backward pass of the 4 m or, for path-length, 2 m rows. By forward
    differences it is 3 m rows instead of 4 m, or 2 m for path-length; a kept graph or a visit saves m of the forward
    ones, and its backward pass is the one that the caller's own loss needs.

    Args:
        f: the encoder, unchanged since `linearise`.
        probe: of this micro-batch.
        totals: (3,), the sum of the totals of all probes, micro-batches and processes of the step.
        visit: f at the points of the probe, for forward differences of which no graph was kept.
    """
    first, second, count = totals.unbind()
    on_first, on_second = (weight.to(probe.x.dtype) for weight in (-2 * count * second / first**3, count / first**2))
    sphere, start = probe.regulariser == "iso", None
    if probe.differences == "forward":
        start = (probe.visit or visit or _visited(f, probe.x)).h
    if probe.regulariser == "path-length":
        work = _inner(push(f, probe.x, probe.back, sphere=False, step=probe.step, start=start), probe.ahead)
        length = _squares(probe.back).sqrt()
        return (on_first * work / torch.where(length > 0, length, 1) + on_second * 2 * work).sum()
    if probe.image is None:
        both = push(f, probe.x, torch.cat([probe.ahead, probe.back]), sphere=sphere, step=probe.step, start=start)
        a, b = both.chunk(2)
    else:
        a, b = probe.image, push(f, probe.x, probe.back, sphere=sphere, step=probe.step, start=start)
    moved = _inner(b, a.detach()) + _inner(b.detach(), a)
    return (on_first * _squares(a) + on_second * 2 * moved).sum()


def ratio(totals: Tensor) -> float:
    """The loss L = mean s2 / (mean s1)² from the totals (3,) of `Probe`; for path-length 1 is its least value.

    Raises:
        GeometryError: the totals are of no rows, or of a constant map.
    """
    first, second, count = (float(value) for value in totals)
    if not (count > 0 and first > 0):
        raise GeometryError(
            "The isometry loss needs points at which the encoder changes; it is constant, or there are none.",
            "Pass points, and look whether the weights are damaged.",
        )
    return count * second / first**2


def participation_ratio(totals: Tensor) -> float:
    """1 / L: how many directions the map uses, between 1 and its rank."""
    return 1 / ratio(totals)


def exact_loss(f: Encoder, x: Tensor, noise: Noise, *, regulariser: str = "iso") -> Tensor:
    """L with its graph by repeated backward passes; the oracle of the tests, several times as dear as the surrogate.

    One forward pass, g = Jᵀc for a dummy c, a = dg/dc P v, w = Jᵀa. f must be twice differentiable in reverse mode:
    fused attention is not (`diffusion.features.twice_differentiable` mends that).
    """
    _require_known(regulariser)
    sphere = regulariser == "iso"
    x = x.detach().requires_grad_(True)
    h = f(x)
    if regulariser == "path-length":
        (w,) = torch.autograd.grad(h, x, noise(h.detach()), create_graph=True)
        return _squares(w).mean() / _squares(w).sqrt().mean() ** 2
    dummy = torch.zeros_like(h, requires_grad=True)
    (g,) = torch.autograd.grad(h, x, dummy, create_graph=True)
    v = noise(x.detach())
    (a,) = torch.autograd.grad(g, dummy, tangent(x.detach(), v) if sphere else v, create_graph=True)
    (w,) = torch.autograd.grad(h, x, a, create_graph=True)
    w = tangent(x.detach(), w) if sphere else w
    return _squares(w).mean() / _squares(a).mean() ** 2


def tangent(x: Tensor, v: Tensor) -> Tensor:
    """P v = v - x (x.v) / |x|², row by row for tensors of any shape (m, ...); v itself where x is zero."""
    square = _column(_squares(x), x)
    return v - x * _column(_inner(x, v), x) / torch.where(square > 0, square, torch.ones_like(square))


def push(
    f: Encoder, x: Tensor, directions: Tensor, *, sphere: bool, step: float, start: Tensor | None = None
) -> Tensor:
    """J d by differences, with graph if gradients are on: k n directions at n points to k n rows like h.

    They are forward differences from `start`, f(x) of n rows, and central ones without it. On the sphere the way is the
    great circle and the directions must be tangent; else it is straight.
    """
    times = len(directions) // len(x)
    x = x.repeat(times, *(1 for _ in x.shape[1:]))
    length = _column(_squares(directions).sqrt(), x)
    radius = _column(_squares(x).sqrt(), x)
    radius = torch.where(radius > 0, radius, torch.full_like(radius, x[0].numel() ** 0.5))
    unit = directions / torch.where(length > 0, length, torch.ones_like(length))
    angle = torch.tensor(step, dtype=torch.float64)
    along, across = (float(angle.cos()), float(angle.sin())) if sphere else (1.0, step)
    way = radius * across * unit
    rate = (length / (across * radius)).flatten()
    if start is not None:
        ahead = f(x * along + way)
        return (ahead - start.repeat(times, *(1 for _ in start.shape[1:]))) * _column(rate, ahead)
    ahead, behind = f(torch.cat([x * along + way, x * along - way])).chunk(2)
    return (ahead - behind) * _column(rate / 2, ahead)


def pull(f: Encoder, x: Tensor, cotangent: Tensor) -> Tensor:
    """Jᵀ times cotangents, row by row and without graph: points (m, ...) and rows like h -> (m, ...)."""
    return _pulled(_visited(f, x), cotangent)


def default_step(dtype: torch.dtype, differences: str = "central") -> float:
    """The angle of a difference: 0.14 eps^(1/3) for a central one, eps^(1/2) for a forward one; 7e-4, 3e-4 in float32.

    Measured on four UNets, the gradient in float32 is then off by 4e-4 to 2e-3 and by 3e-3 to 1e-2; at four times that
    angle the error is truncation, which goes with the square of it or, forward, with itself.
    """
    eps = float(torch.finfo(dtype).eps)
    return 0.14 * eps ** (1 / 3) if differences == "central" else eps**0.5


# --- parts -----------------------------------------------------------------------------------------------------------


def _visited(f: Encoder, x: Tensor) -> Visit:
    with torch.enable_grad():
        leaf = x.detach().requires_grad_(True)
        return Visit(leaf, f(leaf))


def _pulled(visit: Visit, cotangent: Tensor) -> Tensor:
    """Jᵀ times cotangents, row by row; the graph of the visit is kept for what comes after."""
    (gradient,) = torch.autograd.grad(visit.h, visit.x, cotangent, retain_graph=True)
    return gradient.detach() if visit.rows is None else gradient.detach()[visit.rows]


def _inner(a: Tensor, b: Tensor) -> Tensor:
    return (a * b).flatten(1).sum(1)


def _squares(a: Tensor) -> Tensor:
    return _inner(a, a)


def _column(values: Tensor, like: Tensor) -> Tensor:
    """(m,) as (m, 1, ...), to go with the rows of `like`."""
    return values.reshape(-1, *(1 for _ in like.shape[1:]))


def _require_known(regulariser: str) -> None:
    if regulariser not in REGULARISERS[:3]:
        raise ValueError(f"a regulariser is one of {', '.join(REGULARISERS[:3])}, not {regulariser!r}")
