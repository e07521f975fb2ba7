"""The Python behind `geodesic video-analyze`: one call, and the comparison that it is made of.

python examples/05_video_analyze.py
"""

from pathlib import Path

import torch

from geodesic_cli.diffusion import load
from geodesic_cli.geometry.clips.rivals import RivalChoice, compare
from geodesic_cli.media import read_sequence
from geodesic_cli.verbs.video_analyze.run import video_analyze

CLIPS = Path(__file__).parent / "clips"


def main() -> None:
    """Judge the sample clips, then take one of them apart."""
    model = load("clevr-mini")
    for name in ("ball-rolling", "jump-cut", "there-and-back"):
        print(f"{name}: {video_analyze(CLIPS / name, model=model).verdict}\n")

    # The same in parts: frames -> points x on the ridge of the density at noise level tau -> five paths.
    frames = read_sequence(CLIPS / "ball-rolling").frames
    tau = 0.1
    signal = model.predict.schedule.level(tau)[0]
    x = signal * model.encode(frames).double()
    score = model.score(model.latent_shape(*frames.shape[2:]), tau, model.prompts.along(()))
    u = torch.linspace(0, 1, len(x), dtype=x.dtype)
    for alpha in (0.003, 0.01, 0.03, 0.1):
        found = compare(score, x, u, RivalChoice(alpha))
        assert found.optimised and found.perturbed and found.smoothed and found.straight  # all were asked for
        perturbed = sum(one.mean_gradient for one in found.perturbed) / len(found.perturbed)
        print(
            f"alpha {alpha:g}: gradient norm {found.clip.mean_gradient:.3f}, optimised "
            f"{found.optimised.mean_gradient:.3f}, perturbed {perturbed:.3f}, smoothed "
            f"{found.smoothed.mean_gradient:.3f}, straight {found.straight.mean_gradient:.3f}"
        )


if __name__ == "__main__":
    main()
