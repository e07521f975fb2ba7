"""The settings of `geodesic mean`."""

import math

from geodesic_cli.errors import InputError
from geodesic_cli.settings.distance import SOLVER, LinkedOptions
from geodesic_cli.settings.option import AtLeast, above, opt, record


@record()
class MeanSettings(LinkedOptions):
    """`geodesic mean`."""

    weights: str | None = opt(None, "A number for each image, such as 2,1,1. Default: all the same.")
    frames: int = opt(
        7, "Frames of each geodesic on the sheet.", check=AtLeast(2, "The first is the mean, the last the image.")
    )
    mean_tol: float = opt(
        0.1,
        "The pull of the images that is left, as a share of their distances.",
        SOLVER,
        above(0, 1, "0.1 is within about 0.5% of the least sum of squared distances."),
    )
    # Each move follows from the one before, however many there are to be.
    moves: int = opt(12, "Most moves of the mean.", SOLVER, AtLeast(1, "12 are enough for most sets."), free=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        parse_weights(self.weights)


def parse_weights(text: str | None) -> tuple[float, ...] | None:
    """The weights of a text such as `2,1,1`; None where there is none.

    Raises:
        InputError: not numbers from 0 on, or all of them 0.
    """
    if text is None:
        return None
    try:
        weights = tuple(float(part) for part in text.split(","))
    except ValueError:
        weights = ()
    if not any(weights) or not all(0 <= weight < math.inf for weight in weights):
        raise InputError(
            f"--weights takes one number for each image, at least 0 and not all 0, such as 2,1,1; got {text!r}.",
            "Leave it out for equal weights.",
        )
    return weights
