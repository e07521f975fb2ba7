"""The path that really moves: search for the global geodesic between two images over samples of the model.

At low noise the straight line between two images crosses a valley hundreds of nats deep, and the shortest path of
ds = p^(-alpha) |dx| is the long way round over plausible pictures. No local solver finds it from the straight line.

    pool     samples of the model under both prompts and between, joined to neighbours            (`roadmap`)
    search   shortest path over this graph, with scores asked for only where it runs              (`geometry.graph`)
    refine   the polygon of way-points, shortened by `Relaxation` as long as it gains               (`candidates`)
    grow     only where the refined path still crosses an improbable region: new points at the costliest edges of the
             graph, search and refine again
    finish   the path that this leaves, made a geodesic by the surrogate, which knows the scores on it
    judge    the same from slerp; the shorter of the two wins

The graph has to find the valley, no more: a straight edge between two samples crosses its bends, and the refinement
gains far more by rounding them than growth of the graph does. No score is asked for twice (`Remembered`): the search
knows the ends, slerp is what the local solver starts from, and the length of a refined path needs only the points
between its nodes. Lengths are taken on every second point, too, and extrapolated (Richardson).

A network's score is not exactly a gradient: log p at the far end differs between two paths by 6 to 110 nats on
`clevr-mini`, so that a length seen from one end says little beside another one. Lengths are the mean of what both ends
see, and half of what the ends disagree by is what a comparison is uncertain by.

The refinement is by `Relaxation`. From a polygon of way-points a kernel surrogate of the score does not know the walls
of a valley that is a hundred units long and a few wide, and leaves it. Once the path lies in the valley and its scores
are known, the surrogate goes on where `Relaxation` would need thousands of evaluations. The local path has no such
valley to keep to, and is found by the surrogate from the beginning.
"""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from geodesic_cli.diffusion import LatentDiffusion
from geodesic_cli.diffusion.score import guided_evaluations
from geodesic_cli.frames.keyframes import Ends
from geodesic_cli.frames.paths import ImagePath
from geodesic_cli.geometry import DensityMetric, Status, bending, from_both_ends
from geodesic_cli.geometry.graph.graph import Graph, Route
from geodesic_cli.geometry.graph.routing import shortest_path
from geodesic_cli.geometry.seen import Remembered
from geodesic_cli.search.candidates import (
    LENGTH_POINTS,
    SLERP_NODES,
    Account,
    Candidate,
    dearest,
    finished,
    improbable,
    known_to,
    measured,
    next_to,
    polygon,
    preferred,
    refined,
    slerp_between,
)
from geodesic_cli.search.outcome import GlobalPath
from geodesic_cli.search.roadmap import BACK, HALVED, NEIGHBOURS, grown, roadmap, samples

STRENGTH = 5.12
"""alpha times the number of dimensions d. As log p grows in proportion to d, this alone says how much an improbable
region costs. At tau 0.1 it is where motion is by far the shortest path of `clevr-mini`."""
ROUGH = 0.15
"""Relative residual at which paths may stop while they compete."""
FINISH = 16
"""Evaluations that finishing a path may take, as a multiple of the nodes of the refined one."""
GAIN = 0.02
"""Growth that shortens the refined path by less has found nothing."""
ROUNDS = 2
"""Rounds of growth between two refinements."""
DOUBTFUL_PATH = (
    "The two images lie on different islands of what this model draws: the path between them crosses pictures that it "
    "hardly ever draws. Pass a prompt for each image, or take more samples (--pool-size)."
)
FOUND = "The path found among samples of the model is the shortest one known."
EQUAL = "The path found among samples of the model is as long as the local one, as far as is known, and was taken."
LOCAL = "The local path, solved from the great circle, is shorter than any among samples of the model, and was taken."


@dataclass(frozen=True)
class SearchChoice:
    """How a search is made.

    Args:
        alpha: the density exponent; None takes `usual_alpha` of the dimension.
        pool_size: samples in all: half under each prompt where they differ, and as many between as under one of them.
        budget: network evaluations after the pool; the graph grows only while another refinement fits in. None sets no
            bound.
        seconds: of growth, after which no new round begins; the result then depends on the machine. None sets no bound.
        nodes: of the refined path.
        tol: relative residual to which the path that is taken is solved.
        max_steps: most steps of a refinement, `nodes` - 2 evaluations each.
        guidance: classifier-free scale of the density.
        seed: of the pool and of the noise of the growth.
    """

    alpha: float | None = None
    pool_size: int = 96
    budget: int | None = 3000
    seconds: float | None = None
    nodes: int = 25
    tol: float = 0.03
    max_steps: int = 30
    guidance: float = 1.0
    seed: int = 0


