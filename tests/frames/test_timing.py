"""Exact counts: every keyframe is a frame, and no frame is lost or doubled."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geodesic_cli.errors import InputError
from geodesic_cli.frames.pacing import frame_numbers


@given(st.lists(st.floats(0.01, 100), min_size=1, max_size=8), st.integers(0, 60), st.booleans())
def test_keyframes_are_distinct_frames_from_the_first_to_the_last(shares: list[float], more: int, loop: bool) -> None:
    frames = len(shares) + (not loop) + more
    numbers = frame_numbers(shares, frames, loop)
    assert len(numbers) == len(shares) + 1
    assert numbers[0] == 0
    assert numbers[-1] == frames - (not loop)
    assert all(after > before for before, after in pairwise(numbers))


def test_steps_are_dealt_out_in_proportion() -> None:
    assert frame_numbers((2.0, 1.0, 1.0), 41) == (0, 20, 30, 40)
    assert frame_numbers((1.0, 1.0), 8, loop=True) == (0, 4, 8)


def test_fewer_frames_than_keyframes_are_refused_with_the_number_needed() -> None:
    with pytest.raises(InputError, match="4 keyframes need as many frames; got --frames 3") as refused:
        frame_numbers((1.0, 1.0, 1.0), 3)
    assert "--frames 4" in refused.value.hint
