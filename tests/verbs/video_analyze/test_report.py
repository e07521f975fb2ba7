"""Windows put together: every frame is judged, nothing is counted twice, and the worst segment is the one that is."""

import json
import math
from dataclasses import asdict

import pytest
import torch
from torch import Tensor

from geodesic_cli.geometry.clips.rivals import RivalChoice, compare
from geodesic_cli.geometry.clips.sequence import roughness
from geodesic_cli.verbs.video_analyze.report import ClipReport, csv_of, report_metrics, report_on
from geodesic_cli.verbs.video_analyze.windows import Window, cut
from helpers import normal

CHOICE = RivalChoice(alpha=0.05, draws=2, orders=19, max_steps=3)


def gaussian(x: Tensor, u: Tensor) -> Tensor:
    return -(x - 60 - torch.arange(10, dtype=x.dtype)) / 4


def arc(positions: list[float]) -> Tensor:
    """A bent path in ten dimensions, so far from the origin that its norm hardly changes, at positions along it."""
    u = torch.tensor(positions, dtype=torch.float64)[:, None]
    return 60 + torch.cat([3 * u, torch.sin(2 * u), 0.2 * torch.cos(5 * u).expand(-1, 8) * normal(1, 8)], dim=1)


def even(count: int) -> list[float]:
    return [k / (count - 1) for k in range(count)]


def reported(x: Tensor, window: int = 100, overlap: int = 3, kept: list[int] | None = None) -> ClipReport:
    frames = list(range(len(x))) if kept is None else kept
    u = torch.linspace(0, 1, len(x), dtype=x.dtype)
    windows = []
    for piece in cut(len(frames), window, overlap):
        rows = [frames[k] for k in piece]
        windows.append(Window.of(rows, compare(gaussian, x[rows], u[rows], CHOICE)))
    return report_on(windows, CHOICE.alpha, len(x), [k / 10 for k in range(len(x))], roughness(x[frames]))


@pytest.mark.parametrize(("count", "window", "overlap"), [(5, 9, 2), (9, 9, 2), (10, 9, 2), (100, 17, 5), (31, 7, 5)])
def test_windows_cover_all_frames_and_every_inner_frame_is_inside_one(count: int, window: int, overlap: int) -> None:
    pieces = cut(count, window, overlap)
    assert {len(piece) for piece in pieces} == {min(count, window)}
    inner = {frame for piece in pieces for frame in list(piece)[1:-1]}
    assert inner == set(range(1, count - 1))
    assert pieces[0][0] == 0
    assert pieces[-1][-1] == count - 1


@pytest.mark.parametrize("first", [0, 1, 5, 13, 14])
@pytest.mark.parametrize("window", [100, 7])
def test_a_jump_is_found_wherever_it_is(first: int, window: int) -> None:
    u = even(24)
    found = reported(arc(u[: first + 1] + u[first + 9 :]), window)
    assert found.event.kind == "jump"
    assert (found.event.first, found.event.last) == (first, first + 1)
    assert found.event.speed > 5
    assert f"jumps between frames {first} and {first + 1}" in found.verdict
    assert found.grade == "not a geodesic"


def test_a_turn_back_is_found_at_its_frame() -> None:
    u = even(9)
    found = reported(arc(u + u[5:-1][::-1]))
    assert found.event.kind == "turn back"
    assert found.event.frame == 8
    assert "turns back at frame 8, by 180 degrees" in found.verdict


def test_smooth_motion_has_no_event_whatever_the_window() -> None:
    for window in (100, 7):
        found = reported(arc(even(19)), window)
        assert found.event.kind == "bend"
        assert "though not much more than elsewhere" in found.verdict


def test_numbers_of_a_frame_do_not_depend_on_the_windows() -> None:
    whole, parts = reported(arc(even(19))), reported(arc(even(19)), 9, 4)
    for one, other in zip(whole.rows, parts.rows, strict=True):
        assert one["step"] == pytest.approx(other["step"], rel=0.02) if one["step"] else other["step"] is None
        assert one["log_density"] == pytest.approx(other["log_density"], abs=1e-9)
        for column in ("turn_degrees", "curvature_term", "alignment"):
            assert (one[column] is None) == (other[column] is None) == (one["frame"] in (0, 18))
            if one[column] is not None:
                assert one[column] == pytest.approx(other[column], rel=0.05, abs=0.02)
    assert whole.best.alpha == pytest.approx(parts.best.alpha, rel=0.05)


def test_repeated_frames_are_in_the_table_and_on_no_path() -> None:
    u = even(12)
    x = arc(u[:4] + [u[3]] * 3 + u[4:])
    found = reported(x, kept=[0, 1, 2, 3, *range(7, 15)])
    assert [row["moves"] for row in found.rows] == [1, 1, 1, 1, 0, 0, 0] + [1] * 8
    assert all(row["step"] is None for row in found.rows if not row["moves"])
    assert found.event.kind == "bend"


def test_a_window_survives_json_and_a_report_has_no_tensor() -> None:
    u = even(9)
    x = arc(u + u[:-1][::-1])
    window = Window.of(list(range(17)), compare(gaussian, x, torch.linspace(0, 1, 17, dtype=x.dtype), CHOICE))
    assert window.solver == "ENDS_MEET"
    assert Window.from_plain(json.loads(json.dumps(asdict(window)))) == window
    found = reported(x)
    text = json.dumps(report_metrics(found))
    assert json.loads(text)["grade"] == "not a geodesic"
    assert "optimised" not in found.ratios and "near the optimised" not in found.passed


def test_the_table_has_a_row_for_each_frame_and_leaves_unknowns_empty() -> None:
    lines = csv_of(reported(arc(even(7)))).splitlines()
    assert len(lines) == 8
    heads = lines[0].split(",")
    first = dict(zip(heads, lines[1].split(","), strict=True))
    assert first["frame"] == "0"
    assert first["departure"] == ""
    assert math.isfinite(float(dict(zip(heads, lines[3].split(","), strict=True))["departure"]))
