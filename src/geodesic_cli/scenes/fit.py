"""The scene that best explains an image: global search over a bank of silhouettes, then damped Gauss-Newton.

The renderer is affine in a solid's base colour, so two renderings (black and white) give its picture in every colour.
That makes colour and material a closed-form choice for any geometry; what remains, position, size and rotation, is
refined by Levenberg-Marquardt with finite differences of the antialiased picture. No network takes part: the error
is an independent measure of how far an image is from any valid scene.
"""

import math
from dataclasses import replace
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from geodesic_cli.errors import InputError
from geodesic_cli.scenes.render import render_tensors
from geodesic_cli.scenes.scene import (
    COLOURS,
    MATERIALS,
    SHAPES,
    SIZE_RANGE,
    X_RANGE,
    Y_RANGE,
    Scene,
    SceneTensors,
    Solid,
)

_SIDE = 64  # larger images are averaged down to this shorter side: enough to tell scenes apart, and fast
_SLACK = 0.15  # clips may carry a solid a little past the ranges that are sampled
_PALETTE = torch.tensor(list(COLOURS.values()))
_STEP = (0.03, 0.06, 0.02, 0.06)  # finite differences in x, y, size, rotation: about 0.4 of a pixel at 64 pixels
_BOUNDS = torch.tensor([[*X_RANGE], [*Y_RANGE], [*SIZE_RANGE], [-math.inf, math.inf]]) + _SLACK * torch.tensor(
    [-1.0, 1.0]
)
_VARIANTS = ((0, 0.0), (1, 0.0), (1, math.pi / 6), (1, math.pi / 3), (2, 0.0))  # index of the shape, rotation
_SECOND_SOLID_PAYS = 0.6  # a second solid is accepted when the squared error falls below this share


class Fit(NamedTuple):
    """The best scene and its error.

    ``error`` is |image - rendering| / |rendering - empty table|, the root of the share of the solids' energy that stays
    unexplained: 0 for a rendering, about 1 for an empty table, larger for pictures of anything else.
    """

    scene: Scene
    error: float


def fit_all(images: Tensor, solids: int = 1) -> list[Fit]:
    """Fit every image (n, 3, h, w) in [0, 1] by itself; the result does not depend on the batch.

    Each scene may hold ``solids`` of them at most, 1 or 2.

    Raises:
        InputError: the tensor is not a batch of finite RGB images, or ``solids`` is not 1 or 2.
    """
    if images.ndim != 4 or images.shape[1] != 3:
        raise InputError(f"Fitting a scene needs images of shape (n, 3, h, w); got {tuple(images.shape)}.")
    if solids not in (1, 2):
        raise InputError(f"Fitting a scene allows one or two solids; got {solids}.")
    if not bool(torch.isfinite(images).all()):
        raise InputError("Fitting a scene needs finite pixel values; got NaN or infinity.")
    images = images.detach().to("cpu", torch.float32)
    scale = min(images.shape[2:]) / _SIDE
    if scale > 1:
        size = [round(side / scale) for side in images.shape[2:]]
        images = interpolate(images, size=size, mode="bilinear", antialias=True, align_corners=False)
    with torch.no_grad():
        return [found for batch in images.split(16) for found in _fit_batch(batch, solids)]


def _fit_batch(target: Tensor, solids: int) -> list[Fit]:
    one, loss = _add_solid(target, None)
    if solids == 1:
        return _report(one, target)
    two, both = _add_solid(target, one)
    better = both < _SECOND_SOLID_PAYS * loss
    singles, pairs = _report(one, target), _report(two, target)
    return [pair if use else single for single, pair, use in zip(singles, pairs, better.tolist(), strict=True)]


def _report(s: SceneTensors, target: Tensor) -> list[Fit]:
    height, width = target.shape[2:]
    picture, empty = render_tensors(s, height, width, 3), _empty(height, width)
    errors = (target - picture).flatten(1).norm(dim=1) / (picture - empty).flatten(1).norm(dim=1).clamp(min=1e-6)
    found = []
    for i, error in enumerate(errors.tolist()):
        members = tuple(
            Solid(
                shape=SHAPES[int(s.shape[i, j])],
                colour=tuple(COLOURS)[int((_PALETTE - s.colour[i, j]).norm(dim=-1).argmin())],
                material=MATERIALS[int(s.metal[i, j])],
                x=float(s.x[i, j]),
                y=float(s.y[i, j]),
                size=float(s.size[i, j]),
                rotation=float(s.rotation[i, j]) % (math.pi / 2),
            )
            for j in range(s.shape.shape[1])
        )
        found.append(Fit(Scene(members), error))
    return found


