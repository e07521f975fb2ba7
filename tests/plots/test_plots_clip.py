"""The picture of a clip's analysis: from rows with gaps, the same bytes every time."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from geodesic_cli.errors import OutputError
from geodesic_cli.plots import clip_analysis

PATHS = ("optimised", "perturbed", "smoothed", "straight")


NAMES = {"clip": "the clip", "optimised": "local geodesic", "smoothed": "clip smoothed"}


def rows(count: int, missing: tuple[str, ...] = ()) -> list[dict[str, float | int | None]]:
    return [
        {
            "frame": k,
            "gradient": None if k in (0, count - 1) else 0.1 + 0.01 * k,
            **{
                f"gradient_{name}": None if k in (0, count - 1) or name in missing else 0.2 + index
                for index, name in enumerate(PATHS)
            },
            "curvature_term": 0.1,
            "score_term": 0.05 * k,
            "log_density": -1.0 * k,
            "segment_score": None if k == 0 else 0.5 + (k == 4),
        }
        for k in range(count)
    ]


def test_the_same_rows_give_the_same_bytes_and_a_picture(tmp_path: Path) -> None:
    mark = (3, 4, "it jumps between frames 3 and 4")
    for name in ("a.png", "b.png"):
        clip_analysis(rows(9), NAMES, mark, tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.size[0] > 1500
    clip_analysis(rows(9), NAMES, None, tmp_path / "c.png")
    assert (tmp_path / "a.png").read_bytes() != (tmp_path / "c.png").read_bytes()


@pytest.mark.parametrize("count", [3, 300])
def test_paths_may_be_missing_and_clips_short_or_long(count: int, tmp_path: Path) -> None:
    clip_analysis(rows(count, ("optimised", "straight")), NAMES, (1, 2, "here"), tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as picture:
        assert np.asarray(picture).std() > 5


def test_a_place_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot be written"):
        clip_analysis(rows(5), NAMES, None, tmp_path / "absent" / "a.png")
