"""The truth of rendered scenes: a ray tracer fits a scene to every frame, and the solid is followed.

No network judges. The fit error of an inner frame is 0 for a perfect scene; above UNEXPLAINED no scene explains it.
Where the same solid stands at both ends, its rendered motion is the straight way from one place to the other at an even
pace, and `fit_off` is how far the fitted solid is from there, in world units.
"""

import hashlib
import math
from itertools import pairwise

from torch import Tensor

from geodesic_cli.scenes import Fit, Solid, fit_all

UNEXPLAINED = 0.5
"""Of the root of the share of a solid's energy that the best scene leaves."""
STAYED = 0.05
"""World units below which a solid has no way to measure a step by."""


def truth_numbers(frames: Tensor, known: dict[bytes, Fit]) -> dict[str, float]:
    """The numbers of a sequence (n, 3, h, w) of scenes of one solid.

    Args:
        frames: of the sequence.
        known: the fits of frames that were seen before; all of these are added. A fit depends on its frame alone.
    """
    digests = [hashlib.sha256(frame.contiguous().numpy().tobytes()).digest() for frame in frames]
    new = [k for k, digest in enumerate(digests) if digest not in known]
    known |= dict(zip([digests[k] for k in new], fit_all(frames[new]) if new else [], strict=True))
    fits = [known[digest] for digest in digests]
    errors = [fit.error for fit in fits[1:-1]]
    found = {
        "fit_error": sum(errors) / len(errors),
        "fit_unexplained": sum(error > UNEXPLAINED for error in errors) / len(errors),
    }
    solids = [fit.scene.solids[0] for fit in fits if fit.scene.solids]
    if len(solids) < len(fits):
        return found
    first, last = solids[0], solids[-1]
    way = _apart(first, last)
    if way > STAYED:
        found["fit_jump"] = max(_apart(a, b) for a, b in pairwise(solids)) / way
    if (first.shape, first.colour, first.material) == (last.shape, last.colour, last.material):
        u = [k / (len(solids) - 1) for k in range(len(solids))]
        off = [
            math.hypot(s.x - (first.x + at * (last.x - first.x)), s.y - (first.y + at * (last.y - first.y)))
            for s, at in zip(solids, u, strict=True)
        ]
        found["fit_off"] = sum(off[1:-1]) / len(off[1:-1])
    return found


def _apart(a: Solid, b: Solid) -> float:
    return math.hypot(a.x - b.x, a.y - b.y)
