"""The Python behind `geodesic interpolate`, in one call and in its parts.

python examples/02_interpolate.py [sheet.png]
"""

import sys
from pathlib import Path

import torch

from geodesic_cli.diffusion import load
from geodesic_cli.frames.keyframes import embed
from geodesic_cli.frames.paths import Problem, clean_latents, positions
from geodesic_cli.media import read_image, sheet, write_png
from geodesic_cli.verbs.interpolate.run import interpolate

IMAGES = Path(__file__).parent / "images"


def main() -> None:
    """Interpolate twice: with the one call, and step by step with every intermediate in hand."""
    a, b = IMAGES / "blue-cube.png", IMAGES / "yellow-cylinder.png"
    prompts = ("a blue rubber cube", "a yellow rubber cylinder")
    model = load("clevr-mini")

    result = interpolate(a, b, model=model, prompt=prompts, frames=9)
    print(f"In one call: {result.status} length {result.report.length:.2f}, {len(result.frames)} frames")

    # The same in parts: images -> points x at noise level tau -> a path -> images.
    images = torch.stack([read_image(a), read_image(b)])
    ends = embed(model, images, prompts, tau=0.6, steps=12)
    rows = []
    for bend in (0.0, 1.0, 4.0):
        problem = Problem.between(model, ends, bend=bend, alpha=None, nodes=17, guidance=1.0, seed=0)
        path = problem.geodesic("surrogate", tol=0.03, max_steps=40)
        density = problem.measure(path).mean_log_density
        assert path.solution is not None  # a geodesic was solved for
        print(f"bend {bend}: alpha {path.alpha:.4g}, mean log p {density:+.1f} nats: {path.solution.status.value}")
        rows.append(model.decode(clean_latents(model, ends, path, positions(9), 12, 1.0), ends.shape))
    target = sys.argv[1] if len(sys.argv) > 1 else "bends.png"
    write_png(sheet(rows, ["bend 0", "bend 1", "bend 4"]), target)


if __name__ == "__main__":
    main()
