"""What `plots` promises: pictures from plain lists, the same bytes every time, and no trace in Matplotlib's state."""

import errno
import math
import sys
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from PIL import Image

from geodesic_cli import plots
from geodesic_cli.errors import OutputError

U = [i / 8 for i in range(9)]
GEODESIC = {
    "u": U,
    "log_density": [100 - 4 * math.sin(math.pi * u) for u in U],
    "speed": [2 + 0.01 * u for u in U],
    "node_u": U,
    "residual": [0, *(1e-4 * (1 + u) for u in U[1:-1]), 0],
}
STRAIGHT = {
    "u": U,
    "log_density": [100 - 90 * math.sin(math.pi * u) for u in U],
    "speed": [3.0] * 9,
    "node_u": U[1:-1],
    "residual": [0.1 * (1 + u) for u in U[1:-1]],  # without the ends
}
HISTORY = {"score_calls": [9, 18, 27], "residual": [1.0, 0.1, 1e-3], "length": [30.0, 25.0, 24.0]}


def draw_curves(path):
    plots.density_and_speed({"geodesic": GEODESIC, "straight line": STRAIGHT}, path)


def draw_graph(path):
    places = [(math.cos(k), math.sin(2 * k)) for k in range(12)]
    links = [(k, k + 1) for k in range(11)]
    plots.graph_in_plane(
        places, links, [-float(k) for k in range(12)], places[3:6], {"great circle": ("slerp", places[:3])}, path
    )


def draw_history(path):
    plots.length_history({"ours": HISTORY, "gradient flow": {**HISTORY, "length": [31.0, 30.0, 29.0]}}, path)


both = pytest.mark.parametrize("draw", [draw_curves, draw_history])
every = pytest.mark.parametrize("draw", [draw_curves, draw_graph, draw_history])


@every
def test_drawing_twice_gives_identical_bytes_and_leaves_nothing_else(tmp_path, draw):
    draw(tmp_path / "a.png")
    draw(tmp_path / "b.png")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert len(list(tmp_path.iterdir())) == 2
    with Image.open(tmp_path / "a.png") as image:
        assert image.info["dpi"] == pytest.approx((150, 150), abs=0.1)
        assert "Software" not in image.info


@both
def test_every_method_has_its_colour_on_a_white_ground(tmp_path, draw):
    draw(tmp_path / "a.png")
    pixels = np.asarray(Image.open(tmp_path / "a.png").convert("RGB")).reshape(-1, 3)
    assert (pixels[0] == 255).all()
    for colour in plots.LINE_COLOURS[:2]:
        rgb = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
        assert (np.abs(pixels.astype(int) - rgb).max(1) <= 2).sum() > 100
    assert len(set(plots.LINE_COLOURS)) == 7


@every
def test_the_users_matplotlibrc_changes_nothing_and_is_left_as_it_was(tmp_path, draw):
    draw(tmp_path / "a.png")
    with matplotlib.rc_context(
        {"lines.linewidth": 9, "font.size": 30, "text.color": "white", "figure.facecolor": "black"}
    ):
        before = dict(matplotlib.rcParams)
        draw(tmp_path / "b.png")
        assert dict(matplotlib.rcParams) == before
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


@both
def test_pyplot_is_not_imported(tmp_path, draw, monkeypatch):
    monkeypatch.delitem(sys.modules, "matplotlib.pyplot", raising=False)
    draw(tmp_path / "a.png")
    assert "matplotlib.pyplot" not in sys.modules


def test_density_and_pace_do_not_depend_on_their_constants(tmp_path):
    shifted = {
        **GEODESIC,
        "log_density": [value + 64 for value in GEODESIC["log_density"]],
        "speed": [value * 4 for value in GEODESIC["speed"]],
    }
    plots.density_and_speed({"a": GEODESIC}, tmp_path / "a.png")
    plots.density_and_speed({"a": shifted}, tmp_path / "b.png")
    a, b = (np.asarray(Image.open(tmp_path / name)).astype(int) for name in ("a.png", "b.png"))
    assert np.abs(a - b).max() <= 2


@pytest.mark.parametrize("value", [0.0, math.nan, math.inf])
def test_degenerate_numbers_are_drawn_without_a_warning(tmp_path, value):
    flat = {"u": U, "log_density": [value] * 9, "speed": [value] * 9, "node_u": U, "residual": [value] * 9}
    plots.density_and_speed({"_flat": flat, "geodesic": GEODESIC}, tmp_path / "a.png")
    plots.density_and_speed({"flat": flat}, tmp_path / "b.png")
    plots.length_history({"flat": {key: [value] for key in HISTORY}}, tmp_path / "c.png")
    plots.length_history({}, tmp_path / "d.png")
    assert len(list(tmp_path.iterdir())) == 4


