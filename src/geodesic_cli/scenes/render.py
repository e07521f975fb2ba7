"""A small ray tracer: one ray a subsample, closed-form intersections, a soft directional light, an analytic sky.

Only subsamples whose pixel can see a solid or its shadow are traced; the rest is the empty table, which is the same in
every scene. With k x k subsamples a pixel, subsample i uses the i-th direction of the light's disc, so that one ray
each gives k^2 shades of penumbra. The rendering is a pure function of the scene: no randomness, any resolution.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from geodesic_cli.errors import InputError
from geodesic_cli.scenes.scene import Scene, SceneTensors

_EYE = (0.0, -7.2, 3.9)
_TARGET = (0.0, 0.12, 0.28)
_HALF_VIEW = math.tan(math.radians(15.5))  # of the shorter side of the image
_LIGHT = (-0.46, -0.42, 0.78)
_LIGHT_SPREAD = 0.10  # radius of the light's disc of directions
_GROUND = (0.545, 0.545, 0.55)
_SKY = (0.80, 0.80, 0.81)
_REACH = 2.1  # ambient occlusion on the ground ends at this many sizes from the axis
_BOUND = (1.0, 1.6, 1.36)  # bounding sphere radius over size: sphere, cube, cylinder
_CUBE_WIDTH, _CYLINDER_WIDTH = 0.87, 0.9  # half width over half height, so that the shapes look equally large


def render(scenes: list[Scene], size: int | tuple[int, int] = 64, subsamples: int = 3) -> Tensor:
    """Render scenes.

    Args:
        scenes: n scenes.
        size: side of a square image, or (height, width), in pixels.
        subsamples: rays along each side of a pixel.

    Returns:
        Images (n, 3, height, width), float32 in [0, 1].
    """
    height, width = (size, size) if isinstance(size, int) else size
    if min(height, width, subsamples) < 1:
        raise InputError(f"Rendering needs a positive size and number of subsamples; got {size} and {subsamples}.")
    if not scenes:
        return torch.zeros(0, 3, height, width)
    # A chunk of scenes keeps the working set in cache; chunks do not interact.
    chunk = max(1, 64 * 64 * 64 // (height * width))
    parts = [
        render_tensors(SceneTensors.of(scenes[k : k + chunk]), height, width, subsamples)
        for k in range(0, len(scenes), chunk)
    ]
    return torch.cat(parts)


@dataclass(frozen=True, eq=False)
class _Rays:
    """The camera's rays for one image size; ``direction`` (subsamples^2, pixels, 3), the rest per pixel or ray."""

    eye: Tensor
    centre: Tensor
    direction: Tensor
    light: Tensor
    ground: Tensor  # ground point of the central ray (pixels, 2)
    empty: Tensor  # colour of the empty table (subsamples^2, pixels, 3)


@lru_cache(maxsize=16)
def _rays(height: int, width: int, subsamples: int) -> _Rays:
    eye, target = torch.tensor(_EYE), torch.tensor(_TARGET)
    forward = _unit(target - eye)
    right = _unit(torch.linalg.cross(forward, torch.tensor([0.0, 0.0, 1.0])))
    up = torch.linalg.cross(right, forward)
    scale = 2 * _HALF_VIEW / min(height, width)

    def directions(offset_x: float, offset_y: float) -> Tensor:
        across = (torch.arange(width) + offset_x - width / 2) * scale
        down = (torch.arange(height) + offset_y - height / 2) * scale
        d = forward + across[None, :, None] * right - down[:, None, None] * up
        return _unit(d).reshape(-1, 3)

    # Canonical multi-jittered offsets: no two subsamples share a column or a row, so that an outline that moves across
    # a pixel changes it in k^2 steps, not k. Finite differences of the picture (in `fit`) live on that.
    k = subsamples
    offsets = [((i + (j + 0.5) / k) / k, (j + (i + 0.5) / k) / k) for j in range(k) for i in range(k)]
    direction = torch.stack([directions(*offset) for offset in offsets])
    centre = directions(0.5, 0.5)
    # A sunflower spiral spreads the light's directions evenly; the stride 5 decorrelates them from the pixel position.
    count = len(offsets)
    lights = []
    for k in range(count):
        order = (5 * k) % count if count % 5 else k
        radius, angle = _LIGHT_SPREAD * math.sqrt((order + 0.5) / count), 2.399963 * order
        lights.append([_LIGHT[0] + radius * math.cos(angle), _LIGHT[1] + radius * math.sin(angle), _LIGHT[2]])
    light = _unit(torch.tensor(lights))
    down = torch.where(centre[:, 2] < -1e-3, -eye[2] / centre[:, 2].clamp(max=-1e-3), torch.full((), 1e3))
    ground = (eye + down[:, None] * centre)[:, :2]
    full = direction.reshape(-1, 3)
    ones = torch.ones(len(full))
    empty = _table(eye, full, light.repeat_interleave(height * width, 0), ones, ones).reshape(count, -1, 3)
    return _Rays(eye, centre, direction, light, ground, empty)


def _unit(v: Tensor) -> Tensor:
    return v / v.norm(dim=-1, keepdim=True)


