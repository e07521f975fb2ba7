"""The numbers that steer `Surrogate`, in one place, each with its reason."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Tuning:
    """Chosen on the problem zoo for few evaluations of the score; all are pure numbers.

    Args:
        candidates: inner points of the path among which the next evaluations are chosen: enough for the greatest
            uncertainty to be found, few enough for their covariances to cost nothing.
        first_trust: the longest first move of a point, as a fraction of the length: the first model has seen little.
        least_trust: the longest move is never shorter, or a wrong model would never be corrected. At most it is 1.
        good: relative error of the model below which the longest move doubles.
        bad: relative error of the model above which it is halved.
        varies: relative change of the score at the first end from position 0 to 1 above which the density varies along
            the path, so that the position is an input of the model.
        noisy: a nugget of the model above this is noise of the score and not rounding. A model with a nugget of a
            thousandth is off by a thirtieth of the score's spread where the score was seen, and a sharp turn is lost.
        near: distance along the path, as a fraction of it, at which a score is asked for again to tell noise from a
            score that turns fast: far less than any turn that a path can follow, far more than rounding.
        differs: the difference of the two, in units of the noise that the model supposes, above which it is noise.
        fine: points of the path, as a multiple of its nodes, among which those to confirm it are chosen.
        beside: points to confirm a path that differ by less in their position say the same.
        exact: the residual that the problem on the model is solved to where that can be reached; see `settle`.
        rough: `OnModel.roughness` above which the path gets twice as many points: second order would err by that much.
        quiet: a noisy path rests when its points move by less than this fraction of the length, twice running; its
            residual cannot say so, because the noise is in it.
        unsolvable: there is no geodesic nearby where the problem on the model could not be solved so often running.
        patience: steps within which the least residual has to fall by the factor `fall`, or the solver has stalled.
        fall: see `patience`.
        most_seen: scores that the model is fitted to, the newest: the fit takes the cube of their number.
        flips: how often a path that is not a minimum is left along its unstable direction.
        leap: how far it is left, as a fraction of the length: beyond the flat top of the saddle.
        near_by: whether the guess is nearly a geodesic, in a narrow valley. Then a short move does not prove a longer
            one, and progress is not measured by the residual of the guess, which is that of few points, nor by steps
            on whose model no geodesic was found.
        fell_back: having moved by less than this fraction of the length, the path is back where it was left: a false
            alarm, or a saddle so shallow that it does not matter.
    """

    candidates: int = 95
    first_trust: float = 0.3
    least_trust: float = 0.04
    good: float = 0.3
    bad: float = 0.7
    varies: float = 1e-3
    noisy: float = 1e-4
    near: float = 2e-5
    differs: float = 0.3
    fine: int = 4
    beside: float = 0.04
    exact: float = 1e-5
    rough: float = 0.02
    quiet: float = 0.003
    unsolvable: int = 6
    patience: int = 12
    fall: float = 0.9
    most_seen: int = 600
    flips: int = 2
    leap: float = 0.08
    fell_back: float = 0.02
    near_by: bool = False
