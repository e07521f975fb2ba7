"""The path that really moves: search for the global geodesic between two images over samples of the model.

At low noise the straight line between two images crosses a valley hundreds of nats deep, and the shortest path of
ds = p^(-alpha) |dx| is the long way round over plausible pictures. No local solver finds it from the straight line.

    pool     samples of the model under both prompts and between, joined to neighbours            (`roadmap`)
    search   shortest path over this graph, with scores asked for only where it runs              (`geometry.graph`)
    refine   the polygon of way-points, shortened by `Relaxation` as long as it gains               (`candidates`)
    grow     only where the refined path still crosses an improbable region: new points at the costliest edges of the
             graph, search and refine again
    judge    the same from slerp; the shorter of the two wins

The graph has to find the valley, no more: a straight edge between two samples crosses its bends, and the refinement
gains far more by rounding them than growth of the graph does. No score is asked for twice (`Remembered`): the search
knows the ends, slerp is what the local solver starts from, and the length of a refined path needs only the points
between its nodes. Lengths are taken on every second point, too, and extrapolated (Richardson).

The refinement is by `Relaxation`. A kernel surrogate of the score does not know the walls of a valley that is a hundred
units long and a few wide, and leaves it. The local path has no such valley to keep to, and is found by
the surrogate at a fifth of the cost.
"""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from geodesic_cli.diffusion import LatentDiffusion
from geodesic_cli.diffusion.score import guided_evaluations
from geodesic_cli.frames.keyframes import Ends
from geodesic_cli.frames.paths import ImagePath
from geodesic_cli.geometry import Curve, DensityMetric, Solution, bending
from geodesic_cli.geometry.graph.graph import Graph, Route
from geodesic_cli.geometry.graph.routing import shortest_path
from geodesic_cli.geometry.seen import Remembered
from geodesic_cli.search.candidates import (
    LENGTH_POINTS,
    SLERP_NODES,
    Account,
    Candidate,
    dearest,
    measured,
    next_to,
    polygon,
    preferred,
    refined,
    slerp_between,
)
from geodesic_cli.search.roadmap import BACK, HALVED, NEIGHBOURS, grown, roadmap, samples

GAIN = 0.02
"""Growth that shortens the refined path by less has found nothing."""
ROUNDS = 2
"""Rounds of growth between two refinements."""
UNCONNECTED = (
    "The two images lie on different islands of what this model draws: no chain of its samples joins them, and the "
    "local path was taken. Pass a prompt for each image, or take more samples (--pool-size)."
)
DOUBTFUL_PATH = (
    "The two images lie on different islands of what this model draws: the path between them crosses pictures that it "
    "hardly ever draws. Pass a prompt for each image, or take more samples (--pool-size)."
)
FOUND = "The path found among samples of the model is the shortest one known."
EQUAL = "The path found among samples of the model is as long as the local one, as far as is known, and was taken."
LOCAL = "The local path, solved from the great circle, is shorter than any among samples of the model, and was taken."


@dataclass(frozen=True, eq=False)
class GlobalPath:
    """What a global search found.

    Args:
        path: the shorter of the refined global path and the local one, in flat space; see `candidates.preferred`.
        curves: all paths by the names of `lengths`, in flat space.
        solutions: how `local` and `global` were solved.
        lengths: logarithms of weighted lengths, weight 1 at the first image, by `slerp`, `local`, `graph` (the polygon
            of way-points, roughly) and `global` (refined); what was not found is missing.
        way_points: (k, d), the nodes of the path over the graph, ends included.
        way_positions: (k,), their positions u.
        evaluations: network evaluations by what they were spent on: `pool`, `search`, `grow`, `refine`, `local`,
            `measure`.
        graph: numbers about it: `pool` (evaluations that it costs where nothing is on disk), `nodes`, `edges`, `hops`,
            `mismatch` (nats), `rounds`, `deepest_dip` (nats).
        history: logarithm of the length over the graph after every round.
        log_density: along `path` at m equal steps of u, relative to the first image, nats, (m,).
        doubtful: whether the path is improbable there, (m,).
        status: a sentence.
        points: the nodes of the graph, (n, d).
        links: its edges, (m, 2).
        densities: log p at its nodes relative to the first image, nats, (n,).
    """

    path: ImagePath
    curves: dict[str, Curve]
    solutions: dict[str, Solution]
    lengths: dict[str, float]
    way_points: Tensor
    way_positions: Tensor
    evaluations: dict[str, int]
    graph: dict[str, float]
    history: tuple[float, ...]
    log_density: Tensor
    doubtful: Tensor
    status: str
    points: Tensor
    links: Tensor
    densities: Tensor


