"""The Python behind `geodesic interpolate`, in one call and in its parts.

python examples/02_interpolate.py [sheet.png]
"""

import sys
from pathlib import Path

import torch

import geodesic_cli
from geodesic_cli.diffusion import Conditioning, Embedding, load
from geodesic_cli.geometry import Curve, DensityMetric, RadialProfile, Sphere, bending, perturb, solve_bvp
from geodesic_cli.media import read_image, sheet, write_png

IMAGES = Path(__file__).parent / "images"
TAU, STEPS = 0.6, 12


def main() -> None:
    """Interpolate twice: with the one call, and step by step with every intermediate in hand."""
    a, b = IMAGES / "blue-cube.png", IMAGES / "yellow-cylinder.png"
    prompts = ("a blue rubber cube", "a yellow rubber cylinder")
    model = load("clevr-mini", device="cpu")

    result = geodesic_cli.interpolate(a, b, model=model, prompt=prompts, frames=9)
    print(f"In one call: {result.status} length {result.report.length:.2f}, {len(result.frames)} frames")

    # The same in parts. Images to points x at noise level tau: encode, then follow the probability flow up.
    images = torch.stack([read_image(a), read_image(b)])
    shape = model.latent_shape(*images.shape[2:])
    words = Embedding.cat([model.prompts.embed(prompt) for prompt in prompts])
    x = model.lift(model.encode(images), shape, words, TAU, STEPS).double()

    # The two points have norms of their own: the path is solved on a sphere, and given its norm afterwards.
    conditioning = Conditioning(words[0], words[1])
    profile = RadialProfile(float(x[0].norm()), float(x[1].norm()))
    space = Sphere(profile.radius)
    y = profile.lower(x, torch.tensor([0.0, 1.0], dtype=x.dtype))
    score = profile.score(model.score(shape, TAU, conditioning))
    circle = Curve.straight(y[0], y[1], 17, space)
    unit = bending(score, circle, score(circle.x, circle.u))  # what alpha = 1 would bend

    rows, u = [], torch.linspace(0, 1, 9, dtype=x.dtype)
    for bend in (0.0, 1.0, 4.0):
        metric = DensityMetric(score, bend / unit, space)
        guess = perturb(circle, 1e-3, torch.Generator().manual_seed(0))
        solution = solve_bvp(metric, guess, tol=0.03, max_steps=40)
        print(f"bend {bend}: alpha {metric.alpha:.4g}, {solution.score_calls} evaluations: {solution.status.value}")
        # Down the probability flow again, and through the decoder.
        z = model.drop(profile.lift(solution.curve(u), u), shape, conditioning(u), TAU, STEPS)
        rows.append(model.decode(z, shape))
    target = sys.argv[1] if len(sys.argv) > 1 else "bends.png"
    write_png(sheet(rows, ["bend 0", "bend 1", "bend 4"]), target)


if __name__ == "__main__":
    main()
