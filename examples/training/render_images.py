"""Render the sample images, `examples/images`: python examples/training/render_images.py"""

from pathlib import Path

from geodesic_cli.media import write_png
from geodesic_cli.scenes import Scene, Solid, render

SAMPLES = {
    "red-ball-left": Solid("sphere", "red", "rubber", x=-1.1, y=0.2, size=0.7),
    "red-ball-right": Solid("sphere", "red", "rubber", x=1.1, y=0.2, size=0.7),
    "blue-cube": Solid("cube", "blue", "rubber", x=-0.7, y=0.0, size=0.75, rotation=0.5),
    "yellow-cylinder": Solid("cylinder", "yellow", "rubber", x=0.7, y=-0.1, size=0.75),
    "green-metal-ball": Solid("sphere", "green", "metal", x=0.2, y=-0.6, size=0.8),
}


def main() -> None:
    """Write one 64 x 64 PNG for each sample, and the scene as its metadata."""
    folder = Path(__file__).parents[1] / "images"
    folder.mkdir(exist_ok=True)
    for name, solid in SAMPLES.items():
        scene = Scene((solid,))
        write_png(render([scene])[0], folder / f"{name}.png", {"caption": scene.caption})


if __name__ == "__main__":
    main()
