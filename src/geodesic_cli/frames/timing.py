"""Which frame each keyframe is: exact counts, each keyframe a frame of its own."""

from collections.abc import Sequence

from geodesic_cli.errors import InputError


def frame_numbers(shares: Sequence[float], frames: int, loop: bool = False) -> tuple[int, ...]:
    """The numbers of the frames at which the legs of a path begin, and that at which the last one ends.

    Args:
        shares: of each leg, positive; in proportion to them the steps between frames are dealt out, at least 1 a leg.
        frames: how many there are in all.
        loop: whether the last leg ends at the first frame again; its number is then ``frames``, one past the last.

    Raises:
        InputError: fewer frames than keyframes.
    """
    steps, legs = frames - (not loop), len(shares)
    if steps < legs:
        raise InputError(
            f"Every keyframe is a frame: {legs + (not loop)} keyframes need as many frames; got --frames {frames}.",
            f"Pass --frames {legs + (not loop)} or more, or --between 0.",
        )
    total, numbers, done = sum(shares), [0], 0.0
    for leg, share in enumerate(shares, 1):
        done += share
        numbers.append(max(numbers[-1] + 1, min(round(steps * done / total), steps - legs + leg)))
    return tuple(numbers)
