"""A size that no machine has room for is refused before anything is read, with one that would do."""

import re

import pytest

from geodesic_cli.diffusion import LatentDiffusion, room
from geodesic_cli.diffusion.room import require_size
from geodesic_cli.errors import InputError


def test_a_size_beyond_memory_is_told_one_that_fits(model: LatentDiffusion, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "free_memory", lambda device: 4 * 10**9)
    require_size(model.codec, model.predict, 512, 512)
    with pytest.raises(InputError, match=r"need about .* GB of memory on cpu; 4 GB are free") as caught:
        require_size(model.codec, model.predict, 32_768, 16_384)
    found = re.search(r"--size (\d+)x(\d+)", str(caught.value))
    assert found is not None
    width, height = int(found[1]), int(found[2])
    assert height == pytest.approx(2 * width, rel=0.05) and not width % model.codec.step
    require_size(model.codec, model.predict, height, width)
