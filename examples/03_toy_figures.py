"""The method in the plane: a ring, a banana and two moons, with the geodesic, the rays and the way to the solution.

python examples/03_toy_figures.py [folder]
"""

import sys
from pathlib import Path

import geodesic_cli
from geodesic_cli import media


def main() -> None:
    """Draw three pictures for each density, and say what the path costs."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "toy-figures")
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("ring", "banana", "moons"):
        result = geodesic_cli.toy(name)
        straight, geodesic = (result.metrics["paths"][path] for path in ("straight", "geodesic"))
        print(
            f"{name}: length {geodesic['length']:.3g} against {straight['length']:.3g} of the straight line, "
            f"least log p {geodesic['min_log_density']:+.2f} against {straight['min_log_density']:+.2f}; "
            f"{result.solution.score_calls} score evaluations: {result.status}"
        )
        result.draw(folder / f"{name}.png")
        result.draw_evolution(folder / f"{name}-evolution.png")
        media.write_gif(result.film(), folder / f"{name}-evolution.gif", fps=12)


if __name__ == "__main__":
    main()
