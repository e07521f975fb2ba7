"""Where the frames of a path lie so that what is seen changes evenly from each to the next.

The path is looked at in passes: a few points first, then as many more where the latents changed most, and again. The
first ones lie where the denoised pictures change, which the scores that the path was measured with say at no cost
(`PathReport.denoised`); without a report they lie at equal steps, and there is one pass more. A look is carried down in
a sixth of the steps of a frame, the ends too, so that what the short way adds is the same everywhere and cancels in
differences. A measure then says how far apart neighbouring looks are, a monotone curve goes through the sums, and the
frames are placed at equal parts of it: exactly as many as were asked for, the first and the last at the ends. The
number of looks grows with the logarithm of the number of frames.
The measures are lengths, that is, a small change counts in proportion to its size:

    even         |z - z'|, in the autoencoder's latents: the model's own idea of a picture, without a further network
    features     |h - h'|, in the network's middle block at low noise (`Features`), one evaluation a look
    lpips        sqrt(LPIPS), as LPIPS grows with the square of a small change; for the frames, not the latents
    perceptual   lpips where it is at hand, otherwise features, otherwise even; `Pacer.detail` says which it was

A jump stays a jump, but gets more frames than a part where nothing happens.
"""

import math
from collections.abc import Callable, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from geodesic_cli.diffusion import LatentDiffusion
from geodesic_cli.diffusion.tuning.features import tapped
from geodesic_cli.errors import GeodesicError, InputError
from geodesic_cli.evaluation import Distance, lpips
from geodesic_cli.frames.keyframes import Ends
from geodesic_cli.frames.path_report import PathReport
from geodesic_cli.frames.paths import ATTENTION, BLEND, ImagePath, carried_down, positions

MEASURES = ("even", "features", "lpips", "perceptual")
"""The names of the measures."""
LOW = 0.05
"""The noise level of `features`: noise hides nothing that is seen, and the network still has something to do."""
PASSES, LOOKS = 2, 9
"""Passes up to `FEW_STEPS` steps between frames where a report guides the first, and looks in each. Over moved and
changed scenes 18 looks of 3 evaluations space 17 frames as evenly as 65 looks of 7 did at equal steps: a jump needs
them in one place."""
FEW_STEPS = 16
"""Each time that there are twice as many steps between frames there is one pass more."""
DENSE = 4
"""Looks for each frame at most, where frames are few."""
PICTURES_AT_ONCE = 8
"""Pictures decoded and compared at once."""


@dataclass(frozen=True, eq=False)
class Pacer:
    """A measure of how far neighbouring looks are apart.

    Args:
        name: of `MEASURES`, `perceptual` aside: what is used in the end.
        detail: what is measured, after the words "at equal steps".
        lengths: clean latents (m, d) in their order along the path -> (m - 1,) lengths of the steps, on the CPU.
        evaluations: of the network, for each look.
        guide: how much the denoised picture changes in each of equal steps of u: it says where to look first, and takes
            the place of a pass of looks.
    """

    name: str
    detail: str
    lengths: Callable[[Tensor], Tensor]
    evaluations: int = 0
    guide: tuple[float, ...] = ()

    def along(self, method: str, report: PathReport) -> "Pacer | None":
        """The same for the path of a method, of which this was measured; None where equal steps of u are even."""
        if method == BLEND and self.name == "even":
            return None  # a straight line of clean latents
        return replace(self, guide=tuple(report.denoised))