def test_many_methods_and_many_nodes_still_fit(tmp_path):
    u = [i / 200 for i in range(201)]
    curves = {
        f"method {i}": {
            "u": u,
            "log_density": [i * x for x in u],
            "speed": [1.0] * 201,
            "node_u": u,
            "residual": [10.0**-i] * 201,
        }
        for i in range(9)
    }
    plots.density_and_speed(curves, tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as image:
        assert image.width > 1500


@both
def test_a_full_disk_gives_one_sentence_and_leaves_the_old_file(tmp_path, monkeypatch, draw):
    def no_space(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    path = tmp_path / "a.png"
    path.write_text("old")
    monkeypatch.setattr(Path, "replace", no_space)
    with pytest.raises(OutputError) as caught:
        draw(path)
    assert str(caught.value) == f"{path} cannot be written (No space left on device). Choose another place."
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_a_missing_folder_gives_one_sentence(tmp_path):
    with pytest.raises(OutputError, match=r"cannot be written \(No such file or directory\)\. Choose another place\.$"):
        draw_curves(tmp_path / "missing" / "a.png")


AXIS = np.linspace(-3, 3, 41)
PLANE = plots.Plane(
    AXIS,
    AXIS[::2],
    -(AXIS[None, :] ** 2 + AXIS[::2, None] ** 2),
    np.array([[1.0, 1.0, -2.0, -2.0], [0.0, 0.0, 0.0, 0.0]]),
    np.array([[-2.0, 0.0], [2.0, 0.0]]),
    np.array([[0.5, 0.5]]),
)
LINE = np.stack([np.linspace(-2, 2, 9), np.zeros(9)], 1)
ARCH = LINE + np.stack([np.zeros(9), np.sin(np.linspace(0, np.pi, 9))], 1)
PROFILE = np.linspace(0, 1, 9), -np.sin(np.linspace(0, np.pi, 9))


def draw_plane(path):
    profiles = {"straight line": PROFILE, "geodesic": PROFILE}
    plots.map_and_profile(PLANE, LINE, ARCH, [-ARCH], profiles, "A hill", path)


def draw_evolution(path):
    plots.evolution(PROFILE[0], np.stack([PROFILE[1], PROFILE[1] / 2]), [5, 9], [1.0, 0.5], path)


@pytest.mark.parametrize("draw", [draw_plane, draw_evolution])
def test_pictures_of_the_plane_are_the_same_bytes_every_time(tmp_path, draw, monkeypatch):
    monkeypatch.delitem(sys.modules, "matplotlib.pyplot", raising=False)
    draw(tmp_path / "a.png")
    with matplotlib.rc_context({"lines.linewidth": 9, "font.size": 30}):
        draw(tmp_path / "b.png")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert "matplotlib.pyplot" not in sys.modules


def test_the_map_shows_the_geodesic_the_rays_and_the_straight_line(tmp_path):
    draw_plane(tmp_path / "a.png")
    pixels = np.asarray(Image.open(tmp_path / "a.png").convert("RGB")).reshape(-1, 3).astype(int)
    for colour in (plots.LINE_COLOURS[1], plots.LINE_COLOURS[2], "#000000"):
        rgb = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
        assert (np.abs(pixels - rgb).max(1) <= 25).sum() > 50, colour


@pytest.mark.parametrize("lengths", [[1.0], [math.inf, math.inf], [1.0, 1e-9], [0.0, 0.0]])
def test_the_evolution_of_few_steps_or_of_odd_lengths_is_drawn_without_a_warning(tmp_path, lengths):
    changes = np.stack([PROFILE[1]] * len(lengths))
    plots.evolution(PROFILE[0], changes, [7] * len(lengths), lengths, tmp_path / "a.png")
    assert (tmp_path / "a.png").is_file()


def test_a_film_has_a_frame_for_each_path_and_only_the_path_moves():
    frames = plots.film(PLANE, LINE, [LINE, ARCH, ARCH], ["one", "two", "two"])
    assert frames.dtype == np.uint8 and frames.shape[0] == 3 and frames.shape[-1] == 3
    assert (frames[1] == frames[2]).all()
    moved = (frames[0] != frames[1]).any(-1)
    assert 0 < moved.mean() < 0.2