def _table(eye: Tensor, direction: Tensor, light: Tensor, lit: Tensor, open_sky: Tensor) -> Tensor:
    """Colour (k, 3) of rays that meet no solid: ground that fades into the backdrop with distance."""
    depth = eye[2] / (-direction[:, 2]).clamp(min=1e-3)
    fade = ((depth - 8.5) / 6.5).clamp(0, 1)
    fade = fade * fade * (3 - 2 * fade)
    shade = (0.46 * open_sky + 0.70 * light[:, 2] * lit)[:, None]
    ground = torch.tensor(_GROUND) * shade
    return ground + fade[:, None] * (torch.tensor(_SKY) - ground)


def render_tensors(s: SceneTensors, height: int, width: int, subsamples: int) -> Tensor:
    """Render packed scenes: (n, 3, height, width). Gradients flow to every number but the outlines' coverage."""
    rays = _rays(height, width, subsamples)
    n, solids = s.shape.shape
    count, pixels = rays.direction.shape[:2]
    image = rays.empty.mean(0).expand(n, pixels, 3).clone()
    if solids == 0 or n == 0:
        return image.clamp(0, 1).transpose(1, 2).contiguous().reshape(n, 3, height, width)
    scene, pixel = _active(s, rays, 2 * _HALF_VIEW / min(height, width))
    colour = torch.zeros(len(scene), 3)
    for k in range(count):
        colour = colour + _trace(s, scene, rays.eye, rays.direction[k, pixel], rays.light[k])
    image = image.index_put((scene, pixel), colour / count)
    return image.clamp(0, 1).transpose(1, 2).contiguous().reshape(n, 3, height, width)


def _active(s: SceneTensors, rays: _Rays, pixel_angle: float) -> tuple[Tensor, Tensor]:
    """Indices (scene, pixel) of the pixels that see a solid, its shadow or its contact with the ground."""
    active = torch.zeros(s.shape.shape[0], rays.centre.shape[0], dtype=torch.bool)
    bound = torch.tensor(_BOUND)
    lx, ly, lz = rays.light.mean(0).tolist()
    with torch.no_grad():
        for j in range(s.shape.shape[1]):
            size = s.size[:, j, None]
            radius = size * bound[s.shape[:, j].clamp(min=0)][:, None]
            to = torch.stack([s.x[:, j], s.y[:, j], s.size[:, j]], -1) - rays.eye
            along = to @ rays.centre.T
            gap = (to * to).sum(-1, keepdim=True) - along * along
            sees = gap < (radius + pixel_angle * along) ** 2
            # The shadow of the bounding sphere stretches from the foot of the solid to the shadow of its top.
            gx, gy = rays.ground[None, :, 0] - s.x[:, j, None], rays.ground[None, :, 1] - s.y[:, j, None]
            ex, ey = -lx / lz * 2 * size, -ly / lz * 2 * size
            part = ((gx * ex + gy * ey) / (ex * ex + ey * ey)).clamp(0, 1)
            off = (gx - part * ex) ** 2 + (gy - part * ey) ** 2
            blur = 1.06 * radius + 0.35 * size * part + 0.06
            shaded = off < blur * blur
            near = gx * gx + gy * gy < (_REACH * size + 0.06) ** 2
            active |= (sees | shaded | near) & (s.shape[:, j, None] >= 0)
    scene, pixel = active.nonzero(as_tuple=True)
    return scene, pixel


@dataclass(frozen=True, eq=False)
class _Hit:
    depth: Tensor  # (k,), infinite where the ray misses
    normal: Tensor  # (k, 3), in world coordinates


def _intersect(s: SceneTensors, j: int, scene: Tensor, origin: Tensor, direction: Tensor) -> _Hit:
    """Where rays (k, 3) enter solid ``j`` of their scenes."""
    shape = s.shape[scene, j]
    size = s.size[scene, j]
    centre = torch.stack([s.x[scene, j], s.y[scene, j], size], -1)
    local = (origin - centre) / size[:, None]
    depth = torch.full_like(size, math.inf)
    normal = torch.zeros_like(direction)
    for kind, enter in enumerate((_sphere, _cube, _cylinder)):
        chosen = (shape == kind).nonzero()[:, 0]
        if len(chosen) == 0:
            continue
        found, facing = enter(local[chosen], direction[chosen], s.rotation[scene[chosen], j])
        depth = depth.index_put((chosen,), found * size[chosen])
        normal = normal.index_put((chosen,), facing)
    return _Hit(depth, normal)


def _sphere(o: Tensor, d: Tensor, rotation: Tensor) -> tuple[Tensor, Tensor]:
    along = (o * d).sum(-1)
    inside = along * along - (o * o).sum(-1) + 1
    depth = -along - inside.clamp(min=1e-12).sqrt()
    hit = (inside > 0) & (depth > 1e-4)
    return torch.where(hit, depth, math.inf), o + torch.where(hit, depth, 0.0)[:, None] * d