@dataclass(frozen=True)
class SearchChoice:
    """How a search is made.

    Args:
        alpha: the density exponent; 0.02 at tau 0.1 is where motion is by far the shortest path of `clevr-mini`.
        pool_size: samples in all: half under each prompt where they differ, and as many between as under one of them.
        budget: network evaluations after the pool; the graph grows only while another refinement fits in. None sets no
            bound.
        seconds: of growth, after which no new round begins; the result then depends on the machine. None sets no bound.
        nodes: of the refined path.
        tol: relative residual at which the refinement may stop.
        max_steps: most steps of a refinement, `nodes` - 2 evaluations each.
        guidance: classifier-free scale of the density.
        seed: of the pool and of the noise of the growth.
    """

    alpha: float = 0.02
    pool_size: int = 96
    budget: int | None = 3000
    seconds: float | None = None
    nodes: int = 25
    tol: float = 0.15
    max_steps: int = 30
    guidance: float = 1.0
    seed: int = 0


def global_path(
    model: LatentDiffusion,
    ends: Ends,
    choice: SearchChoice | None = None,
    *,
    cache: Path | None = None,
    on_stage: Callable[[str, int], None] | None = None,
) -> GlobalPath:
    """Search for the geodesic between two images over samples of the model, and refine it.

    Args:
        model: whose samples they are.
        ends: the two images at a low noise level.
        choice: how; None takes the defaults.
        cache: the folder of pools, for example `cache_folder(POOLS)`; None keeps nothing.
        on_stage: told the stage and the evaluations so far; it only watches.
    """
    how, tell = choice or SearchChoice(), on_stage or (lambda stage, evaluations: None)
    varying = not ends.conditioning.start.equal(ends.conditioning.end)
    score = Remembered(model.score(ends.shape, ends.tau, ends.conditioning, how.guidance), varying=varying)
    account = Account(model, ends, score, DensityMetric(score, how.alpha), how.guidance)
    tell("pool", 0)
    among = samples(model, ends, score, how.pool_size, guidance=how.guidance, seed=how.seed, folder=cache)
    account.charge("pool", among.evaluations)
    tell("search", account.total)
    with account.paying("search"):
        graph, route = _routed(account, roadmap(model, ends, score, among.graph))
    slerp = slerp_between(ends, SLERP_NODES)
    with account.paying("measure"):
        seen = score.seen(slerp.x, slerp.u)
        at_slerp = measured(account, slerp, SLERP_NODES)
        bend = how.alpha * bending(score, slerp, score(slerp.x, slerp.u))
    found, history = {"local": next_to(account, slerp, seen, how.tol, how.max_steps // 2)}, [route.log_length]
    tell("local", account.total)
    if route.connected:
        found["global"] = refined(account, graph.x[route.nodes], how.nodes, how.tol, how.max_steps)
        tell("refine", account.total)
        graph, route = _grown(account, how, among.evaluations, (graph, route), found, history, tell)
    best = preferred(found)
    lengths = {"slerp": at_slerp.log_length} | {name: each.log_length for name, each in found.items()}
    curves = {"slerp": slerp} | {name: each.curve for name, each in found.items()}
    if route.connected:
        lengths["graph"], curves["graph"] = route.log_length, polygon(graph.x[route.nodes], LENGTH_POINTS)
    return GlobalPath(
        path=ImagePath(best, curves[best], None, found[best].solution, how.alpha, bend),
        curves=curves,
        solutions={name: one.solution for name, one in found.items() if one.solution is not None},
        lengths=lengths,
        way_points=graph.x[route.nodes],
        way_positions=graph.u[route.nodes],
        evaluations=account.spent,
        graph={"pool": among.cold, **_numbers(graph, route, len(history) - 1)},
        history=tuple(history),
        log_density=found[best].log_density,
        doubtful=found[best].doubtful,
        status=_status(found, best),
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
            history.append(route.log_length)
            tell("grow", account.total)
        before, again = found["global"], refined(account, graph.x[route.nodes], how.nodes, how.tol, how.max_steps)
        tell("refine", account.total)
        found["global"] = min(before, again, key=lambda candidate: candidate.rank)
        if not again.log_length < before.log_length - GAIN:
            break
    return graph, route


def _numbers(graph: Graph, route: Route, rounds: int) -> dict[str, float]:
    return {
        "nodes": len(graph.x),
        "edges": len(graph.edges),
        "hops": len(route.edges),
        "mismatch": graph.mismatch,
        "rounds": rounds,
        "deepest_dip": float(route.dips.max()) if route.connected else math.inf,
    }


def _status(found: Mapping[str, Candidate], best: str) -> str:
    if "global" not in found:
        return UNCONNECTED
    if best == "local":
        return LOCAL
    if bool(found["global"].doubtful.any()):
        return DOUBTFUL_PATH
    return EQUAL if found["local"].rank < found["global"].rank else FOUND


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