def _add_solid(target: Tensor, rest: SceneTensors | None) -> tuple[SceneTensors, Tensor]:
    """The best scenes with one more solid than ``rest`` and their squared errors (n,)."""
    n, _, height, width = target.shape
    background = _empty(height, width).expand(n, -1, -1, -1) if rest is None else render_tensors(rest, height, width, 3)
    starts = _search(target - background)
    # One candidate a variant (shape, and rotation of a cube) and image, all in one batch.
    batch = _stack([_with_solid(rest, starts[:, k], *variant) for k, variant in enumerate(_VARIANTS)])
    wide = target.repeat(len(_VARIANTS), 1, 1, 1)
    batch, loss = _identify(batch, wide)
    loss = loss.reshape(len(_VARIANTS), n)
    best_cube = loss[1:4].argmin(0) + 1
    rows = torch.arange(n)
    chosen = torch.cat([rows, best_cube * n + rows, 4 * n + rows])
    batch, wide = _take(batch, chosen), target.repeat(3, 1, 1, 1)
    batch, _ = _refine(batch, wide, iterations=4, subsamples=2)
    batch, loss = _identify(batch, wide)
    order = loss.reshape(3, n).argsort(0)[:2]
    batch, wide = _take(batch, (order * n + rows).flatten()), target.repeat(2, 1, 1, 1)
    batch, _ = _refine(batch, wide, iterations=4, subsamples=2)
    batch, loss = _identify(batch, wide)
    best = _take(batch, loss.reshape(2, n).argmin(0) * n + rows)
    return _refine(best, target, iterations=4, subsamples=3)


@lru_cache(maxsize=8)
def _empty(height: int, width: int) -> Tensor:
    return render_tensors(SceneTensors.of([Scene(())]), height, width, 3)


@lru_cache(maxsize=8)
def _bank(height: int, width: int) -> tuple[Tensor, Tensor, Tensor]:
    """Pictures of each variant on a grid, less the empty table, as affine functions of the base colour.

    Returns geometry (m, 3) as x, y, size, shared by the variants; slope (v, m, 3, h * w) and offset of the same shape.
    """
    grid = torch.cartesian_prod(
        torch.linspace(*X_RANGE, 15), torch.linspace(*Y_RANGE, 9), torch.linspace(*SIZE_RANGE, 4)
    )
    slopes, offsets = [], []
    for variant in _VARIANTS:
        white = _with_solid(None, grid, *variant)
        black = replace(white, colour=torch.zeros_like(white.colour))
        dark = render_tensors(black, height, width, 1).flatten(2)
        slopes.append(render_tensors(white, height, width, 1).flatten(2) - dark)
        offsets.append(dark - _empty(height, width).flatten(2))
    return grid, torch.stack(slopes), torch.stack(offsets)


