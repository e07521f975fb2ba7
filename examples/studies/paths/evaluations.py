"""What a local path costs, stage by stage, and how far the frames are from exact ones.

    python examples/studies/paths/evaluations.py [--pairs 50] [--frames 17] [--bend 4]

The pairs are those of `shared.py`, each under its captions. Frames are drawn in as few steps as `steps_down` says, and
again in 12 and in 32 steps from the same points of the path; their differences from the last are given in dB.
"""

import argparse
import statistics
import sys
from pathlib import Path

import torch

import geodesic_cli
from geodesic_cli.diffusion import load
from geodesic_cli.evaluation import psnr
from geodesic_cli.frames.keyframes import embed
from geodesic_cli.frames.paths import clean_latents
from geodesic_cli.scenes import render

sys.path.append(str(Path(__file__).parents[1]))  # where shared.py is
from shared import make_pairs


def main() -> None:
    """A line a pair, then the means."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=50)
    parser.add_argument("--frames", type=int, default=17)
    parser.add_argument("--bend", type=float, default=4.0)
    options = parser.parse_args()
    model = load("clevr-mini")
    costs: dict[str, list[int]] = {}
    near: dict[str, list[float]] = {}
    for number, pair in enumerate(make_pairs(options.pairs)):
        images, prompts = render(list(pair)), tuple(scene.caption for scene in pair)
        made = geodesic_cli.interpolate(*images, model=model, prompt=prompts, bend=options.bend, frames=options.frames)
        ends = embed(model, images, prompts, made.metrics["tau"], 12)
        again = {
            steps: model.decode(clean_latents(model, ends, made.path, made.u, steps, 1.0), ends.shape).cpu().double()
            for steps in (12, 32)
        }
        for name, frames in (("as few as needed", made.frames.double()), ("12 steps", again[12])):
            near.setdefault(name, []).extend(psnr(frames[1:-1], again[32][1:-1]).tolist())
        spent = made.metrics["evaluations"] | {"all": sum(made.metrics["evaluations"].values())}
        for stage, count in spent.items():
            costs.setdefault(stage, []).append(count)
        print(f"{number}: {spent}, {made.metrics['steps_down']} steps a frame", flush=True)
    for stage, counts in costs.items():
        print(
            f"{stage}: mean {statistics.mean(counts):.0f}, median {statistics.median(counts):.0f}, most {max(counts)}"
        )
    for name, values in near.items():
        low = torch.tensor(values).quantile(0.05)
        told = f"median {statistics.median(values):.0f} dB, 5% below {low:.0f} dB, least {min(values):.0f} dB"
        print(f"frames in {name}, against 32 steps: {told}")


if __name__ == "__main__":
    main()
