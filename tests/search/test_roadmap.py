"""The graph of a search: what is kept of it says nothing of the images, and is the same from disk."""

from pathlib import Path

import pytest
import torch

from geodesic_cli.diffusion import LatentDiffusion
from geodesic_cli.frames.keyframes import Ends, embed
from geodesic_cli.geometry.seen import Remembered
from geodesic_cli.scenes import Scene, Solid, render
from geodesic_cli.search.roadmap import BACK, COSTLY, HALVED, LEVELS, Samples, grown, roadmap, samples

SIZE = 32
PROMPTS = ("a red rubber cube", "a blue rubber cube")


@pytest.fixture(scope="module")
def ends(model: LatentDiffusion) -> Ends:
    scenes = [Scene((Solid("cube", "red", x=x, y=0.0, size=0.65),)) for x in (-0.5, 0.5)]
    return embed(model, render(scenes), PROMPTS[:1], 0.1, 6)


def asked(model: LatentDiffusion, ends: Ends) -> Remembered:
    return Remembered(model.score(ends.shape, ends.tau, ends.conditioning))


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("pools")


@pytest.fixture(scope="module")
def drawn(model: LatentDiffusion, ends: Ends, folder: Path) -> Samples:
    return samples(model, ends, asked(model, ends), SIZE, folder=folder)


def test_every_edge_of_a_pool_is_known_and_paid_for_once(model, ends, drawn, folder):
    assert bool((drawn.graph.levels == HALVED).all())
    assert drawn.evaluations == drawn.cold == SIZE * 14 + 3 * len(drawn.graph.edges)
    again = samples(model, ends, asked(model, ends), SIZE, folder=folder)
    assert again.evaluations == 0 and again.cold == drawn.cold
    for part in ("x", "scores", "edges", "slopes", "log_densities"):
        torch.testing.assert_close(
            getattr(again.graph, part), getattr(drawn.graph, part), rtol=0, atol=0, equal_nan=True
        )


def test_prompts_that_differ_share_the_samples_in_thirds(model, ends, folder):
    images = render([Scene((Solid("cube", colour, x=0.0, y=0.0, size=0.65),)) for colour in ("red", "blue")])
    both = embed(model, images, PROMPTS, 0.1, 6)
    graph = samples(model, both, asked(model, both), SIZE, folder=folder).graph
    assert [int((graph.u == u).sum()) for u in (0.0, 0.5, 1.0)] == [11, 10, 11]


def test_the_images_come_first_and_what_is_known_of_the_samples_stays_known(model, ends, drawn):
    score = asked(model, ends)
    score.learn(drawn.graph.x, drawn.graph.u, drawn.graph.scores)
    graph = roadmap(model, ends, score, drawn.graph)
    assert score.calls == 4  # the images and their latents without noise
    assert torch.equal(graph.x[:2], ends.x) and torch.equal(graph.x[4:], drawn.graph.x)
    inside = (graph.edges >= 4).all(dim=1)
    assert bool((graph.levels[inside] == HALVED).all()) and bool((graph.levels[~inside] == 0).all())
    assert int(inside.sum()) == len(drawn.graph.edges)


def test_growth_makes_points_for_the_costliest_edges(model, ends, drawn):
    score = asked(model, ends)
    graph = roadmap(model, ends, score, drawn.graph)
    route = graph.shortest(0.02, 0, 1)
    asked_for: list[int] = []
    hook = model.predict.unet.register_forward_pre_hook(lambda module, inputs: asked_for.append(len(inputs[0])))
    x, u = grown(model, ends, graph, route, torch.Generator().manual_seed(0))
    hook.remove()
    count = min(COSTLY, len(route.edges)) * len(LEVELS)
    assert x.shape == (count, graph.x.shape[1]) and u.shape == (count,)
    assert sum(asked_for) == count * (BACK + 1)
    assert bool(x.isfinite().all())