def usual_alpha(dimension: int) -> float:
    """The density exponent of a search that was given none: STRENGTH shared by the dimensions."""
    return STRENGTH / dimension


def global_path(
    model: LatentDiffusion,
    ends: Ends,
    choice: SearchChoice | None = None,
    *,
    cache: Path | None = None,
    on_stage: Callable[[str, int], None] | None = None,
) -> GlobalPath:
    """Search for the geodesic between two images over samples of the model, and refine it.

    Which image is named first does not matter: the search takes the two in an order of its own (`Ends.in_order`), with
    the same samples, noise and ties, compares lengths as both ends see them, and gives the path in the order asked for.

    Args:
        model: whose samples they are.
        ends: the two images at a low noise level.
        choice: how; None takes the defaults.
        cache: the folder of pools, for example `cache_folder(POOLS)`; None keeps nothing.
        on_stage: told the stage and the evaluations so far; it only watches.
    """
    how, tell = choice or SearchChoice(), on_stage or (lambda stage, evaluations: None)
    if ends.in_order:
        return _searched(model, ends, how, cache, tell)
    return _searched(model, ends.reversed, how, cache, tell).reversed


def _searched(
    model: LatentDiffusion, ends: Ends, how: SearchChoice, cache: Path | None, tell: Callable[[str, int], None]
) -> GlobalPath:
    varying = not ends.conditioning.start.equal(ends.conditioning.end)
    alpha = usual_alpha(ends.x.shape[1]) if how.alpha is None else how.alpha
    score = Remembered(model.score(ends.shape, ends.tau, ends.conditioning, how.guidance), varying=varying)
    tell("pool", 0)
    among = samples(model, ends, score, how.pool_size, guidance=how.guidance, seed=how.seed, folder=cache)
    falls = improbable(among.graph.log_densities, ends.x.shape[1])
    account = Account(model, ends, score, DensityMetric(score, alpha), how.guidance, falls)
    account.charge("pool", among.evaluations)
    tell("search", account.total)
    with account.paying("search"):
        graph, route = _routed(account, roadmap(model, ends, score, among.graph))
    slerp = slerp_between(ends, SLERP_NODES)
    with account.paying("measure"):
        seen = score.seen(slerp.x, slerp.u)
        at_slerp = measured(account, slerp, SLERP_NODES)
        bend = alpha * bending(score, slerp, score(slerp.x, slerp.u))
    found, history = (
        {"local": next_to(account, slerp, seen, ROUGH, how.max_steps // 2)},
        [_length(graph, route, alpha)],
    )
    tell("local", account.total)
    found["global"] = refined(account, graph.x[route.nodes], how.nodes, ROUGH, how.max_steps)
    tell("refine", account.total)
    graph, route = _grown(account, how, among.evaluations, (graph, route), found, history, tell)
    best = _finished(account, how, among.evaluations, found)
    tell("finish", account.total)
    known = {"slerp": at_slerp} | found
    lengths = {name: each.log_length for name, each in known.items()}
    curves = {"slerp": slerp} | {name: each.curve for name, each in found.items()}
    lengths["graph"], curves["graph"] = history[-1], polygon(graph.x[route.nodes], LENGTH_POINTS)
    return GlobalPath(
        path=ImagePath(best, curves[best], None, found[best].solution, alpha, bend),
        curves=curves,
        solutions={name: one.solution for name, one in found.items() if one.solution is not None},
        lengths=lengths,
        changes={name: each.change for name, each in known.items()},
        too_long={name: each.too_long for name, each in known.items()},
        comparable_to=known_to(found, alpha),
        way_points=graph.x[route.nodes],
        way_positions=graph.u[route.nodes],
        evaluations=account.spent,
        graph={"pool": among.cold, **_numbers(graph, route, len(history) - 1)},
        history=tuple(history),
        log_density=found[best].log_density,
        doubtful=found[best].doubtful,
        status=_status(found, best, known_to(found, alpha)),
        points=graph.x,
        links=graph.edges,
        densities=graph.log_densities - graph.log_densities[0],
    )


def _grown(
    account: Account,
    how: SearchChoice,
    drawn: int,
    begun: tuple[Graph, Route],
    found: dict[str, Candidate],
    history: list[float],
    tell: Callable[[str, int], None],
) -> tuple[Graph, Route]:
    """Grow the graph while the refined path is doubtful and the budget lasts; it changes ``found`` and ``history``."""
    graph, route = begun
    generator = torch.Generator().manual_seed(how.seed)
    limit = math.inf if how.budget is None else how.budget + drawn - dearest(account, how.nodes, how.max_steps)
    until = math.inf if how.seconds is None else time.monotonic() + how.seconds
    while bool(found["global"].doubtful.any()) and account.total < limit and time.monotonic() < until:
        for _ in range(ROUNDS):
            graph, route = _routed(account, _extended(account, graph, route, generator))
            history.append(_length(graph, route, account.metric.alpha))
            tell("grow", account.total)
        before, again = found["global"], refined(account, graph.x[route.nodes], how.nodes, ROUGH, how.max_steps)
        tell("refine", account.total)
        found["global"] = min(before, again, key=lambda candidate: candidate.rank)
        if not again.log_length < before.log_length - GAIN:
            break
    return graph, route


def _finished(account: Account, how: SearchChoice, drawn: int, found: dict[str, Candidate]) -> str:
    """The name of the path to take, solved further; the global one first, so that lengths are compared as they end."""
    done: set[str] = set()
    name = "global"
    while name not in done:
        done.add(name)
        left = math.inf if how.budget is None else how.budget + drawn - account.total
        solution = found[name].solution
        if left >= how.nodes and (solution is None or solution.residual > how.tol):
            found[name] = finished(account, found[name], how.tol, int(min(FINISH * how.nodes, left)))
        name = preferred(found, account.metric.alpha)
    for name, one in found.items():  # solved far enough to be compared is not solved
        if one.solution is not None and one.solution.converged and one.solution.residual > how.tol:
            found[name] = replace(one, solution=replace(one.solution, status=Status.MAX_STEPS))
    return preferred(found, account.metric.alpha)


def _numbers(graph: Graph, route: Route, rounds: int) -> dict[str, float]:
    return {
        "nodes": len(graph.x),
        "edges": len(graph.edges),
        "hops": len(route.edges),
        "mismatch": graph.mismatch,
        "rounds": rounds,
        "deepest_dip": float(route.dips.max()),
    }


def _length(graph: Graph, route: Route, alpha: float) -> float:
    """The logarithm of the length over the graph between the nodes 0 and 1, the same from either."""
    change = float(graph.log_densities[1] - graph.log_densities[0])
    return from_both_ends(route.log_length, change, alpha)


def _status(found: Mapping[str, Candidate], best: str, known: float) -> str:
    if best == "local":
        return LOCAL
    if bool(found["global"].doubtful.any()):
        return DOUBTFUL_PATH
    return EQUAL if found["local"].log_length < found["global"].log_length + known else FOUND


def _routed(account: Account, graph: Graph) -> tuple[Graph, Route]:
    """The shortest path, over edges halved as often as those between samples are."""
    return shortest_path(graph, account.score, account.metric.alpha, 0, 1, levels=HALVED)


def _extended(account: Account, graph: Graph, route: Route, generator: torch.Generator) -> Graph:
    """The graph with new points at the costliest edges of the path, and with edges that skip one or two way-points."""
    x, u = grown(account.model, account.ends, graph, route, generator, account.guidance)
    account.charge("grow", guided_evaluations(account.guidance) * len(x) * (BACK + 1))
    nodes = route.nodes
    skips = [torch.stack([nodes[:-skip], nodes[skip:]], dim=1) for skip in (2, 3) if len(nodes) > skip]
    with account.paying("grow"):
        graph = graph.extended(account.score, x, u, neighbours=NEIGHBOURS)
    return graph.linked(torch.cat(skips)) if skips else graph
