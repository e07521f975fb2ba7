"""The strip of the README: a straight line between two clean latents above, the geodesic below.

python examples/make_strip.py [examples/images/strip.png]
"""

import sys
from pathlib import Path

import torch

from geodesic_cli.diffusion import load
from geodesic_cli.media import read_image, sheet, write_png
from geodesic_cli.settings import InterpolateSettings
from geodesic_cli.tasks.keyframes import embed
from geodesic_cli.tasks.pacing import even_positions
from geodesic_cli.tasks.paths import Problem, clean, positions

IMAGES = Path(__file__).parent / "images"
FRAMES = 9


def main() -> None:
    """Draw both rows with the defaults of `geodesic interpolate`."""
    files = IMAGES / "blue-cube.png", IMAGES / "yellow-cylinder.png"
    prompts = ("a blue rubber cube", "a yellow rubber cylinder")
    s = InterpolateSettings(images=tuple(map(str, files)))
    model = load(s.model)
    ends = embed(model, torch.stack([read_image(file) for file in files]), prompts, s.tau, s.steps)
    line = torch.lerp(ends.z[0], ends.z[1], positions(FRAMES).to(ends.z)[:, None])
    problem = Problem.between(model, ends, bend=s.bend, alpha=None, nodes=s.nodes, guidance=1.0, seed=s.seed)
    path = problem.geodesic(s.tol, s.max_steps)
    u = even_positions(model, ends, path, FRAMES, s.steps, 1.0)
    rows = [model.decode(z, ends.shape) for z in (line, clean(model, ends, path, u, s.steps, 1.0))]
    target = sys.argv[1] if len(sys.argv) > 1 else str(IMAGES / "strip.png")
    write_png(sheet(rows, ["straight line", "geodesic"]), target)


if __name__ == "__main__":
    main()
