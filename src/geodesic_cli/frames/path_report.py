"""What is measured of a path, and the report of several legs as one."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch


@dataclass(frozen=True, eq=False)
class PathReport:
    """Measurements of a path. Density, speed and ``euclidean_length`` are those of x, whatever the method.

    ``log_length``, ``length``, ``residual`` and ``relative_residual`` belong to the metric that the path is judged by:
    for the geodesic and slerp that of the directions on their sphere, which the solver shortens; for lerp, which leaves
    the sphere, that of flat space, not to be compared with the others.
    A length has the weight 1 where log p is half way between its values at the two ends, so that it is the same from
    either end. A network is not exactly a gradient, so that the change of log p from end to end depends on the path:
    two lengths are comparable to a factor of exp(alpha / 2 times the difference of the two changes).
    ``too_long`` is by about how much ``log_length`` may exceed that of the geodesic nearby, where the residual is below
    about 0.7 (`geometry.variation.too_long_by`).
    The density at u is that of the conditioning c(u): where the prompt changes along the path, ``log_density`` counts
    what the motion gains and not what the change of prompt does. It ends elsewhere on every path, because of that and
    because a network is not exactly a gradient; ``min_excess`` and ``mean_excess`` are what log p has above the
    straight line between its own two end values, and compare paths without that mismatch.
    ``denoised`` are the steps between neighbouring points u of the denoised picture (x + sigma^2 score) / a, the mean
    of all the clean latents that x may come from (Tweedie; Robbins, 1956).
    """

    u: list[float]
    log_density: list[float]
    speed: list[float]
    node_u: list[float]
    residual: list[float]
    relative_residual: float
    log_length: float
    length: float
    euclidean_length: float
    min_log_density: float
    mean_log_density: float
    min_excess: float
    mean_excess: float
    too_long: float
    denoised: list[float]


def comparable_to(reports: Sequence[PathReport], alpha: float) -> float:
    """To how much the logarithms of the lengths of paths between the same ends can be compared; see `PathReport`."""
    changes = [one.log_density[-1] for one in reports if math.isfinite(one.log_density[-1])]
    return alpha * (max(changes) - min(changes)) / 2 if changes else 0.0


def judged_by(report: PathReport, own: PathReport) -> PathReport:
    """A report whose residual is that of another one of the same path, in the metric that the path was solved in."""
    return replace(
        report,
        node_u=own.node_u,
        residual=own.residual,
        relative_residual=own.relative_residual,
        too_long=own.too_long,
    )


def joined(reports: Sequence[PathReport], alpha: float) -> PathReport:
    """One report of the legs of a path, each in its own u, as one in u over all of them, in equal shares.

    Weights are 1 half way between the log densities of the first and the last image. The residual is the worst of a
    leg, and no leg's corner rounding is in it.
    """
    if len(reports) == 1:
        return reports[0]
    count = len(reports)
    u, node_u, log_density, speed, residual, log_lengths, denoised = [], [], [], [], [], [], []
    reached = mean = 0.0
    far = sum(one.euclidean_length for one in reports)
    for k, one in enumerate(reports):
        first = 1 if k else 0
        mean += (reached + one.mean_log_density) * (one.euclidean_length / far if far else 1 / count)
        u += [(k + position) / count for position in one.u[first:]]
        node_u += [(k + position) / count for position in one.node_u]
        log_density += [reached + value for value in one.log_density[first:]]
        speed += [count * value for value in one.speed[first:]]
        residual += one.residual
        denoised += one.denoised
        log_lengths.append(one.log_length - alpha * (reached + one.log_density[-1] / 2))
        reached += one.log_density[-1]
    log_length = float(torch.logsumexp(torch.tensor(log_lengths, dtype=torch.float64), 0)) + alpha * reached / 2
    return PathReport(
        u=u,
        log_density=log_density,
        speed=speed,
        node_u=node_u,
        residual=residual,
        relative_residual=max(one.relative_residual for one in reports),
        log_length=log_length,
        length=math.exp(log_length) if log_length < 700 else math.inf,
        euclidean_length=far,
        min_log_density=min(log_density),
        mean_log_density=mean,
        min_excess=min(one.min_excess for one in reports),
        too_long=max(one.too_long for one in reports),
        mean_excess=sum(one.mean_excess for one in reports) / count,
        denoised=denoised,
    )
