"""Whether what is asked for fits into memory: one sentence before the work, with the number that would fit.

An option that counts what is kept at once (frames, nodes, samples) costs so many bytes each. The costs are those that
`verbs.interpolate.plan` tells of; they are what is known beforehand, so only what is far beyond the free memory is
refused, and what is near it is tried.
"""

from collections.abc import Mapping

import psutil

from geodesic_cli.errors import InputError

BEYOND = 1.5
"""So many times the free memory is refused: the rest may be given back by others, or swapped."""
FRAME_COPIES = 4
"""Copies of a frame in float32 at the end of a run: as drawn, in its place, on the sheet, in the film."""
STORED_FRAME = 4096
"""What is left of a frame in memory once it is in its file: names, a position, and a pixel of it on each plot."""
NODE_COPIES = 30
"""Copies of a point in float64 while a path is solved and measured: of what was asked, of the path, of its measure."""


def frame_bytes(height: int, width: int) -> int:
    """What a frame takes in a run."""
    return FRAME_COPIES * 3 * 4 * height * width


def node_bytes(dimension: int) -> int:
    """What a node of a path takes while it is solved."""
    return NODE_COPIES * 8 * dimension


def require_room(counts: Mapping[str, tuple[int | None, int]], free: int | None = None) -> None:
    """Refuse counts that do not fit into memory together.

    Args:
        counts: by the name of the option, how many there will be, and the bytes that each takes; None is not counted.
        free: bytes; None asks the machine.

    Raises:
        InputError: what is needed, what is free, and how many of the largest part would fit.
    """
    there = psutil.virtual_memory().available if free is None else free
    needs = {name: count * each for name, (count, each) in counts.items() if count is not None}
    if not needs or sum(needs.values()) <= BEYOND * there:
        return
    largest = max(needs, key=lambda name: needs[name])
    count, each = counts[largest]
    fits = (there - (sum(needs.values()) - needs[largest])) // max(1, each)
    word = largest.replace("_", "-")
    raise InputError(
        f"--{word} {count} needs about {needs[largest] / 1e9:.3g} GB of memory; {there / 1e9:.2g} GB are free.",
        f"At most {fits} would fit: pass --{word} {fits} or fewer." if fits > 0 else "Pass a smaller --size, too.",
    )
