"""The pictures of distances."""

import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from geodesic_cli.plots import distance_maps, images_in_plane


@pytest.mark.parametrize("n", [2, 12, 60])
def test_matrices_of_any_size_are_drawn_to_the_same_bytes(n: int, tmp_path: Path) -> None:
    rows = [[float(abs(i - j)) for j in range(n)] for i in range(n)]
    for name in ("a.png", "b.png"):
        distance_maps({"one": rows, "other": rows}, [(0, 1)], tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_a_frame_marks_what_did_not_converge(tmp_path: Path) -> None:
    rows = [[0.0, 1.0], [1.0, 0.0]]
    distance_maps({"one": rows}, [], tmp_path / "plain.png")
    distance_maps({"one": rows}, [(0, 1)], tmp_path / "marked.png")
    assert (tmp_path / "plain.png").read_bytes() != (tmp_path / "marked.png").read_bytes()


def test_distances_that_are_not_known_and_images_without_a_place_are_left_out(tmp_path: Path) -> None:
    distance_maps({"one": [[0.0, math.nan], [math.nan, 0.0]]}, [], tmp_path / "map.png")
    images = np.random.default_rng(0).random((3, 8, 8, 3)).tolist()
    images_in_plane({"one": [(0.0, 0.0), (1.0, 0.5), (math.nan, math.nan)]}, images, tmp_path / "plane.png")
    with Image.open(tmp_path / "plane.png") as picture:
        assert picture.width > 600


def test_all_images_in_one_place_are_drawn(tmp_path: Path) -> None:
    images_in_plane({"one": [(0.0, 0.0), (0.0, 0.0)]}, np.zeros((2, 8, 8, 3)).tolist(), tmp_path / "plane.png")
    assert (tmp_path / "plane.png").is_file()
