"""What does not fit into memory is refused with the number that would fit."""

import pytest

from geodesic_cli.errors import InputError
from geodesic_cli.runs.room import frame_bytes, require_room

GB = 10**9


def test_what_fits_is_let_through_and_what_is_far_beyond_is_told_how_many_would_fit() -> None:
    each = frame_bytes(64, 64)
    require_room({"frames": (1000, each), "between": (None, 10**30)}, free=GB)
    require_room({"frames": (GB // each, each)}, free=GB)
    with pytest.raises(InputError, match=r"--frames 99000 needs about 19\.5 GB of memory; 1 GB are free.") as caught:
        require_room({"frames": (99_000, each), "nodes": (17, 10**6)}, free=GB)
    fits = int(str(caught.value).split("At most ")[1].split()[0])
    assert f"pass --frames {fits} or fewer" in str(caught.value)
    require_room({"frames": (fits, each), "nodes": (17, 10**6)}, free=GB)


def test_the_largest_part_is_named_by_its_option() -> None:
    with pytest.raises(InputError, match=r"--pool-size 5000 .* pass --pool-size"):
        require_room({"frames": (10, 1000), "pool_size": (5000, 10**7)}, free=GB)
    with pytest.raises(InputError, match="smaller --size"):
        require_room({"frames": (2, 10**10)}, free=GB)
