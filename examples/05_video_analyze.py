"""The Python behind `geodesic video-analyze`: what it says of three clips, and what the density exponent changes.

python examples/05_video_analyze.py
"""

from pathlib import Path

import geodesic_cli
from geodesic_cli.diffusion import load

CLIPS = Path(__file__).parent / "clips"


def main() -> None:
    """Judge the sample clips, then one of them under several exponents."""
    model = load("clevr-mini")
    for name in ("ball-rolling", "jump-cut", "there-and-back"):
        print(f"{name}: {geodesic_cli.video_analyze(CLIPS / name, model=model).verdict}\n")

    # The gradient norm is how far a path is from a geodesic: of the clip, and of four others between the same ends.
    for alpha in (0.003, 0.01, 0.03, 0.1):
        found = geodesic_cli.video_analyze(CLIPS / "ball-rolling", model=model, alpha=alpha)
        norms = found.metrics["gradient_norm"]
        print(f"alpha {alpha:g}: " + ", ".join(f"{path} {norm:.3f}" for path, norm in norms.items()))


if __name__ == "__main__":
    main()