def pacer(
    measure: str,
    model: LatentDiffusion,
    shape: tuple[int, int, int],
    *,
    distance: Distance | None = None,
    crop: Callable[[Tensor], Tensor] | None = None,
) -> Pacer:
    """The pacer of a name.

    Args:
        measure: one of `MEASURES`.
        shape: (C, H, W) of its latents.
        distance: takes the place of LPIPS; it must grow with the square of a small change.
        crop: from what the model draws to the frames that are seen.

    Raises:
        InputError: an unknown measure, or LPIPS asked for and not installed.
        ModelError: the weights of LPIPS asked for and not to be had.
    """
    if measure not in MEASURES:
        raise InputError(f"The measures of pacing are {', '.join(MEASURES)}; got {measure!r}.")
    even = Pacer("even", "in the autoencoder's latents", _between)
    if measure == "even":
        return even
    if measure in ("lpips", "perceptual") and distance is None:
        # It may be not installed, or its weights not here.
        with suppress(GeodesicError) if measure == "perceptual" else nullcontext():
            distance = lpips(device=str(model.device))
    if distance is None or measure == "features":
        if measure == "perceptual" and not hasattr(model.predict.unet, "mid_block"):
            return even  # a transformer
        return Pacer(
            "features",
            f"in the features of the network's middle block at noise level {LOW:g}",
            Features(model, shape).lengths,
            1,
        )
    apart, cut = distance, crop or (lambda images: images)

    def seen(z: Tensor) -> Tensor:
        parts = []
        for first in range(0, len(z) - 1, PICTURES_AT_ONCE):
            images = cut(model.decode(z[first : first + PICTURES_AT_ONCE + 1], shape))
            parts.append(apart(images[:-1], images[1:]).detach().to("cpu", torch.float64))
        return torch.cat(parts).clamp(min=0).sqrt()

    return Pacer("lpips", f"of the square root of {getattr(apart, 'name', 'a distance')}", seen)


@dataclass(frozen=True, eq=False)
class Features:
    """The network's middle block as a picture's description.

    A picture's latent gets one noise, the same for every picture, at the level `LOW`; the network is asked without a
    prompt, so that the prompts of a path do not count. The answer of its middle block is scaled to unit length over the
    channels at each place, as LPIPS does (Zhang et al., CVPR 2018), and two pictures are as far apart as the root mean
    square of the difference over the places.

    Args:
        model: the model; its network has a middle block, as every UNet of diffusers does.
        shape: (C, H, W) of its latents.
    """

    model: LatentDiffusion
    shape: tuple[int, int, int]

    def __call__(self, z: Tensor) -> Tensor:
        """Features (m, C' H' W') of clean latents (m, d), so that their distance is Euclidean; float64 on the CPU.

        Raises:
            InputError: the network has no middle block.
        """
        predict = self.model.predict
        signal, sigma, timestep = predict.schedule.level(LOW)
        noise = torch.randn(self.shape, generator=torch.Generator().manual_seed(0)).to(self.model.device)
        noisy = signal * z.to(self.model.device, torch.float32).reshape(-1, *self.shape) + sigma * noise
        null = self.model.prompts.null()
        if getattr(predict.unet, "mid_block", None) is None:
            raise InputError("This model's network has no middle block.", "Pass --pacing even, or lpips.")
        # A compiled network would not hear of a hook that comes later.
        compiled = hasattr(predict.unet, "_orig_mod")
        parts = []
        with tapped(predict.unet) as seen, torch.compiler.set_stance("force_eager") if compiled else nullcontext():
            for part in noisy.split(PICTURES_AT_ONCE):
                seen.clear()
                predict(part, timestep, null.expand(len(part)))
                if sum(len(one) for one in seen) > len(part):  # memory ran out on the way; now it is known to fit
                    seen.clear()
                    predict(part, timestep, null.expand(len(part)))
                parts.append(torch.cat(seen).cpu().double())
        h = torch.cat(parts)
        places = h.shape[2] * h.shape[3]
        unit = h / h.norm(dim=1, keepdim=True).clamp(min=torch.finfo(h.dtype).tiny)
        return unit.flatten(1) / places**0.5

    def lengths(self, z: Tensor) -> Tensor:
        """Distances of neighbours among clean latents (m, d), (m - 1,)."""
        return _between(self(z))


def _between(points: Tensor) -> Tensor:
    points = points.cpu().double()
    return (points[1:] - points[:-1]).norm(dim=-1)


def evaluations(measure: Pacer, frames: int, steps: int, method: str = "", branches: int = 1) -> int:
    """Network evaluations of `spaced` for a path of a method; ``branches`` of them for one step of the transport."""
    looks = _passes(frames, measure)
    carried = 0 if method == BLEND else sum(looks) + 2 * (method == ATTENTION) * len(looks)  # its ends go along
    return carried * (_short(steps) + 1) * branches + sum(looks) * measure.evaluations


def _passes(frames: int, measure: Pacer) -> list[int]:
    """Looks in each pass; the first one's hold both ends."""
    passes = PASSES + (not measure.guide) + max(0, round(math.log2((frames - 1) / FEW_STEPS)))
    looks = min(passes * LOOKS, DENSE * (frames - 1) + 1)
    return [min(LOOKS, looks - done) for done in range(0, looks, LOOKS)]


