"""Let a sequence go on: python examples/04_extrapolate.py [FOLDER]

Eight frames of a rolling ball, the four after them and, for comparison, what a straight line would give. The prompt
keeps the ball red: nothing else in the density says that a thing keeps its colour.
"""

import sys
from pathlib import Path

import geodesic_cli
from geodesic_cli.diffusion import load
from geodesic_cli.media import read_sequence, sheet, write_gif, write_png

CLIPS = Path(__file__).parent / "clips"


def main(folder: str = "extrapolated") -> None:
    """Write sheet.png and ball.gif, and say how likely the new frames are."""
    out = Path(folder)
    out.mkdir(parents=True, exist_ok=True)
    model = load("clevr-mini")
    clip = read_sequence(CLIPS / "ball-rolling", stop=8)

    ray = geodesic_cli.extrapolate(clip.frames, model=model, frames=4, prompt="a red rubber sphere")
    straight = geodesic_cli.extrapolate(clip.frames, model=model, frames=4, guide=0.0, max_drop=1e9)

    for name, result in (("ray", ray), ("straight", straight)):
        after = result.metrics["rays"]["after"]
        print(f"{name}: log p {', '.join(f'{value:+.0f}' for value in after['log_density'])}; {result.status}")
    truth = read_sequence(CLIPS / "ball-rolling").frames
    rows = {"truth": truth, "ray": ray.frames, "straight": straight.frames}
    write_png(sheet([row[4:12] for row in rows.values()], list(rows)), out / "sheet.png")
    write_gif(ray.frames, out / "ball.gif", 8)


if __name__ == "__main__":
    main(*sys.argv[1:])
