"""The path that really moves: search for the global geodesic between two images over samples of the model.

At low noise the straight line between two images crosses a valley hundreds of nats deep, and the shortest path of
ds = p^(-alpha) |dx| is the long way round over plausible pictures. No local solver finds it from the straight line.

    pool     samples of the model under both prompts and between                              (`pool`)
    search   shortest path over a neighbour graph of them, evaluated only where it runs       (`geometry.graph`)
    grow     new points at its costliest edges: the middle of the edge, partly noised and brought back by the model;
             again, until the length falls by less than `GAIN` twice running or the budget is spent
    prune    edges past one or two way-points; those that shorten the path are taken
    refine   the polygon of way-points as a first path for `solve_bvp`; kept only if the weighted length falls
    judge    the same from slerp; the shorter of the two wins

All of it in flat space at noise level tau. The points are sqrt(alpha_bar) z for clean latents z, without noise: at
tau 0.1 such a point of `clevr-mini` is about 90 nats denser than a typical one of p_tau, so that nearly all of the path
is far denser than its two ends, and edges between them cost an order of magnitude less.

The refinement is by `Relaxation`. A kernel surrogate of the score does not know the walls of a valley that is a hundred
units long and a few wide, and leaves it. The path next to slerp has no such valley to keep to, and is found by the
surrogate at a fifth of the cost.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path as FilePath

import torch
from torch import Tensor

from geodesic_cli.diffusion import LatentDiffusion
from geodesic_cli.geometry import (
    Curve,
    DensityMetric,
    Euclidean,
    PathSolver,
    Relaxation,
    Solution,
    Status,
    Step,
    Surrogate,
    bending,
    linalg,
    solve_bvp,
)
from geodesic_cli.geometry.graph import Graph, Route, connect, shortest_path
from geodesic_cli.tasks.keyframes import Ends
from geodesic_cli.tasks.paths import Path
from geodesic_cli.tasks.pool import pool

LEVELS = (0.3, 0.5)
"""Noise levels from which the middles of costly edges are brought back."""

COSTLY = 4
"""Edges that grow in each round."""

GAIN = 0.02
"""A round that shortens the path by less has found nothing."""

STUBBORN = 8
"""Rounds running without such a gain after which growth stops where the path still crosses an improbable edge."""

BACK = 6
"""Steps of the probability flow from such a level to a clean latent."""

LENGTH_POINTS = 65
"""Points at which the length of a path is measured."""

SETTLED = 0.01
"""The refinement stops where ROUNDS of its steps shorten the path by less, as a share: the rest is not seen."""

ROUNDS = 5

NEIGHBOURS = 8

EDGE_TOLERANCE = 0.04
"""What log p along an edge of the path may be wrong by, times alpha. At 0.1 lengths were off by up to a third."""

ROUGH_TOLERANCE = 0.15
"""The same while the graph grows, where it is enough to know which edges cost most."""

DOUBTFUL = 30.0
"""Nats. Where log p falls by more than this below its maxima on both sides, the path crosses an improbable region."""

UNCONNECTED = "The samples do not connect the two images; the path is the local one: use a larger pool."
DOUBTFUL_PATH = "The path crosses a region of improbably low density, where its frames are marked: use a larger pool."
FOUND = "The path over samples of the model is the shorter one."
LOCAL = "The path next to slerp is the shorter one: at this noise level and alpha the direct way costs less."


@dataclass(frozen=True, eq=False)
class GlobalPath:
    """What a global search found.

    Args:
        path: the shorter of the refined global path and the local one, in flat space.
        curves: all paths by the names of `lengths`, in flat space.
        solutions: how `local` and `global` were solved.
        lengths: logarithms of weighted lengths, weight 1 at the first image, by `slerp`, `local`, `graph` (the polygon
            of way-points) and `global` (refined); what was not found is missing.
        way_points: (k, d), the nodes of the path over the graph, ends included.
        way_positions: (k,), their positions u.
        evaluations: network evaluations by what they were spent on: `pool`, `search`, `grow`, `refine`, `local`,
            `measure`.
        graph: numbers about it: `nodes`, `edges`, `hops`, `mismatch` (nats), `rounds`, `deepest_dip` (nats).
        history: logarithm of the length over the graph after every round.
        log_density: along `path` at 65 equal steps of u, relative to the first image, nats, (65,).
        doubtful: whether the path is improbable there, (65,).
        status: a sentence.
        points: the nodes of the graph, (n, d).
        links: its edges, (m, 2).
        densities: log p at its nodes relative to the first image, nats, (n,).
    """

    path: Path
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

    def marked(self, u: Tensor) -> Tensor:
        """Whether frames at positions u (m,) lie where the path is improbable, (m,)."""
        return self.doubtful[(u * (LENGTH_POINTS - 1)).round().long().to(self.doubtful.device)]


@dataclass(frozen=True, eq=False)
class _Task:
    """What a search is about, and what it has cost so far."""

    model: LatentDiffusion
    ends: Ends
    metric: DensityMetric
    guidance: float
    generator: torch.Generator
    spent: dict[str, int] = field(default_factory=dict)

    @property
    def branches(self) -> int:
        return 1 if self.guidance == 1 else 2

    @property
    def total(self) -> int:
        return sum(self.spent.values())

    def charge(self, what: str, points: int) -> None:
        self.spent[what] = self.spent.get(what, 0) + self.branches * points


def global_path(
    model: LatentDiffusion,
    ends: Ends,
    *,
    alpha: float = 0.02,
    pool_size: int = 96,
    budget: int | None = 3000,
    seconds: float | None = None,
    nodes: int = 25,
    tol: float = 0.15,
    max_steps: int = 30,
    guidance: float = 1.0,
    seed: int = 0,
    cache: FilePath | None = None,
    local: Path | None = None,
    on_stage: Callable[[str, int], None] | None = None,
) -> GlobalPath:
    """Search for the geodesic between two images over samples of the model, and refine it.

    Args:
        model: the model.
        ends: the two images at a low noise level; tau 0.1 with alpha 0.02 is where motion is by far the shortest path
            of `clevr-mini`.
        alpha: the density exponent.
        pool_size: samples in all: half under each prompt where they differ, and as many between as under one of them.
        budget: network evaluations after the pool, refinement included; growth stops where the refinement would not be
            left its share. None sets no bound.
        seconds: of growth, after which no new round begins; the result then depends on the machine. None sets no bound.
        nodes: of the refined path.
        tol: relative residual at which the refinement may stop.
        max_steps: most steps of the refinement, `nodes` - 2 evaluations each.
        guidance: classifier-free scale of the density.
        seed: of the pool and of the noise of the growth.
        cache: the folder of pools, for example `pool.cache_folder()`; None keeps nothing.
        local: a path to compare with, in flat space; found from slerp unless given.
        on_stage: told the stage and the evaluations so far; it only watches.

    Raises:
        GeodesicError: sizes that cannot be used.
    """
    score = model.score(ends.shape, ends.tau, ends.conditioning, guidance)
    task = _Task(model, ends, DensityMetric(score, alpha), guidance, torch.Generator().manual_seed(seed))
    tell = on_stage or (lambda stage, evaluations: None)
    tell("pool", 0)
    graph = _first_graph(task, pool_size, seed, cache)
    before = task.total
    left = math.inf if budget is None else budget - nodes * max_steps * task.branches
    until = math.inf if seconds is None else time.monotonic() + seconds
    tell("search", task.total)
    graph, route = _routed(task, graph)
    history = [route.log_length]
    idle = 0
    while (
        route.connected
        and idle < (STUBBORN if _crosses(route) else 2)
        and task.total - before < left
        and time.monotonic() < until
    ):
        graph, route = _routed(task, _pruned(_grown(task, graph, route), route))
        history.append(route.log_length)
        idle = idle + 1 if history[-2] - history[-1] < GAIN else 0
        tell("grow", task.total)
    graph, route = _routed(task, graph, EDGE_TOLERANCE)
    slerp = _slerp(ends, nodes)
    curves, solutions = {"slerp": slerp}, dict[str, Solution]()
    if local is None:
        solutions["local"] = _solved(task, "local", slerp, Surrogate(), tol, max_steps // 2, patient=True)
        curves["local"] = solutions["local"].curve
    else:
        curves["local"] = local.curve
    tell("local", task.total)
    if route.connected:
        curves["graph"] = _polygon(graph.x[route.nodes], LENGTH_POINTS)
        guess = _polygon(graph.x[route.nodes], nodes)
        solutions["global"] = _solved(task, "refine", guess, Relaxation(continuation=False), tol, max_steps)
        curves["global"] = solutions["global"].curve
        tell("refine", task.total)
    measured = {name: _measured(task, curve) for name, curve in curves.items() if name in ("local", "global")}
    at_slerp = task.metric.scores_at(slerp.x, slerp.u)
    task.charge("measure", nodes)
    lengths = {"slerp": float(task.metric.log_length(slerp, at_slerp))}
    lengths |= {name: length for name, (length, _) in measured.items()}
    if route.connected:
        lengths["graph"] = route.log_length
    best = min(
        measured,
        key=lambda name: (not math.isfinite(lengths[name]), lengths[name]),
    )
    density = measured[best][1]
    doubtful = _doubtful(density)
    bend = alpha * bending(score, slerp, at_slerp)
    known = solutions.get(best) if local is None or best != "local" else local.solution
    status = LOCAL if best == "local" else DOUBTFUL_PATH if bool(doubtful.any()) else FOUND
    return GlobalPath(
        path=Path(best, curves[best], None, known, alpha, bend),
        curves=curves,
        solutions=solutions,
        lengths=lengths,
        way_points=graph.x[route.nodes],
        way_positions=graph.u[route.nodes],
        evaluations=task.spent,
        graph={
            "nodes": len(graph.x),
            "edges": len(graph.edges),
            "hops": len(route.edges),
            "mismatch": graph.mismatch,
            "rounds": len(history) - 1,
            "deepest_dip": float(route.dips.max()) if route.connected else math.inf,
        },
        history=tuple(history),
        log_density=density,
        doubtful=doubtful,
        status=status if route.connected else UNCONNECTED,
        points=graph.x,
        links=graph.edges,
        densities=graph.log_densities - graph.log_densities[0],
    )


def _first_graph(task: _Task, size: int, seed: int, cache: FilePath | None) -> Graph:
    """The two images, their clean latents without noise, and the pool, joined to neighbours by their scores alone."""
    ends, model = task.ends, task.model
    varying = not ends.conditioning.start.equal(ends.conditioning.end)
    shares = [(0.0, -(-size // 3)), (0.5, size - 2 * -(-size // 3)), (1.0, -(-size // 3))] if varying else [(0.0, size)]
    signal = model.predict.schedule.level(ends.tau)[0]
    at_ends = torch.tensor([0.0, 1.0], dtype=ends.x.dtype, device=ends.x.device)
    x, u = [ends.x, signal * ends.z.to(ends.x.dtype)], [at_ends, at_ends]
    scores = [task.metric.scores_at(torch.cat(x), torch.cat(u))]
    task.charge("search", len(scores[0]))
    for position, share in shares:
        condition = ends.conditioning(at_ends.new_tensor([position]))[0]
        samples = pool(
            model, ends.shape, condition, ends.tau, max(1, share), guidance=task.guidance, seed=seed, folder=cache
        )
        task.spent["pool"] = task.spent.get("pool", 0) + samples.evaluations
        x.append(signal * samples.z.to(ends.x.device, ends.x.dtype))
        u.append(torch.full_like(x[-1][:, 0], position))
        scores.append(samples.scores.to(ends.x.device, ends.x.dtype))
    return connect(
        task.metric.score, torch.cat(x), torch.cat(u), neighbours=NEIGHBOURS, levels=0, scores=torch.cat(scores)
    )


def _routed(task: _Task, graph: Graph, tolerance: float = ROUGH_TOLERANCE) -> tuple[Graph, Route]:
    alpha = task.metric.alpha
    found, route = shortest_path(graph, task.metric.score, alpha, 0, 1, tol=tolerance / max(alpha, 1e-3))
    task.charge("search", found.score_calls - graph.score_calls)
    return found, route


def _grown(task: _Task, graph: Graph, route: Route) -> Graph:
    """The graph with points at the middles of the costliest edges, noised to each of LEVELS and brought back."""
    worst = route.edges[route.log_lengths.argsort(descending=True, stable=True)[:COSTLY]]
    first, second = graph.edges[worst].T
    schedule = task.model.predict.schedule
    signal = schedule.level(task.ends.tau)[0]
    z = (graph.x[first] + graph.x[second]) / (2 * signal)
    u = (graph.u[first] + graph.u[second]) / 2
    made = []
    for tau in LEVELS:
        keep, sigma, _ = schedule.level(tau)
        noise = torch.randn(z.shape, generator=task.generator, dtype=torch.float64).to(z.device, z.dtype)
        back = task.model.drop(
            keep * z + sigma * noise, task.ends.shape, task.ends.conditioning(u), tau, BACK, task.guidance
        )
        task.charge("grow", len(z) * (BACK + 1))
        made.append(signal * back.to(z.dtype))
    task.charge("grow", len(z) * len(LEVELS))
    return graph.extended(task.metric.score, torch.cat(made), u.repeat(len(LEVELS)), neighbours=NEIGHBOURS)


def _pruned(graph: Graph, route: Route) -> Graph:
    """The graph with edges that skip one or two way-points of a path."""
    nodes = route.nodes
    skips = [torch.stack([nodes[:-skip], nodes[skip:]], dim=1) for skip in (2, 3) if len(nodes) > skip]
    return graph.linked(torch.cat(skips)) if skips else graph


def _slerp(ends: Ends, nodes: int) -> Curve:
    """The great circle of the directions with the norm going geometrically, as points of flat space."""
    u = torch.linspace(0, 1, nodes, dtype=ends.x.dtype, device=ends.x.device)
    profile = ends.profile
    y = linalg.slerp(profile.radius * linalg.unit(ends.x[0]), profile.radius * linalg.unit(ends.x[1]), u)
    inner = profile.lift(y, u)[1:-1]
    return Curve(torch.cat([ends.x[:1], inner, ends.x[1:]]), Euclidean())


def _polygon(points: Tensor, nodes: int) -> Curve:
    """Points at equal steps along the polygon through given ones. A spline would overshoot between uneven points."""
    pieces = linalg.norm(points[1:] - points[:-1])[:, 0]
    arc = torch.cat([torch.zeros_like(pieces[:1]), pieces.cumsum(0)])
    wanted = torch.linspace(0, 1, nodes, dtype=points.dtype, device=points.device) * arc[-1]
    after, part = linalg.locate(arc, wanted)
    inner = torch.lerp(points[after - 1], points[after], part[:, None])[1:-1]
    return Curve(torch.cat([points[:1], inner, points[-1:]]), Euclidean())


def _solved(
    task: _Task, what: str, guess: Curve, solver: PathSolver, tol: float, max_steps: int, patient: bool = False
) -> Solution:
    """Solve, in rounds of ROUNDS steps, until a round no longer shortens the path; patiently, until it is solved."""
    steps: list[Step] = []
    while True:
        start = steps[-1] if steps else None
        limit = min(max_steps, ROUNDS + (start.index if start else 0))
        solution = solve_bvp(
            task.metric, guess, solver=solver, tol=tol, max_steps=limit, on_step=steps.append, start=start
        )
        gain = steps[-1 - ROUNDS].log_length - steps[-1].log_length if len(steps) > ROUNDS else math.inf
        if solution.status is not Status.MAX_STEPS or limit == max_steps or (gain < SETTLED and not patient):
            task.charge(what, solution.score_calls)
            return solution


def _measured(task: _Task, curve: Curve) -> tuple[float, Tensor]:
    """The logarithm of the weighted length, and log p along the curve, at LENGTH_POINTS equal steps of u."""
    u = torch.linspace(0, 1, LENGTH_POINTS, dtype=curve.x.dtype, device=curve.x.device)
    dense = Curve(curve(u), curve.space)
    scores = task.metric.scores_at(dense.x, u)
    task.charge("measure", LENGTH_POINTS)
    return float(task.metric.log_length(dense, scores)), task.metric.log_density(dense, scores)


def _crosses(route: Route) -> bool:
    """Whether log p falls by more than DOUBTFUL on an edge."""
    return bool((route.dips > DOUBTFUL).any())


def _doubtful(log_density: Tensor) -> Tensor:
    before = log_density.cummax(0).values
    after = log_density.flip(0).cummax(0).values.flip(0)
    return torch.minimum(before, after) - log_density > DOUBTFUL