def _short(steps: int) -> int:
    """Steps in which a look is carried down."""
    return max(2, steps // 6)


def spaced(
    model: LatentDiffusion,
    ends: Ends,
    path: ImagePath,
    frames: int,
    steps: int,
    guidance: float,
    measure: Pacer,
    at: Tensor | None = None,
) -> Tensor:
    """Positions u (frames,) at which neighbouring frames are equally far apart under the measure; 0 and 1 are exact.

    Or at other shares of the way than equal ones, ``at`` (frames,), which go from 0 to 1.
    """

    def looks(u: Tensor) -> Tensor:
        return carried_down(model, ends, path, u, _short(steps), guidance)

    first, *more = _passes(frames, measure)
    u = positions(first)
    if measure.guide:
        u = at_equal_parts(positions(len(measure.guide) + 1), torch.tensor(measure.guide, dtype=torch.float64), first)
    z = looks(u)
    for count in more:
        new = at_equal_parts(u, _between(z), count + 2)[1:-1]
        order = torch.cat([u, new]).argsort(stable=True)
        u, z = torch.cat([u, new])[order], torch.cat([z, looks(new)])[order.to(z.device)]
    return at_equal_parts(u, measure.lengths(z), frames, at)


def even_positions(
    model: LatentDiffusion, ends: Ends, path: ImagePath, frames: int, steps: int, guidance: float
) -> Tensor:
    """`spaced` by the autoencoder's latents."""
    return spaced(model, ends, path, frames, steps, guidance, pacer("even", model, ends.shape))


def eased(frames: int) -> Tensor:
    """Shares of the way (frames,) from 0 to 1 that begin and end slowly, as a pendulum moves from side to side."""
    shares = (1 - torch.cos(math.pi * positions(frames))) / 2
    shares[-1] = 1.0
    return shares


def at_equal_parts(dense: Tensor, lengths: Tensor, frames: int, at: Tensor | None = None) -> Tensor:
    """Positions (frames,) that cut the sum of lengths (m - 1,) between positions (m,) into equal parts.

    Between the positions the sum is taken to grow smoothly and to fall nowhere (Fritsch and Carlson, 1980). Or they
    are at the shares ``at`` (frames,) of the sum. Such steps of u where all lengths are 0 or one is not finite.
    """
    from scipy.interpolate import PchipInterpolator

    shares = positions(frames) if at is None else at.to("cpu", torch.float64)
    travelled = torch.cat([torch.zeros(1, dtype=torch.float64), lengths.to("cpu", torch.float64).cumsum(0)])
    if not (travelled[-1] > 0 and bool(travelled.isfinite().all())):
        return shares
    # Where nothing changes the sum stands still; of such positions the last counts, and at the very end the first.
    grows = torch.cat([travelled.diff() > 0, torch.tensor([False])])
    grows[torch.searchsorted(travelled, travelled[-1])] = True
    along = PchipInterpolator(travelled[grows].numpy(), dense[grows].numpy())
    u = torch.from_numpy(along((shares * travelled[-1]).numpy()))
    u[0], u[-1] = 0.0, 1.0
    return u


def frame_numbers(shares: Sequence[float], frames: int, loop: bool = False) -> tuple[int, ...]:
    """The numbers of the frames at which the legs of a path begin, and that at which the last one ends.

    Args:
        shares: of each leg, positive; in proportion to them the steps between frames are dealt out, at least 1 a leg.
        frames: how many there are in all.
        loop: whether the last leg ends at the first frame again; its number is then ``frames``, one past the last.

    Raises:
        InputError: fewer frames than keyframes.
    """
    steps, legs = frames - (not loop), len(shares)
    if steps < legs:
        raise InputError(
            f"Every keyframe is a frame: {legs + (not loop)} keyframes need as many frames; got --frames {frames}.",
            f"Pass --frames {legs + (not loop)} or more, or --between 0.",
        )
    total, numbers, done = sum(shares), [0], 0.0
    for leg, share in enumerate(shares, 1):
        done += share
        numbers.append(max(numbers[-1] + 1, min(round(steps * done / total), steps - legs + leg)))
    return tuple(numbers)
