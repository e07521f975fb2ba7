"""What a solver returns: a curve, how good it is, and what it cost.

The residual is always the relative residual of the geodesic equation, `Residual.relative`, on the very curve beside
it with scores at its very nodes. Failure is a value with a sentence, not an exception: the last good curve is worth
having.
"""

from dataclasses import dataclass
from enum import Enum

from geodesic_cli.geometry.curve import Curve


class Status(Enum):
    """Why a solver stopped; the value is a sentence for the user."""

    CONVERGED = "The path satisfies the geodesic equation."
    MAX_STEPS = "The steps did not suffice: allow more steps, or continue from this path."
    STALLED = "The residual no longer falls: lower alpha, use more nodes, or start from another path."
    NON_FINITE = "The score is not finite, the last good path is kept: check the score's precision, or lower alpha."
    LEFT_SUPPORT = "The path ran into far lower density and was ended there: shorten it, or lower alpha."


@dataclass(frozen=True, eq=False)
class Step:
    """The state of a solver after a step. A solver's next step is a function of this and nothing else.

    Args:
        index: steps taken; 0 is the initial guess.
        curve: the solver's answer if it stopped now: the best curve so far.
        residual: the relative residual of `curve`.
        log_length: the logarithm of the length of `curve` under the metric, weight 1 at the start.
        score_calls: evaluations of the score at single points so far.
        residuals: the values of `residual` in steps 0 to `index`.
        state: what else the solver needs to go on; its own business.
        status: set when the solver cannot go on.
    """

    index: int
    curve: Curve
    residual: float
    log_length: float
    score_calls: int
    residuals: tuple[float, ...]
    state: object
    status: Status | None = None


@dataclass(frozen=True, eq=False)
class Solution:
    """The result of solving for a geodesic.

    Args:
        curve: the path.
        status: why the solver stopped.
        residual: the relative residual of `curve`; infinite where the score on it is not finite.
        steps: steps taken.
        score_calls: evaluations of the score at single points.
    """

    curve: Curve
    status: Status
    residual: float
    steps: int
    score_calls: int

    @property
    def converged(self) -> bool:
        """Whether the path satisfies the geodesic equation to the requested tolerance."""
        return self.status is Status.CONVERGED
