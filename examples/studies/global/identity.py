"""Does an object keep its look along a global path? With prompts, without, and with what else might keep it.

    python examples/studies/global/identity.py [--pairs 12] [--only given none ...] [--out identity]

The pairs are those of `shared.py`. `given` are the scenes' own captions; `read` the likeliest of the model's captions
(`--captions own`); `none` no prompts, `none, 400` with as many samples; `near` of these only the quarter that lies
nearest to either image. Of the inner frames of the global path: the share whose fitted object has shape and colour of
one of the two, and the fit error. One line a pair and way, then a table. Every line is on disk when it is made.
"""

import argparse
import statistics
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch

from geodesic_cli.diffusion import LatentDiffusion, load
from geodesic_cli.frames import paths
from geodesic_cli.frames.captioning import OWN, captions_in, prompts_read
from geodesic_cli.frames.keyframes import Ends, embed
from geodesic_cli.frames.pacing import even_positions
from geodesic_cli.geometry.seen import Remembered
from geodesic_cli.runs.places import cache_folder
from geodesic_cli.scenes import Scene, fit_all, render
from geodesic_cli.search.roadmap import Samples, samples
from geodesic_cli.search.search import SearchChoice, global_path

sys.path.append(str(Path(__file__).parents[1]))  # where shared.py is
from shared import kept, make_pairs

TAU, ALPHA, FRAMES, STEPS, NEAR = 0.1, 0.02, 17, 12, 0.25
SIZES = {"given": 96, "read": 96, "none": 96, "none, 400": 400, "near": 400}
"""Samples of each way."""


def near_ends(model: LatentDiffusion, ends: Ends, score: Remembered, size: int, **options: Any) -> Samples:
    """Of the samples only those that lie nearest to one of the two images, NEAR of them in all."""
    among = samples(model, ends, score, size, **options)
    graph = among.graph
    chosen = torch.zeros(len(graph.x), dtype=torch.bool)
    for apart in torch.cdist(model.ridge(ends.z.to(ends.x.dtype), ends.tau), graph.x):
        chosen[apart.argsort()[: int(NEAR * len(graph.x) / 2)]] = True
    number, inside = chosen.cumsum(0) - 1, chosen[graph.edges].all(1)
    fewer = replace(
        graph,
        x=graph.x[chosen],
        u=graph.u[chosen],
        scores=graph.scores[chosen],
        log_densities=graph.log_densities[chosen],
        edges=number[graph.edges[inside]],
        slopes=graph.slopes[inside],
        levels=graph.levels[inside],
    )
    return replace(among, graph=fewer)


def look(scene: Scene) -> tuple[str, str] | None:
    """Shape and colour of the first object."""
    return (scene.solids[0].shape, scene.solids[0].colour) if scene.solids else None


def study(model: LatentDiffusion, pair: tuple[Scene, Scene], way: str) -> dict:
    """One pair in one way."""
    images = render(list(pair))
    true = tuple(scene.caption for scene in pair)
    prompts = true if way == "given" else ()
    if way == "read":
        prompts = prompts_read(model, images, captions_in(OWN, "clevr-mini"), folder=cache_folder("text"))
    ends = embed(model, images, prompts, TAU, STEPS)
    choice = SearchChoice(alpha=ALPHA, pool_size=SIZES[way])
    with patch("geodesic_cli.search.search.samples", near_ends if way == "near" else samples):
        found = global_path(model, ends, choice, cache=cache_folder("pools"))
    path = paths.ImagePath("global", found.curves["global"], None, None, ALPHA, 0)
    u = even_positions(model, ends, path, FRAMES, STEPS, 1.0)
    frames = model.decode(paths.clean_latents(model, ends, path, u, STEPS, 1.0), ends.shape)
    fits = fit_all(frames.cpu())[1:-1]
    looks = {look(scene) for scene in pair}
    return {
        "prompts": prompts,
        "right": prompts == true,
        "kept": statistics.mean(look(fit.scene) in looks for fit in fits),
        "fit": statistics.mean(fit.error for fit in fits),
        "evaluations": sum(count for what, count in found.evaluations.items() if what != "pool"),
    }


def main() -> None:
    """Study what is not on disk yet, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=12)
    parser.add_argument("--only", nargs="+", choices=SIZES, default=list(SIZES))
    parser.add_argument("--out", type=Path, default=Path("identity"))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    model = load("clevr-mini")
    found: dict[str, list[dict]] = {way: [] for way in options.only}
    for k, pair in enumerate(make_pairs(50)[: options.pairs]):
        for way, results in found.items():
            name = f"pair-{k:03d}-{way.replace(', ', '-')}.json"
            results.append(kept(options.out / name, partial(study, model, pair, way)))
            print(k, way, {key: value for key, value in results[-1].items() if key != "prompts"}, flush=True)
    mean: Callable[[list[dict], str], float] = lambda rows, key: statistics.mean(row[key] for row in rows)  # noqa: E731
    print("| prompts | samples | looks kept | fit error | evaluations, warm |\n|---|---|---|---|---|")
    for way, rows in found.items():
        kept_share = [row["kept"] for row in rows]
        error = statistics.stdev(kept_share) / len(rows) ** 0.5 if len(rows) > 1 else 0.0
        print(
            f"| {way} | {SIZES[way]} | {100 * mean(rows, 'kept'):.0f} ± {100 * error:.0f}% | {mean(rows, 'fit'):.3f} "
            f"| {mean(rows, 'evaluations'):.0f} |"
        )


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