def _cube(o: Tensor, d: Tensor, rotation: Tensor) -> tuple[Tensor, Tensor]:
    cos, sin = rotation.cos(), rotation.sin()

    def turn(v: Tensor, sine: Tensor) -> Tensor:
        return torch.stack([cos * v[:, 0] + sine * v[:, 1], cos * v[:, 1] - sine * v[:, 0], v[:, 2]], -1)

    o, d = turn(o, sin), turn(d, sin)
    half = torch.tensor([_CUBE_WIDTH, _CUBE_WIDTH, 1.0])
    safe = torch.where(d.abs() < 1e-9, torch.full_like(d, 1e-9), d)
    near, far = (-half * safe.sign() - o) / safe, (half * safe.sign() - o) / safe
    depth, axis = near.max(-1)
    hit = (depth < far.min(-1).values) & (depth > 1e-4)
    facing = torch.nn.functional.one_hot(axis, 3).to(d.dtype) * -d.gather(-1, axis[:, None]).sign()
    return torch.where(hit, depth, math.inf), turn(facing, -sin)


def _cylinder(o: Tensor, d: Tensor, rotation: Tensor) -> tuple[Tensor, Tensor]:
    a = (d[:, :2] ** 2).sum(-1).clamp(min=1e-12)
    b = (o[:, :2] * d[:, :2]).sum(-1)
    inside = b * b - a * ((o[:, :2] ** 2).sum(-1) - _CYLINDER_WIDTH**2)
    root = inside.clamp(min=1e-12).sqrt()
    dz = torch.where(d[:, 2].abs() < 1e-9, torch.full_like(a, 1e-9), d[:, 2])
    side_in, side_out = (-b - root) / a, (-b + root) / a
    cap_in, cap_out = (-dz.sign() - o[:, 2]) / dz, (dz.sign() - o[:, 2]) / dz
    depth = torch.maximum(side_in, cap_in)
    hit = (inside > 0) & (depth < torch.minimum(side_out, cap_out)) & (depth > 1e-4)
    at = o + torch.where(hit, depth, 0.0)[:, None] * d
    flat = torch.zeros_like(a)
    side = torch.stack([at[:, 0] / _CYLINDER_WIDTH, at[:, 1] / _CYLINDER_WIDTH, flat], -1)
    cap = torch.stack([flat, flat, -dz.sign()], -1)
    return torch.where(hit, depth, math.inf), torch.where((side_in > cap_in)[:, None], side, cap)


def _trace(s: SceneTensors, scene: Tensor, eye: Tensor, direction: Tensor, light: Tensor) -> Tensor:
    """Colour (k, 3) of one ray for each active pixel."""
    solids = s.shape.shape[1]
    hits = [_intersect(s, j, scene, eye.expand_as(direction), direction) for j in range(solids)]
    depth, owner = torch.stack([hit.depth for hit in hits]).min(0)
    seen = depth.isfinite()
    ground_depth = eye[2] / (-direction[:, 2]).clamp(min=1e-3)
    at = eye + torch.where(seen, depth, ground_depth)[:, None] * direction
    lights = light.expand_as(direction)

    blocked = torch.zeros_like(seen)
    open_sky = torch.ones_like(depth)
    for j in range(solids):
        # A convex solid never shadows itself where it faces the light, so only other solids and the ground are tested.
        shadow = _intersect(s, j, scene, at, lights).depth.isfinite()
        blocked |= shadow & ~(seen & (owner == j))
        reach = (at[:, :2] - torch.stack([s.x[scene, j], s.y[scene, j]], -1)).norm(dim=-1) / s.size[scene, j]
        dim = 0.34 * ((_REACH - reach) / (_REACH - 0.8)).clamp(0, 1) ** 2
        open_sky = open_sky * torch.where(s.shape[scene, j] >= 0, 1 - dim, torch.ones_like(dim))
    lit = (~blocked).to(direction.dtype)

    colour = _table(eye, direction, lights, lit, open_sky)
    inside = seen.nonzero()[:, 0]
    if len(inside) == 0:
        return colour
    pick, rows = owner[inside], scene[inside]
    normal = torch.stack([hit.normal for hit in hits])[pick, inside]
    view = direction[inside]
    base, metal = s.colour[rows, pick], s.metal[rows, pick][:, None]
    facing = (normal * light).sum(-1, keepdim=True).clamp(min=0) * lit[inside, None]
    half = _unit(light - view)
    gloss = (normal * half).sum(-1, keepdim=True).clamp(min=0)
    sky = 0.40 + 0.16 * normal[:, 2:3]
    rubber = base * (sky + 0.78 * facing) + 0.10 * gloss**18 * lit[inside, None]
    mirror = view - 2 * (view * normal).sum(-1, keepdim=True) * normal
    above = (mirror[:, 2:3] * 6).clamp(-1, 1) * 0.5 + 0.5
    glow = (mirror * light).sum(-1, keepdim=True).clamp(min=0) ** 6
    world = 0.30 + above * (0.34 + 0.45 * glow)
    shine = (
        base * (0.5 * sky + 0.34 * facing) + (0.25 + 0.75 * base) * 0.62 * world + 0.75 * gloss**90 * lit[inside, None]
    )
    return colour.index_put((inside,), rubber + metal * (shine - rubber))