def _search(difference: Tensor) -> Tensor:
    """The best start (n, variants, 3 numbers) for pictures less the empty table (n, 3, h, w), over all colours."""
    height, width = (max(16, side // 2) for side in difference.shape[2:])
    small = interpolate(difference, size=(height, width), mode="bilinear", antialias=True, align_corners=False)
    geometry, slope, offset = _bank(height, width)
    target = small.flatten(2)
    # |target - colour * slope - offset|^2 for every template and colour, expanded so that no big tensor is made.
    linear = torch.einsum("vmcp,ncp->nvmc", slope, target) - (slope * offset).sum(-1)
    constant = -2 * torch.einsum("vmcp,ncp->nvm", offset, target) + (offset**2).sum((-2, -1))
    square = (slope**2).sum(-1)
    loss = constant[..., None] - 2 * linear @ _PALETTE.T + square @ (_PALETTE**2).T
    return geometry[loss.amin(-1).argmin(-1)]


def _with_solid(rest: SceneTensors | None, start: Tensor, kind: int, rotation: float) -> SceneTensors:
    """Scenes whose last solid is a white rubber one at ``start`` (n, 3)."""
    column = start[:, :1]
    new = SceneTensors(
        shape=torch.full_like(column, kind, dtype=torch.long),
        colour=torch.ones(len(start), 1, 3),
        metal=torch.zeros_like(column),
        x=column,
        y=start[:, 1:2],
        size=start[:, 2:3],
        rotation=torch.full_like(column, rotation),
    )
    if rest is None:
        return new
    return SceneTensors(**{name: torch.cat([getattr(rest, name), getattr(new, name)], 1) for name in vars(new)})


def _stack(batches: list[SceneTensors]) -> SceneTensors:
    return SceneTensors(**{name: torch.cat([getattr(b, name) for b in batches]) for name in vars(batches[0])})


def _take(s: SceneTensors, rows: Tensor) -> SceneTensors:
    return SceneTensors(**{name: getattr(s, name)[rows] for name in vars(s)})


def _identify(s: SceneTensors, target: Tensor) -> tuple[SceneTensors, Tensor]:
    """Colour and material of the last solid, in closed form for its geometry; squared errors (n,)."""
    height, width = target.shape[2:]
    losses = []
    for shine in (0.0, 1.0):
        made = replace(s, metal=torch.cat([s.metal[:, :-1], torch.full_like(s.metal[:, -1:], shine)], 1))
        black, white = (
            render_tensors(
                replace(made, colour=torch.cat([s.colour[:, :-1], torch.full_like(s.colour[:, -1:], base)], 1)),
                height,
                width,
                2,
            ).flatten(2)
            for base in (0.0, 0.45)  # bright enough to weigh, dark enough not to be clipped
        )
        slope, miss = (white - black) / 0.45, target.flatten(2) - black
        quadratic = (slope * slope).sum(-1)[:, None], (slope * miss).sum(-1)[:, None], (miss * miss).sum(-1)[:, None]
        losses.append((quadratic[0] * _PALETTE**2 - 2 * quadratic[1] * _PALETTE + quadratic[2]).sum(-1))
    loss, best = torch.stack(losses, 1).flatten(1).min(1)
    colour = torch.cat([s.colour[:, :-1], _PALETTE[best % len(COLOURS)][:, None]], 1)
    metal = torch.cat([s.metal[:, :-1], (best // len(COLOURS)).to(s.metal.dtype)[:, None]], 1)
    return replace(s, colour=colour, metal=metal), loss


def _with_numbers(s: SceneTensors, p: Tensor) -> SceneTensors:
    return replace(s, x=p[..., 0], y=p[..., 1], size=p[..., 2], rotation=p[..., 3])


def _refine(s: SceneTensors, target: Tensor, iterations: int, subsamples: int) -> tuple[SceneTensors, Tensor]:
    """Levenberg-Marquardt on position, size and rotation of every solid; returns scenes and squared errors."""
    n, _, height, width = target.shape
    solids = s.shape.shape[1]
    steps = torch.tensor(_STEP).repeat(solids)
    # Rotation shows on cubes only; elsewhere its column is zero and the damping keeps it still.
    bounds = _BOUNDS.repeat(solids, 1)
    damping = torch.full((n,), 1e-2)

    def picture(p: Tensor, like: SceneTensors) -> Tensor:
        return render_tensors(_with_numbers(like, p.reshape(-1, solids, 4)), height, width, subsamples).flatten(1)

    p = torch.stack([s.x, s.y, s.size, s.rotation], -1).reshape(n, -1)
    residual = target.flatten(1) - picture(p, s)
    loss = (residual**2).sum(1)
    for _ in range(iterations):
        moved = torch.cat([p + torch.eye(4 * solids)[k] * steps[k] for k in range(4 * solids)])
        pictures = picture(moved, _stack([s] * (4 * solids))).reshape(4 * solids, n, -1)
        jacobian = (pictures - (target.flatten(1) - residual)) / steps[:, None, None]
        normal = torch.einsum("anp,bnp->nab", jacobian, jacobian)
        slope = torch.einsum("anp,np->na", jacobian, residual)
        diagonal = normal.diagonal(dim1=1, dim2=2)
        ridge = damping[:, None] * diagonal + 1e-6 * diagonal.amax(1, keepdim=True) + 1e-9
        step = torch.linalg.solve(normal + torch.diag_embed(ridge), slope)
        limit = torch.tensor([0.25, 0.35, 0.12, 0.3]).repeat(solids)
        trial = torch.maximum(torch.minimum(p + step.clamp(-limit, limit), bounds[:, 1]), bounds[:, 0])
        missed = target.flatten(1) - picture(trial, s)
        found = (missed**2).sum(1)
        better = found < loss
        p = torch.where(better[:, None], trial, p)
        residual = torch.where(better[:, None], missed, residual)
        loss = torch.where(better, found, loss)
        damping = torch.where(better, damping / 4, damping * 6)
    return _with_numbers(s, p.reshape(n, solids, 4)), loss
