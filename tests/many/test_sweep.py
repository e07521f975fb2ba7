"""Lists of numbers: every combination is a run, one table, one heat map, and a list that makes no sense is refused."""

import csv
from pathlib import Path

import pytest
import torch

from geodesic_cli import media
from geodesic_cli.errors import InputError
from geodesic_cli.many.interpolating import ManyOptions, ManyRuns, draw_many, runs_of
from geodesic_cli.many.sweep import points_of, values_of
from geodesic_cli.runs.observer import Silent
from geodesic_cli.scenes import render, sample
from helpers import Recorder

QUICK = {"method": "slerp", "frames": 3, "steps": 2, "nodes": 5, "pacing": "path", "formats": "none"}
SWEEP = ("tau=0.2,0.4", "seed=1,2")
SAME = ("table.csv", "sweep.csv", "heatmap.png", "tau-0.2_seed-2/frames/00001.png")


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    folder = tmp_path_factory.mktemp("images")
    for name, image in zip("ab", render(sample(2, torch.Generator().manual_seed(1))), strict=True):
        media.write_png(image, folder / f"{name}.png")
    (folder / "pairs.csv").write_text("a,b,nodes\na.png,b.png,6\nb.png,a.png,7\n")
    return str(folder / "a.png"), str(folder / "b.png")


def asked(images: tuple[str, ...], out: Path, sweep: tuple[str, ...] = SWEEP, **more: object) -> ManyOptions:
    given = {"pairs": None, "images": images, "sweep": sweep, "out": str(out), "resume": False, "part": None}
    return ManyOptions(**{**given, "given": QUICK, **more})


@pytest.fixture(scope="module")
def whole(images: tuple[str, str], tmp_path_factory: pytest.TempPathFactory) -> ManyRuns:
    return draw_many(asked(images, tmp_path_factory.mktemp("sweep") / "whole"), Silent(), "geodesic")


def test_every_combination_is_a_run_with_a_row_and_a_field(whole: ManyRuns) -> None:
    assert (whole.count, whole.missing, whole.unit, whole.swept) == (4, 0, "runs", ("tau", "seed"))
    rows = list(csv.DictReader(whole.table.read_text().splitlines()))
    assert [(row["tau"], row["seed"]) for row in rows] == [("0.2", "1"), ("0.2", "2"), ("0.4", "1"), ("0.4", "2")]
    points = list(csv.DictReader((whole.folder / "sweep.csv").read_text().splitlines()))
    assert [point["mean_log_p"] for point in points] == [row["mean_log_p"] for row in rows]
    assert {point["runs"] for point in points} == {"1"}
    assert media.read_image(whole.folder / "heatmap.png").shape[0] == 3
    assert "4 of 4 runs are drawn (4 combinations of tau and seed)" in whole.sentence


def test_a_sweep_that_is_killed_goes_on_and_parts_make_the_same(
    images: tuple[str, str], whole: ManyRuns, tmp_path: Path
) -> None:
    killed = tmp_path / "killed"
    with pytest.raises(KeyboardInterrupt):
        draw_many(asked(images, killed), Recorder("Drawing pairs", 1), "geodesic")
    made = draw_many(asked(images, killed, part="1/2"), Silent(), "geodesic")
    assert made.missing == 2 and [point.n for point in made.points] == [1, 0, 1, 0]
    made = draw_many(asked(images, killed, resume=True), Silent(), "geodesic")
    assert (made.ended.kept, made.ended.done) == (2, 2)
    for name in SAME:
        assert (made.folder / name).read_bytes() == (whole.folder / name).read_bytes(), name


def test_pairs_are_swept_each_and_the_means_are_over_them(images: tuple[str, str], tmp_path: Path) -> None:
    pairs = str(Path(images[0]).with_name("pairs.csv"))
    layout, rows, _ = runs_of(asked((), tmp_path, ("tau=0.2,0.3",), pairs=pairs), tmp_path)
    assert [row.folder for row in rows] == ["a-to-b/tau-0.2", "a-to-b/tau-0.3", "b-to-a/tau-0.2", "b-to-a/tau-0.3"]
    assert "2 combinations of tau" in layout and rows[0].options["nodes"] == 6
    with pytest.raises(InputError, match="--nodes is a column of the table, and also has a list"):
        runs_of(asked((), tmp_path, ("nodes=5,6",), pairs=pairs), tmp_path)


@pytest.mark.parametrize(
    ("sweep", "told"),
    [
        (("tau=0.2,x",), "--tau takes a number, or numbers with commas between for a sweep; got '0.2,x'."),
        (("tau=0.2,",), "got '0.2,'."),
        (("tau=,",), "got ','."),
        (("frames=5,7.5",), "--frames takes a number, or whole numbers with commas"),
        (("tau=0.2,2",), "--tau takes numbers above 0 and up to 1; got 2."),
        (("tau=0.2,nan",), "--tau takes numbers above 0 and up to 1; got nan."),
        (("bend=1,2", "bend=3,4"), "--bend is given twice."),
        (("frames=5,7", "between=1,2"), "Either --frames or --between is needed, not both."),
        (("method=1,2",), "A sweep is over options of a number; got 'method'."),
    ],
)
@pytest.mark.parametrize("with_pairs", [False, True])
def test_a_list_that_makes_no_sense_is_one_sentence(
    sweep: tuple[str, ...], told: str, with_pairs: bool, images: tuple[str, str], tmp_path: Path
) -> None:
    given = {key: value for key, value in QUICK.items() if key != "frames"}
    pairs = str(Path(images[0]).parent / "pairs.csv") if with_pairs else None
    with pytest.raises(InputError) as caught:
        runs_of(asked(() if with_pairs else images, tmp_path, sweep, given=given, pairs=pairs), tmp_path)
    assert told in str(caught.value) and "\n" not in str(caught.value)


def test_a_value_that_is_written_twice_is_one_and_three_options_make_a_plane() -> None:
    assert values_of(["tau=0.2,0.20,0.4", "max-steps=3,4"]) == {"tau": (0.2, 0.4), "max_steps": (3, 4)}
    assert len(points_of({"a": (1, 2), "b": (3,), "c": (4, 5)})) == 4
