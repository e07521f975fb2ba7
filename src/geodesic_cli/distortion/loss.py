"""How far a map is from an isometry up to scale, and the exact gradient of that without a second backward pass.

Let J be the Jacobian of a map h = f(x), and P v = v - x (x.v) / |x|² the projection onto the tangent space of the
sphere through x. R = P Jᵀ J P has the squares of the singular values of f on the sphere as its eigenvalues; f is an
isometry up to scale if they are all equal. The isometry loss (Hahm et al., ICML 2024, section 3) compares their first
two moments,

    L = E[Tr R²] / E[Tr R]²,      Tr R = E|a|²,  a = J P v,      Tr R² = E|w|²,  w = P Jᵀ a,      v ~ N(0, I),

and lies between 1 / rank and 1 where R is the same everywhere; 1 / L is the participation ratio, the number of
directions that f really uses. The paper writes the same number in a stereographic chart; chart, metric and radius
cancel (the tests have them).

The gradient. With sg for stop-gradient and b = J sg(w),

    grad |a|² = 2 grad <a, sg a>,       grad |w|² = 2 grad (<b, sg a> + <sg b, a>),

so directional derivatives that carry a graph are enough (`derivatives`).

The loss is a ratio of means, so its gradient

    grad L = grad T2 / T1² - 2 T2 / T1³ grad T1,      T1 = mean s1,  T2 = mean s2   (here s1 = |a|², s2 = |w|²)

needs both means over *everything*, which is why there are two phases: `linearise` gives a probe with running sums, the
sums of all probes, micro-batches and processes are added, and `gradient_scalar` gives for each probe a number whose
gradients add up to grad L exactly. The regularisers differ in s1 and s2 only:

    iso            as above
    iso-euclidean  as above without the projection, P = I, along straight lines
    path-length    s1 = |Jᵀy|, s2 = |Jᵀy|², y ~ N(0, I): L - 1 is the squared variation of the path length about its
                   mean, E(|Jᵀy| - m)² / m² (Karras et al., StyleGAN2, CVPR 2020, section 3.2, free of scale and with
                   the mean over the step for m)
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from geodesic_cli.distortion.derivatives import (
    Encoder,
    Inputs,
    Visit,
    default_step,
    inner,
    pulled,
    push,
    squares,
    tangent,
    visited,
)
from geodesic_cli.errors import GeometryError

Noise = Callable[[Tensor], Tensor]
"""Standard normal numbers of the shape, dtype and device of a given tensor; see `gaussian`."""

LOSSES = ("iso", "iso-euclidean", "path-length")
"""The regularisers."""

DIFFERENCES = ("central", "forward")


@dataclass(frozen=True, eq=False)
class Probe:
    """A linearised batch: what phase two needs to know of phase one. Only `image` and `visit` carry a graph.

    Attributes:
        regulariser: one of `LOSSES`.
        x: points (m, ...), repeated for each direction.
        ahead: the probe: P v in the space of x; for path-length y in the space of h.
        back: w, the probe carried to h and back; for path-length Jᵀy. In the space of x.
        image: a = J P v with its graph, if it was kept.
        totals: the sums of s1 and s2 over the rows, and the number of rows. Totals are added.
        step: of the differences.
        differences: one of `DIFFERENCES`.
        visit: where forward differences begin, if its graph was kept.
    """

    regulariser: str
    x: Float[Tensor, "m *point"]
    ahead: Float[Tensor, "m *either"]
    back: Float[Tensor, "m *point"]
    image: Float[Tensor, "m *feature"] | None
    totals: Float[Tensor, "3"]
    step: float
    differences: str = "central"
    visit: Visit | None = None


def gaussian(generator: torch.Generator) -> Noise:
    """Numbers drawn with a CPU generator in float32, so that every device sees the same ones."""
    return lambda like: torch.randn(like.shape, generator=generator).to(like.device, like.dtype)


def linearise(
    f: Encoder,
    x: Inputs,
    noise: Noise,
    *,
    regulariser: str = "iso",
    probes: int = 1,
    keep_graph: bool = False,
    differences: str = "central",
    visit: Visit | None = None,
) -> Probe:
    """Phase one: carry random directions through f and back.

    Costs one forward pass of 2 m rows, by forward differences of m, and one of m rows with its backward pass to x;
    path-length the second alone. With a visit there is no second forward pass.

    Args:
        f: the encoder; deterministic, in the precision of x (half precision drowns the differences).
        regulariser: one of `LOSSES`.
        probes: directions for each point.
        keep_graph: keep the graph of a, so that `gradient_scalar` need not compute a again: for a single micro-batch.
        differences: `central` or `forward`, with the angle of `default_step`.
        visit: f at these very points, for forward differences with one direction for each; it is not walked twice, and
            `gradient_scalar` adds to its graph.

    Raises:
        GeometryError: x is half precision, or f is not finite.
    """
    require_known(regulariser)
    _require_differences(x, differences, probes, visit)
    step = default_step(x.dtype, differences)
    x = x.detach().repeat(probes, *(1 for _ in x.shape[1:]))
    forward = differences == "forward"
    if visit is None and (forward or regulariser == "path-length"):
        visit = visited(f, x)
    image = None
    if regulariser == "path-length":
        assert visit is not None
        ahead = noise(visit.h.detach())
        back = pulled(visit, ahead)
        length = squares(back).sqrt()
        first, second = length, length**2
    else:
        sphere = regulariser == "iso"
        ahead = tangent(x, noise(x)) if sphere else noise(x)
        with torch.set_grad_enabled(keep_graph):
            image = push(f, x, ahead, sphere=sphere, step=step, start=visit.h if visit else None)
        back = pulled(visit or visited(f, x), image.detach())
        back = tangent(x, back) if sphere else back
        first, second = squares(image.detach()), squares(back)
    totals = torch.stack([first.sum(), second.sum(), first.new_tensor(len(x))])
    if not bool(torch.isfinite(totals).all()):
        raise GeometryError(
            "The encoder or its derivative is not finite (NaN or infinity).", "Lower the learning rate, or use float32."
        )
    totals = totals if x.device.type == "mps" else totals.double()
    image, visit = (image, visit if forward else None) if keep_graph else (None, None)
    return Probe(regulariser, x, ahead, back, image, totals, step, differences, visit)


def gradient_scalar(
    f: Encoder, probe: Probe, totals: Float[Tensor, "3"], visit: Visit | None = None
) -> Float[Tensor, ""]:
    """Phase two: a scalar whose gradient, *summed* over all probes that went into the totals, is the gradient of L.

    Its value means nothing; `ratio` has the value of L. Costs one forward pass with graph of 4 m rows, of 2 m with the
    graph of a kept and for path-length, and the backward pass of the 4 m or, for path-length, 2 m rows. By forward
    differences it is 3 m rows instead of 4 m, or 2 m for path-length; a kept graph or a visit saves m of the forward
    ones, and its backward pass is the one that the caller's own loss needs.

    Args:
        f: the encoder, unchanged since `linearise`.
        totals: the sum of the totals of all probes, micro-batches and processes of the step.
        visit: f at the points of the probe, for forward differences of which no graph was kept.
    """
    first, second, count = totals.unbind()
    on_first, on_second = (weight.to(probe.x.dtype) for weight in (-2 * count * second / first**3, count / first**2))
    sphere, start = probe.regulariser == "iso", None
    if probe.differences == "forward":
        start = (probe.visit or visit or visited(f, probe.x)).h
    if probe.regulariser == "path-length":
        work = inner(push(f, probe.x, probe.back, sphere=False, step=probe.step, start=start), probe.ahead)
        length = squares(probe.back).sqrt()
        return (on_first * work / torch.where(length > 0, length, 1) + on_second * 2 * work).sum()
    if probe.image is None:
        both = push(f, probe.x, torch.cat([probe.ahead, probe.back]), sphere=sphere, step=probe.step, start=start)
        a, b = both.chunk(2)
    else:
        a, b = probe.image, push(f, probe.x, probe.back, sphere=sphere, step=probe.step, start=start)
    moved = inner(b, a.detach()) + inner(b.detach(), a)
    return (on_first * squares(a) + on_second * 2 * moved).sum()


def ratio(totals: Float[Tensor, "3"]) -> float:
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


def require_known(regulariser: str) -> None:
    """Raise ValueError for a name that is not one of `LOSSES`."""
    if regulariser not in LOSSES:
        raise ValueError(f"a regulariser is one of {', '.join(LOSSES)}, not {regulariser!r}")


def _require_differences(x: Tensor, differences: str, probes: int, visit: Visit | None) -> None:
    if differences not in DIFFERENCES or (visit is not None and (probes != 1 or differences != "forward")):
        raise ValueError("differences are central or forward; a visit goes with forward ones and a single probe")
    if x.dtype not in (torch.float32, torch.float64):
        raise GeometryError(f"The isometry loss needs points in float32 or float64; got {x.dtype}.", "Call x.float().")
