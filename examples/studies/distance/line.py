"""Twelve scenes of one object along a line: does the distance know their order, and is the mean the one in the middle?

    python examples/studies/distance/line.py --out runs/line

Everything is made by the two verbs with their defaults. What is counted: pairs of neighbouring distances in one row of
the matrix that are in the wrong order, for the geodesic distance and for the distance in the same latents; and how far
the mean, and the average of the latents, lie from the middle of the line, by the ray tracer that fits a scene to them.
A run that was stopped goes on where it was.
"""

import argparse
import json
from pathlib import Path

import torch

from geodesic_cli import media
from geodesic_cli.runs.job import Job
from geodesic_cli.runs.observer import Silent
from geodesic_cli.scenes import Scene, Solid, fit_all, render
from geodesic_cli.settings import DistanceSettings, MeanSettings
from geodesic_cli.verbs.distance.run import run as measure
from geodesic_cli.verbs.mean.run import run as find_mean

ENDS = (-1.2, 1.2)
DEPTH = 0.1


def wrong(distances: torch.Tensor) -> int:
    """How often a distance falls though the scene is farther away."""
    n = len(distances)
    right = sum(int(distances[i, j + 1] <= distances[i, j]) for i in range(n) for j in range(i, n - 1))
    left = sum(int(distances[i, j - 1] <= distances[i, j]) for i in range(n) for j in range(1, i + 1))
    return right + left


def main() -> None:
    """Run both verbs, and count."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/line"), help="Folder of the study.")
    parser.add_argument("--scenes", type=int, default=12, help="How many.")
    parser.add_argument("--bend", type=float, default=4.0, help="Of both verbs.")
    parser.add_argument("--tau", type=float, default=0.1, help="Of both verbs.")
    asked = parser.parse_args()

    places = torch.linspace(*ENDS, asked.scenes).tolist()
    frames = asked.out / "frames"
    frames.mkdir(parents=True, exist_ok=True)
    for k, x in enumerate(places):
        picture = render([Scene((Solid("sphere", "red", x=x, y=DEPTH),))])[0]
        media.write_png(picture, frames / f"{k:02d}.png")
    same = {"images": (str(frames),), "bend": asked.bend, "tau": asked.tau, "device": "cpu", "resume": True}
    found = measure(Job(DistanceSettings(**same, out=str(asked.out / "distance")), Silent(), command="line.py"))
    middle = find_mean(Job(MeanSettings(**same, out=str(asked.out / "mean")), Silent(), command="line.py"))

    fits = fit_all(torch.stack([middle.image, middle.average]))
    aim = sum(places) / len(places)
    report = {
        "comparisons": asked.scenes * (asked.scenes - 1),
        "wrong": {"geodesic": wrong(found.distances), "latents": wrong(found.euclidean)},
        "share_of_the_first_two_axes": {"geodesic": found.share, "latents": found.metrics["plane"]["euclidean_share"]},
        "not_converged": len(found.metrics["not_converged"]),
        "largest_spread": float(found.spreads.max()),
        "mismatch_nats": found.metrics["mismatch"],
        "evaluations": found.metrics["evaluations"],
        "mean": {
            name: {
                "x_off": [solid.x - aim for solid in one.scene.solids],
                "y_off": [solid.y - DEPTH for solid in one.scene.solids],
                "fit_error": one.error,
            }
            for name, one in zip(("geodesic", "average"), fits, strict=True)
        },
        "mean_status": middle.status,
        "mean_evaluations": middle.metrics["evaluations"],
    }
    (asked.out / "line.json").write_text(json.dumps(report, indent=2) + "\n")
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
