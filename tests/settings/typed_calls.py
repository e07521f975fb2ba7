"""What a type checker sees of the options. mypy alone reads this file, and refuses an ignored line without error."""

import numpy as np

import geodesic_cli

made = geodesic_cli.interpolate("a.png", np.zeros((8, 8, 3)), method="slerp", frames=5, progress=False)
made.save("x")
made.to_pil()
made.frames.shape  # noqa: B018
geodesic_cli.toy("moons", a=(0.0, 1.0))

geodesic_cli.interpolate("a.png", "b.png", frmes=5)  # type: ignore[call-arg]
geodesic_cli.interpolate("a.png", "b.png", method="slrp")  # type: ignore[arg-type]
geodesic_cli.invert(3)  # type: ignore[arg-type]
