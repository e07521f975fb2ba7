"""The settings of `geodesic toy`."""

import math

from geodesic_cli.errors import InputError
from geodesic_cli.settings.option import AtLeast, Between, above, checked, did_you_mean, opt, record
from geodesic_cli.settings.shared import FolderOptions, seed_opt

DENSITIES = ("ring", "banana", "moons")
PATH, SOLVER = "Path", "Solver"


def _named_density(name: str, value: str) -> None:
    if value not in DENSITIES:
        raise InputError(
            f"The densities are {', '.join(DENSITIES)}; got {value!r}.",
            did_you_mean(value, DENSITIES, "For a density of your own pass --points FILE."),
        )


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


@record()
class ToySettings(FolderOptions):
    """`geodesic toy`."""

    density: str = opt(
        "ring", f"One of {', '.join(DENSITIES)}.", check=_named_density, argument=True, metavar="[DENSITY]"
    )
    points: str | None = opt(None, "Take the density of the points in this .csv, .txt or .npy file (two columns).")
    a: str | None = opt(
        None, "Where the path begins. Default: depends on the density.", check=parse_point, metavar="X,Y"
    )
    b: str | None = opt(None, "Where it ends.", check=parse_point, metavar="X,Y")
    # The bending number Be = alpha x length x median |normal score| of the straight line; alpha follows from it.
    bend: float = opt(
        4.0,
        "How far the path leaves the straight line to find density; 0 is the straight line.",
        check=Between(0, 1000, "0 is the straight line; 2 to 10 is useful."),
    )
    alpha: float | None = opt(
        None,
        "The exponent in ds = p^(-alpha) |dx| itself; overrides --bend.",
        PATH,
        Between(0, 100, "0 is the straight line; 1 is ds = |dx| / p."),
    )
    nodes: int = opt(33, "Nodes of the path.", SOLVER, AtLeast(5, "33 is enough for most paths."))
    tol: float = opt(
        0.01, "Relative residual at which the path is solved.", SOLVER, above(0, 1, "0.01 is a good start.")
    )
    max_steps: int = opt(60, "Most steps of the solver.", SOLVER, AtLeast(1, "60 is enough for most paths."))
    rays: int = opt(11, "Geodesics to shoot from A, in a fan about the path.", PATH, Between(0, 200, "0 draws none."))
    components: int = opt(
        24,
        "Most Gaussians to fit to --points; how many it takes is chosen by BIC.",
        PATH,
        Between(1, 100, "24 is enough for most shapes."),
    )
    seed: int = seed_opt("Of the fit, and of the small bump that the first path gets.")
    gif: bool = opt(True, "Draw evolution.gif, too.", flags=("--gif/--no-gif",))
    out: str | None = opt(None, "Folder for the results. Default: the first free runs/toy-NAME.")

    def __post_init__(self) -> None:
        checked(self)
