"""Under which conditions does a rendered clip bend like a geodesic? Embedding, noise level, frame spacing, smoothing.

python examples/studies/clips/conditions.py [--clips 8]

For each condition, the means over the clips of figure3.py: length over chord, roughness H, the mean cosine between the
curvature and minus the tangential score, the share of clips whose best alpha is positive by two standard errors, and
what that alpha explains. The last cosine is a control: the same frames in random order, with the same moving mean.
No solver runs, so all of it takes about two minutes.
"""

import argparse
from statistics import fmean

import torch
from figure3 import KINDS, pictures, scene
from torch import Tensor

from geodesic_cli.diffusion import LatentDiffusion, load
from geodesic_cli.geometry import Score, Sphere, linalg
from geodesic_cli.geometry.clips.sequence import SequenceReport, measure_sequence, roughness
from geodesic_cli.geometry.clips.significance import best_alpha
from geodesic_cli.geometry.perturbation import moving_mean


def measured(x: Tensor, score: Score) -> SequenceReport:
    """A clip's directions on the sphere of its ends, as `geometry.rivals` has them."""
    radius = float((linalg.norm(x[0]) * linalg.norm(x[-1])).sqrt())
    factor = linalg.norm(x) / radius
    return measure_sequence(x / factor, factor * score(x, torch.zeros_like(x[:, 0])), 0.0, Sphere(radius))


def line(name: str, films: list[Tensor], score: Score, width: float) -> str:
    """One row of the table, over embedded clips (m, d)."""
    rows, generator = [], torch.Generator().manual_seed(0)
    for film in films:
        x = moving_mean(film, width)
        found = measured(x, score)
        products = linalg.dot(found.curvature, found.pull).squeeze(-1)
        squares = linalg.dot(found.pull, found.pull).squeeze(-1)
        best = best_alpha(products, squares, float(found.curvature.square().sum()))
        order = torch.randperm(len(x) - 2, generator=generator) + 1
        mixed = torch.cat([film[:1], film[order], film[-1:]])
        control = measured(moving_mean(mixed, width), score)
        chord = float((x[-1] - x[0]).norm())
        rows.append(
            (
                found.length / chord,
                roughness(x),
                float(found.alignment.mean()),
                float(best.alpha > 2 * best.error),
                best.alpha,
                best.explained,
                float(control.alignment.mean()),
            )
        )
    ratio, rough, cosine, share, alpha, explained, control_cosine = (
        fmean(column) for column in zip(*rows, strict=True)
    )
    return (
        f"{name:38s} {ratio:6.2f} {rough:6.2f} {cosine:+7.2f} {share:6.2f} {alpha:+9.4f} {explained:6.2f}"
        f" {control_cosine:+8.2f}"
    )


def embedded(model: LatentDiffusion, z: Tensor, embedding: str, tau: float, steps: int = 12) -> Tensor:
    """Points at noise level tau in one of the two embeddings, float64."""
    if embedding == "ridge":
        return model.predict.schedule.level(tau)[0] * z.double()
    condition = model.prompts.along(())(torch.zeros(len(z)))
    return model.lift(z, model.latent_shape(64, 64), condition, tau, steps).double()


def main(count: int) -> None:
    """Print the tables, by kind of motion in the reference condition and over all kinds elsewhere."""
    model = load("clevr-mini", device="cpu")
    z = {}
    for frames in (9, 17, 33, 65):
        u = [k / (frames - 1) for k in range(frames)]
        z[frames] = [model.encode(pictures(KINDS[k % 4], scene(k, KINDS[k % 4]), u)) for k in range(count)]
    print(f"{'condition':38s} L/chord    H     cos   a*>0      a*   expl.  control", flush=True)
    conditions = [
        ("ridge", 0.1, 17, 0.0, 12),
        *(("ridge", 0.1, 17, width, 12) for width in (1.0, 2.0)),
        *(("ridge", 0.1, frames, 0.0, 12) for frames in (9, 33, 65)),
        *(("ridge", 0.1, frames, width, 12) for frames, width in ((33, 2.0), (65, 4.0))),
        *(("ridge", tau, 17, width, 12) for tau in (0.05, 0.2, 0.4, 0.6) for width in (0.0, 1.0)),
        *(("flow", tau, 17, width, 12) for tau in (0.1, 0.4) for width in (0.0, 1.0, 2.0)),
        ("flow", 0.4, 17, 0.0, 40),
        ("flow", 0.1, 17, 0.0, 40),
    ]
    for embedding, tau, frames, width, steps in conditions:
        score = model.score(model.latent_shape(64, 64), tau, model.prompts.along(()))
        films = [embedded(model, one, embedding, tau, steps) for one in z[frames]]
        name = f"{embedding} tau {tau:g}, {frames} frames, denoise {width:g}"
        print(line(name + (f", {steps} steps" if embedding == "flow" else ""), films, score, width), flush=True)
        if (embedding, tau, frames) == ("ridge", 0.1, 17):
            for index, kind in enumerate(KINDS[: len(films)]):
                print(line(f"    {kind}", films[index::4], score, width), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--clips", type=int, default=8)
    main(parser.parse_args().clips)
