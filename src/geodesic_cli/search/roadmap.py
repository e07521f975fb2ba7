"""The graph that a global search goes over: two images among samples of the model, and how it grows.

    pool    samples under both prompts and between (`pool`), joined to their neighbours; the scores at three points
            of every such edge are asked for when the pool is made, and kept with it
    ends    the two images, and their clean latents without noise, joined to their neighbours
    grow    the middles of the costliest edges, partly noised and brought back by the model, joined likewise

All of it in flat space at noise level tau. The points are sqrt(alpha_bar) z for clean latents z, without noise: at
tau 0.1 such a point of `clevr-mini` is about 90 nats denser than a typical one of p_tau, so that nearly all of the path
is far denser than its two ends, and edges between them cost an order of magnitude less.

What is kept depends on model, prompts, guidance, tau, seed and size alone, never on the images: a search gives the same
bits whether its pool was on disk or not.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from geodesic_cli.diffusion import LatentDiffusion
from geodesic_cli.diffusion.score import guided_evaluations
from geodesic_cli.frames.keyframes import Ends
from geodesic_cli.geometry.graph.connecting import connect
from geodesic_cli.geometry.graph.graph import Graph, Route
from geodesic_cli.geometry.graph.sparse import bridges
from geodesic_cli.geometry.seen import Remembered
from geodesic_cli.search.pool import Pool, Sampling, kept, pool

NEIGHBOURS = 6
HALVED = 2
"""How often an edge is halved: those between samples when the pool is made, others where the path may run."""
LEVELS = (0.3, 0.5)
"""Noise levels from which the middles of costly edges are brought back."""
COSTLY = 4
"""Edges that grow in each round."""
BACK = 6
"""Steps of the probability flow from such a level to a clean latent."""


@dataclass(frozen=True, eq=False)
class Samples:
    """A pool joined to its neighbours.

    Args:
        graph: of the samples, every edge halved HALVED times.
        evaluations: network evaluations that were made for it now; 0 where all of it was on disk.
        cold: what it costs where nothing is on disk.
    """

    graph: Graph
    evaluations: int
    cold: int


def samples(
    model: LatentDiffusion,
    ends: Ends,
    score: Remembered,
    size: int,
    *,
    guidance: float = 1.0,
    seed: int = 0,
    folder: Path | None = None,
) -> Samples:
    """Samples for the prompts of two images: `size` in all, or as many thirds under each prompt and between them.

    Args:
        ends: the images; only shape, noise level and conditioning matter.
        score: at the noise level, along the conditioning. It learns the scores of the samples.
        size: how many.
        guidance: classifier-free scale.
        seed: of the samples.
        folder: where they are kept; None keeps nothing.
    """
    varying = not ends.conditioning.start.equal(ends.conditioning.end)
    third = -(-size // 3)
    shares = [(0.0, third), (0.5, size - 2 * third), (1.0, third)] if varying else [(0.0, size)]
    dtype, device = ends.x.dtype, ends.x.device
    how = Sampling(guidance=guidance, seed=seed)
    parts: list[Pool] = []
    x, u, scores = [], [], []
    for position, share in shares:
        condition = ends.conditioning(torch.tensor([position], dtype=dtype, device=device))[0]
        part = pool(model, ends.shape, condition, ends.tau, max(1, share), how, folder)
        parts.append(part)
        x.append(model.ridge(part.z.to(device, dtype), ends.tau))
        u.append(torch.full((len(part.z),), position, dtype=dtype, device=device))
        scores.append(part.scores.to(device, dtype))
    points, positions, known = torch.cat(x), torch.cat(u), torch.cat(scores)
    score.learn(points, positions, known)
    bare = connect(score, points, positions, neighbours=NEIGHBOURS, levels=0, scores=known)
    about = " ".join([f"2 {NEIGHBOURS} {HALVED} {ends.tau:.6f}", *(f"{part.digest} {len(part.z)}" for part in parts)])
    before = score.calls

    def halved() -> Tensor:
        everything = torch.arange(len(bare.edges), device=bare.edges.device)
        return bare.sharpened(score, everything, tol=0.0, levels=HALVED).slopes.cpu()

    slopes = kept(folder, f"{hashlib.sha256(about.encode()).hexdigest()}-edges", halved).to(device, dtype)
    graph = bare.knowing(bare.edges, slopes, torch.full_like(bare.levels, HALVED))
    each = guided_evaluations(guidance)
    now = sum(part.evaluations for part in parts) + each * (score.calls - before)
    cold = sum(part.cold for part in parts) + each * (2**HALVED - 1) * len(bare.edges)
    return Samples(graph, now, cold)


def roadmap(model: LatentDiffusion, ends: Ends, score: Remembered, among: Graph) -> Graph:
    """The two images (nodes 0 and 1), their clean latents without noise, and the samples, joined to neighbours.

    Parts that no neighbours join are joined by the shortest edges between them.
    """
    at_ends = torch.tensor([0.0, 1.0], dtype=ends.x.dtype, device=ends.x.device)
    x = torch.cat([ends.x, model.ridge(ends.z.to(ends.x.dtype), ends.tau), among.x])
    u = torch.cat([at_ends, at_ends, among.u])
    graph = connect(score, x, u, neighbours=NEIGHBOURS, levels=0, scores=score(x, u))
    graph = graph.knowing(among.edges + 4, among.slopes, among.levels)
    # Neighbours alone may leave parts for themselves where samples come in clusters: a bridge says what the way costs.
    return graph.linked(bridges(graph.x, graph.edges))


def grown(
    model: LatentDiffusion, ends: Ends, graph: Graph, route: Route, generator: torch.Generator, guidance: float = 1.0
) -> tuple[Tensor, Tensor]:
    """New points (k, d) and positions (k,): the middles of the costliest edges, noised to each of LEVELS and back.

    BACK + 1 evaluations of the network for each.
    """
    worst = route.edges[route.log_lengths.argsort(descending=True, stable=True)[:COSTLY]]
    first, second = graph.edges[worst].T
    schedule = model.predict.schedule
    signal = schedule.level(ends.tau)[0]
    z = (graph.x[first] + graph.x[second]) / (2 * signal)
    u = (graph.u[first] + graph.u[second]) / 2
    made = []
    for tau in LEVELS:
        keep, sigma, _ = schedule.level(tau)
        noise = torch.randn(z.shape, generator=generator, dtype=torch.float64).to(z.device, z.dtype)
        back = model.drop(keep * z + sigma * noise, ends.shape, ends.conditioning(u), tau, BACK, guidance)
        made.append(signal * back.to(z.dtype))
    return torch.cat(made), u.repeat(len(LEVELS))
