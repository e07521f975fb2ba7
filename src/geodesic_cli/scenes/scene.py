"""Scenes with exact labels: one or two solids on a table, and the motions that make clips of them.

World coordinates: x to the right, y away from the camera, z up; the table is the plane z = 0. A solid stands on the
table, so its position is (x, y). Its ``size`` is half of its height, in world units. ``rotation`` is the angle about
the vertical axis in radians; it shows on cubes only, where it matters modulo a quarter turn.

The vocabulary is that of CLEVR (Johnson et al., CVPR 2017): three shapes, eight colours, two materials.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from operator import attrgetter

import torch
from torch import Generator, Tensor

from geodesic_cli.errors import InputError

SHAPES = ("sphere", "cube", "cylinder")
MATERIALS = ("rubber", "metal")
COLOURS: dict[str, tuple[float, float, float]] = {
    "gray": (0.34, 0.34, 0.35),
    "red": (0.78, 0.10, 0.11),
    "blue": (0.12, 0.24, 0.80),
    "green": (0.10, 0.48, 0.12),
    "brown": (0.47, 0.27, 0.11),
    "purple": (0.50, 0.16, 0.70),
    "cyan": (0.14, 0.73, 0.75),
    "yellow": (0.93, 0.82, 0.12),
}

# Where solids may stand and how large they may be: all of it is in view of the camera of `render`.
X_RANGE = (-1.45, 1.45)
Y_RANGE = (-1.1, 1.4)
SIZE_RANGE = (0.5, 0.85)
MIDDLE = {"x": 0.0, "y": 0.15, "size": 0.675}
"""What divides left from right, near from far, small from large, in world units."""


@dataclass(frozen=True)
class Solid:
    """One solid of a scene. ``size`` is half of its height; angles in radians; lengths in world units."""

    shape: str
    colour: str
    material: str = "rubber"
    x: float = 0.0
    y: float = 0.0
    size: float = 0.6
    rotation: float = 0.0

    def __post_init__(self) -> None:
        for name, value, allowed in (
            ("shape", self.shape, SHAPES),
            ("colour", self.colour, tuple(COLOURS)),
            ("material", self.material, MATERIALS),
        ):
            if value not in allowed:
                raise InputError(f"A solid's {name} is one of {', '.join(allowed)}; got {value!r}.")
        if not self.size > 0:
            raise InputError(f"A solid's size is positive; got {self.size}.")

    @property
    def caption(self) -> str:
        """The words for this solid, without an article: ``red rubber sphere``."""
        return f"{self.colour} {self.material} {self.shape}"


@dataclass(frozen=True)
class Scene:
    """One or two solids on the table; everything else (camera, light, ground) is always the same."""

    solids: tuple[Solid, ...]

    def __post_init__(self) -> None:
        if not 0 <= len(self.solids) <= 2:
            raise InputError(f"A scene holds at most two solids; got {len(self.solids)}.")

    @property
    def caption(self) -> str:
        """A caption such as ``a red rubber sphere and a blue metal cube``; ``an empty table`` without solids."""
        return " and ".join(f"a {solid.caption}" for solid in self.solids) or "an empty table"


def sample(n: int, generator: Generator, solids: int = 1) -> list[Scene]:
    """Draw ``n`` scenes, uniform in shape, colour, material, position, size and rotation.

    Args:
        n: how many scenes.
        generator: the only source of randomness; a CPU generator gives the same scenes on every machine.
        solids: 1 or 2 in each scene. Two solids never overlap.
    """

    def uniform(low: float, high: float) -> float:
        return low + (high - low) * float(torch.rand((), generator=generator, dtype=torch.float64))

    def pick(names: tuple[str, ...]) -> str:
        return names[int(torch.randint(len(names), (), generator=generator))]

    def solid() -> Solid:
        return Solid(
            shape=pick(SHAPES),
            colour=pick(tuple(COLOURS)),
            material=pick(MATERIALS),
            x=uniform(*X_RANGE),
            y=uniform(*Y_RANGE),
            size=uniform(*SIZE_RANGE),
            rotation=uniform(0.0, math.pi / 2),
        )

    scenes: list[Scene] = []
    while len(scenes) < n:
        drawn = tuple(solid() for _ in range(solids))
        if len(drawn) == 2:
            gap = math.dist((drawn[0].x, drawn[0].y), (drawn[1].x, drawn[1].y))
            if gap < 1.25 * (drawn[0].size + drawn[1].size):
                continue
        scenes.append(Scene(drawn))
    return scenes


def motion(kind: str, start: Scene, frames: int, amount: float = 1.0) -> Iterator[Scene]:
    """Yield the scenes of a clip: the first solid moves, the other stays.

    Args:
        kind: ``translation`` (``amount`` world units to the right), ``rotation`` (``amount`` radians about its own
            axis), ``growth`` (the size is multiplied by ``exp(amount)`` in the end), or ``orbit`` (``amount`` radians
            round the centre of the table).
        start: the first scene of the clip.
        frames: exact number of scenes, at least 2; the motion is uniform.
        amount: how far, in the unit of the kind; negative goes the other way.
    """
    if frames < 2:
        raise InputError(f"A clip needs at least 2 frames; got {frames}.")
    if not start.solids:
        raise InputError("A clip needs a solid that moves; the scene is empty.")
    first, rest = start.solids[0], start.solids[1:]
    for k in range(frames):
        step = amount * k / (frames - 1)
        if kind == "translation":
            moved = replace(first, x=first.x + step)
        elif kind == "rotation":
            moved = replace(first, rotation=first.rotation + step)
        elif kind == "growth":
            moved = replace(first, size=first.size * math.exp(step))
        elif kind == "orbit":
            cos, sin = math.cos(step), math.sin(step)
            moved = replace(first, x=cos * first.x - sin * first.y, y=sin * first.x + cos * first.y)
        else:
            raise InputError(f"A motion is translation, rotation, growth or orbit; got {kind!r}.")
        yield Scene((moved, *rest))


@dataclass(frozen=True, eq=False)
class SceneTensors:
    """Scenes as tensors, one row a scene and one column a solid: what the renderer and the fit compute with.

    ``shape`` (n, m) indexes SHAPES and is -1 where a scene has fewer solids; ``colour`` (n, m, 3); ``metal``, ``x``,
    ``y``, ``size``, ``rotation`` (n, m).
    """

    shape: Tensor
    colour: Tensor
    metal: Tensor
    x: Tensor
    y: Tensor
    size: Tensor
    rotation: Tensor

    @classmethod
    def of(cls, scenes: list[Scene], dtype: torch.dtype = torch.float32) -> "SceneTensors":
        """Pack scenes; solids that are missing are marked by shape -1."""
        width = max((len(scene.solids) for scene in scenes), default=0)
        nothing = Solid("sphere", "gray")
        rows = [list(scene.solids) + [nothing] * (width - len(scene.solids)) for scene in scenes]

        def column(of: Callable[[Solid], object], *more: int) -> Tensor:
            values = [[of(solid) for solid in row] for row in rows]
            return torch.tensor(values, dtype=dtype).reshape(len(rows), width, *more)

        shape = torch.tensor(
            [
                [SHAPES.index(s.shape) if j < len(scene.solids) else -1 for j, s in enumerate(row)]
                for scene, row in zip(scenes, rows, strict=True)
            ]
        )
        return cls(
            shape=shape.reshape(len(rows), width),
            colour=column(lambda solid: COLOURS[solid.colour], 3),
            metal=column(lambda solid: float(solid.material == "metal")),
            **{name: column(attrgetter(name)) for name in ("x", "y", "size", "rotation")},
        )
