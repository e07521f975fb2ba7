"""The settings of `geodesic distance`, and what it shares with `geodesic mean`."""

from geodesic_cli.errors import InputError
from geodesic_cli.settings import shared
from geodesic_cli.settings.option import AtLeast, Between, above, checked, opt, record

DISTANCE_TAU = 0.1
DENSITY, SOLVER = "Density", "Solver"


@record(images="start stop stride max_frames")
class LinkedOptions(shared.ClipOptions, shared.ModelOptions, shared.RunOptions):
    """Images as points of one density, joined by geodesics."""

    images: tuple[str, ...] = opt(
        ..., "Two or more images, or one film, GIF or folder.", argument=True, metavar="IMAGE..."
    )
    prompt: str = opt("", "What all the images show: they are points of one density.", text=bool)
    tau: float = opt(
        DISTANCE_TAU,
        "Noise level whose density is asked, 0 (clean) to 1 (noise).",
        DENSITY,
        above(0, 1, "0.1 is a good start."),
    )
    # alpha follows from it: the median over all pairs of the bending number of the straight line is this.
    bend: float = opt(
        shared.BEND,
        "How far paths leave straight lines to find density: 0 is Euclidean, from 4 on they keep to it.",
        DENSITY,
        Between(0, 1000, "4 is a good start."),
    )
    alpha: float | None = opt(
        None,
        "The exponent in ds = p^(-alpha) |dx|; overrides --bend.",
        DENSITY,
        Between(0, 1e6, "Leave it out, and it follows from --bend."),
    )
    guidance: float = shared.guidance_opt(panel=DENSITY)
    nodes: int = opt(
        17,
        "Points, an odd number, at which the length of a path is measured.",
        SOLVER,
        AtLeast(9, "17 know a length to a hundredth."),
    )
    tol: float = opt(0.05, "Relative residual to solve to.", SOLVER, above(0, 1, "0.05 is a good start."))
    max_steps: int = opt(
        25, "Most steps for a path, 4 to 8 evaluations each.", SOLVER, AtLeast(1, "25 are enough for most paths.")
    )
    size: str | None = shared.size_opt(
        help="N, WIDTHxHEIGHT, same or native. Default: the images' shape, the model's area."
    )

    def __post_init__(self) -> None:
        if not self.images:
            raise InputError("At least two images are needed; got none.", "Pass two image files, a film or a folder.")
        checked(self)
        if self.nodes % 2 == 0:
            raise InputError(f"--nodes is an odd number; got {self.nodes}.", f"Pass {self.nodes + 1}.")
        shared.resume_of_a_folder(self)


@record()
class DistanceSettings(LinkedOptions):
    """`geodesic distance`."""

    neighbours: int = opt(3, "Nearest neighbours that are listed.", check=AtLeast(1, "3 are a good start."))
