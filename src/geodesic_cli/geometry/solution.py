"""What a solver is and what it returns: a curve, how good it is, and what it cost.

The residual is always the relative residual of the geodesic equation on the very curve beside it, measured with true
scores: at all of its nodes, or, by a solver that has a model of the score, at those of its points where the model was
least certain. Failure is a value with a sentence, not an exception: the last good curve is worth having.
"""

import math
from dataclasses import dataclass, replace
from enum import Enum
from typing import Protocol, TypeVar, runtime_checkable

from geodesic_cli.geometry.curve import Curve
from geodesic_cli.geometry.metric import DensityMetric

_State = TypeVar("_State")

COMPARED_AT = 33
"""Points at which a path that is no geodesic is compared with the guess, and as many of the guess."""


class Status(Enum):
    """Why a solver stopped; the value is a sentence for the user."""

    CONVERGED = "The path is a geodesic: it solves the geodesic equation to the tolerance."
    MAX_STEPS = (
        "The path is no geodesic yet: the solver used up its steps. Allow more steps, or lower the bend or alpha."
    )
    BUDGET = (
        "The path is no geodesic yet: the solver used up its score evaluations. Allow more steps and evaluations, or "
        "lower the bend or alpha."
    )
    SETTLED = (
        "The path no longer moves, and is no geodesic to the tolerance: the density is too rough here. Take it as "
        "the short path that it is, or raise the tolerance."
    )
    UNRESOLVED = (
        "The path is a geodesic at its nodes and none between them. Use more nodes, or lower the bend or alpha."
    )
    SADDLE = (
        "The path solves the geodesic equation, but a shorter one lies beside it. Start from another path, or lower "
        "the bend or alpha."
    )
    STALLED = (
        "The path is no geodesic, and the solver can bring it no nearer to one. Lower the bend or alpha, use more "
        "nodes, or start from another path."
    )
    NON_FINITE = (
        "The score was not a finite number, so the solver stopped and kept its last good path. Compute in a higher "
        "precision."
    )
    LEFT_SUPPORT = (
        "The path ran to where the density is far lower, and was ended there. Make it shorter, or lower the bend or "
        "alpha."
    )


@dataclass(frozen=True, eq=False)
class Step:
    """The state of a solver after a step. A solver's next step is a function of this and nothing else.

    Args:
        index: steps taken; 0 is the initial guess.
        curve: the solver's answer if it stopped now.
        residual: the relative residual of `curve`; infinite where its scores are not finite.
        log_length: the logarithm of the length of `curve` under the metric, the same from either end.

        score_calls: evaluations of the score at single points so far.
        residuals: the values of `residual` in steps 0 to `index`.
        state: what else the solver needs to go on; its own business.
        status: set when the solver is done or cannot go on.
        begun: `log_length` of the guess, which `solve_bvp` keeps.
        compared: whether an answer that is no geodesic has to be measured beside the guess, because `log_length` is
            that of a model of the score, or of too few nodes.
    """

    index: int
    curve: Curve
    residual: float
    log_length: float
    score_calls: int
    residuals: tuple[float, ...]
    state: object
    status: Status | None = None
    begun: float = math.nan
    compared: bool = False

    def state_of(self, kind: type[_State]) -> _State:
        """The state, of the kind that the solver knows it to be."""
        assert isinstance(self.state, kind)
        return self.state

    def remeasured(self, curve: Curve, residual: float, log_length: float, score_calls: int) -> "Step":
        """The step after a closer look at its curve."""
        residuals = (*self.residuals[:-1], residual)
        return replace(
            self, curve=curve, residual=residual, residuals=residuals, log_length=log_length, score_calls=score_calls
        )


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


@runtime_checkable
class PathSolver(Protocol):
    """A method for the boundary-value problem. Its functions are pure, and the ends of the curve never move a bit."""

    def init(self, metric: DensityMetric, guess: Curve) -> Step:
        """Evaluate the guess in one batch of scores: the step with index 0."""

    def cost(self, previous: Step) -> int:
        """How many scores the step after `previous` will ask for."""

    def step(self, metric: DensityMetric, previous: Step) -> Step:
        """The step after `previous`, for one batch of scores."""

    def finish(self, metric: DensityMetric, step: Step, tol: float) -> Step:
        """Called where the residual of a step is at most `tol`: make sure of it.

        Returns:
            The step to end with, its status set, or one without a status to go on from. It may ask for further scores,
            which its `score_calls` count.
        """
