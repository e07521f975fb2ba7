"""The settings of `geodesic toy`."""

import math
from dataclasses import dataclass
from difflib import get_close_matches

from geodesic_cli.errors import InputError
from geodesic_cli.settings.checks import at_least, between, seed_in_range

DENSITIES = ("ring", "banana", "moons")


@dataclass(frozen=True)
class ToySettings:
    """`geodesic toy`.

    Attributes:
        density: a density in the plane by its name.
        points: a file of points whose fitted density takes the place of the named one.
        a: where the path begins, `X,Y`; None is the density's own choice.
        b: where it ends.
        bend: bending number Be = alpha x length x median |normal score| of the straight line; alpha follows from it.
        alpha: the density exponent itself; overrides `bend`.
        nodes: nodes of the path, ends included.
        tol: relative residual of the geodesic equation at which the path counts as solved.
        max_steps: most steps of the solver.
        rays: how many geodesics to shoot from A, in a fan about the direction in which the path leaves.
        components: most Gaussians in the mixture that is fitted to points; how many it takes is chosen by BIC.
        seed: of the bump that keeps a symmetric start off a saddle, and of the fit to points.
        gif: draw the film, too.
        out: the folder of the run; None takes the first free `runs/toy-NAME`.
        overwrite: replace the run in `out`.
    """

    density: str = "ring"
    points: str | None = None
    a: str | None = None
    b: str | None = None
    bend: float = 4.0
    alpha: float | None = None
    nodes: int = 33
    tol: float = 0.01
    max_steps: int = 60
    rays: int = 11
    components: int = 24
    seed: int = 0
    gif: bool = True
    out: str | None = None
    overwrite: bool = False

    def __post_init__(self) -> None:
        if self.density not in DENSITIES:
            near = get_close_matches(self.density, DENSITIES, n=1)
            raise InputError(
                f"The densities are {', '.join(DENSITIES)}; got {self.density!r}.",
                f"Did you mean {near[0]!r}?" if near else "For a density of your own pass --points FILE.",
            )
        for name, text in (("a", self.a), ("b", self.b)):
            if text is not None:
                parse_point(name, text)
        between("bend", self.bend, 0, 1000, "0 is the straight line; 2 to 10 is useful.")
        if self.alpha is not None:
            between("alpha", self.alpha, 0, 100, "0 is the straight line; 1 is ds = |dx| / p.")
        at_least("nodes", self.nodes, 5, "33 is enough for most paths.")
        between("tol", self.tol, 0, 1, "0.01 is a good start.", open_below=True)
        at_least("max-steps", self.max_steps, 1, "60 is enough for most paths.")
        between("rays", self.rays, 0, 200, "0 draws none.")
        between("components", self.components, 1, 100, "24 is enough for most shapes.")
        seed_in_range(self.seed)


def parse_point(name: str, text: str) -> tuple[float, float]:
    """The point of `--a X,Y` or `--b X,Y`.

    Raises:
        InputError: not two finite numbers.
    """
    try:
        x, y = (float(part) for part in text.split(","))
    except ValueError:
        x = y = math.nan
    if not (math.isfinite(x) and math.isfinite(y)):
        raise InputError(f"--{name} takes two numbers X,Y; got {text!r}.", f"Pass --{name} 1.5,-2 for instance.")
    return x, y
