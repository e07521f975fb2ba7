"""Windows put together: every frame is judged, nothing is counted twice, and the worst segment is the one that is."""

import json
import math
from dataclasses import asdict, replace

import pytest
import torch
from torch import Tensor

from geodesic_cli.geometry.clips.rivals import RivalChoice, compare
from geodesic_cli.geometry.clips.sequence import roughness
from geodesic_cli.verbs.video_analyze.joining import report_on
from geodesic_cli.verbs.video_analyze.report import ClipReport, csv_of, report_metrics, two_digits
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


def test_a_reference_that_was_not_found_passes_no_test_and_is_named_for_what_it_is() -> None:
    x = arc(even(9))
    window = Window.of(list(range(9)), compare(gaussian, x, torch.linspace(0, 1, 9, dtype=x.dtype), CHOICE))

    def report(solved: bool, ratio: float) -> ClipReport:
        gradient = [value / ratio for value in window.paths["clip"].gradient]
        paths = window.paths | {"optimised": replace(window.paths["optimised"], gradient=gradient)}
        one = replace(window, paths=paths, solved=solved, residual=0.01 if solved else 0.4567)
        return report_on([one], CHOICE.alpha, 9, even(9), 1.0)

    assert report(solved=True, ratio=2).passed["near the optimised"]
    assert (
        report(solved=True, ratio=2).reference == ""
        and report(solved=True, ratio=2).names["optimised"] == "local geodesic"
    )
    left_out = report(solved=False, ratio=2)
    assert "near the optimised" not in left_out.passed and left_out.grade != "close to a geodesic"
    assert "residual 0.46), and no test rests on it" in left_out.reference
    assert left_out.names["optimised"] == "local short path, residual 0.46, not converged"
    assert "local short path" in left_out.detail
    far = report(solved=False, ratio=5)  # a better reference would only be farther
    assert far.passed["near the optimised"] is False and "far even from that" in far.reference


def test_a_ratio_has_two_digits_that_count() -> None:
    numbers = (0.198, 4.449, 22.7, 152.0, 0.00316, 9.97, 1e4)
    assert [two_digits(number) for number in numbers] == ["0.20", "4.4", "23", "150", "0.0032", "10", "10000"]
    assert two_digits(float("inf")) == "inf" and two_digits(0.0) == "0"


def test_steps_without_a_tie_are_not_called_smooth() -> None:
    found = reported(60 + normal(12, 10, seed=3))
    assert found.event.kind != "bend" or found.verdict.startswith("Not a geodesic: its steps are as good as random")
    assert found.grade == "not a geodesic"


def test_the_table_has_a_row_for_each_frame_and_leaves_unknowns_empty() -> None:
    lines = csv_of(reported(arc(even(7)))).splitlines()
    assert len(lines) == 8
    heads = lines[0].split(",")
    first = dict(zip(heads, lines[1].split(","), strict=True))
    assert first["frame"] == "0"
    assert first["departure"] == ""
    assert math.isfinite(float(dict(zip(heads, lines[3].split(","), strict=True))["departure"]))
