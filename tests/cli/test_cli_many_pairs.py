"""Lists of numbers and lists of methods as they are typed."""

import json
from pathlib import Path

import pytest
import torch

from geodesic_cli import media
from geodesic_cli.many.evaluating import runs_to_measure
from geodesic_cli.many.scene_pairs import draw_scenes, scene_pairs
from geodesic_cli.scenes import render, sample
from geodesic_cli.settings import EvaluateSettings
from helpers import typed

QUICK = ("--frames", "3", "--steps", "2", "--formats", "none", "--pacing", "path")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("typed")
    for name, image in zip("ab", render(sample(2, torch.Generator().manual_seed(1))), strict=True):
        media.write_png(image, folder / f"{name}.png")
    return folder


def test_a_sweep_is_typed_with_commas_and_ends_with_its_table(place: Path) -> None:
    words = ("interpolate", "a.png", "b.png", "--method", "slerp", "--tau", "0.2,0.4", *QUICK, "--out", "sweep")
    ended = typed(*words, cwd=place)
    assert ended.returncode == 0, ended.stderr
    assert "2 of 2 runs are drawn (2 combinations of tau)." in ended.stdout and "heatmap.png" in ended.stdout
    assert "mean log p" in ended.stdout.splitlines()[0]
    assert {"heatmap.png", "sweep.csv", "table.csv"} <= {path.name for path in (place / "sweep").iterdir()}
    again = typed(*words, "--resume", cwd=place)
    assert "0 were drawn now, 2 were there already." in again.stdout
    assert "is not empty" in typed(*words, cwd=place).stderr


def test_what_a_sweep_will_cost_is_told_and_nothing_is_written(place: Path) -> None:
    words = ("interpolate", "a.png", "b.png", "--method", "slerp", "--tau", "0.2,0.4,0.6", "--dry-run", "--out", "none")
    ended = typed(*words, cwd=place)
    assert ended.returncode == 0 and "3 runs (3 combinations of tau)." in ended.stdout
    assert "Memory: weights" in ended.stdout and not (place / "none").exists()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--tau", "0.2,x"), "--tau takes a number, or numbers with commas between for a sweep; got '0.2,x'."),
        (("--frames", "3,2.5"), "--frames takes a number, or whole numbers with commas"),
        (("--tau", "0.2,7"), "--tau takes numbers above 0 and up to 1; got 7."),
        (("--compare", "slrep"), "got 'slrep'. Did you mean 'slerp'?"),
        (("--compare", "blend,sleep"), "--compare takes names of geodesic, slerp"),
    ],
)
def test_what_makes_no_sense_is_one_sentence(words: tuple[str, ...], told: str, place: Path) -> None:
    ended = typed("interpolate", "a.png", "b.png", *words, cwd=place)
    assert ended.returncode == 1 and told in ended.stderr and ended.stderr.count("Error:") == 1
    assert "Traceback" not in ended.stderr and ended.stdout == ""


def test_compare_alone_and_with_a_list(place: Path) -> None:
    words = ("interpolate", "--compare", "blend,attention", "a.png", "b.png", "--method", "slerp", *QUICK)
    ended = typed(*words, "--out", "two", cwd=place)
    assert ended.returncode == 0, ended.stderr
    assert sorted(path.name for path in (place / "two" / "compare").iterdir()) == ["attention", "blend"]
    assert "mixed attention" in ended.stdout and "NoiseDiffusion" not in ended.stdout
    page = (place / "two" / "report.html").read_text()
    assert "Where each method is from" in page and "He et al., AID, NeurIPS 2024" in page


def test_pairs_of_rendered_scenes_are_those_of_evaluate(tmp_path: Path) -> None:
    words = ("interpolate", "--pairs", "scenes:2", "--method", "slerp", *QUICK)
    planned = typed(*words, "--dry-run", cwd=tmp_path)
    assert planned.returncode == 0 and "2 runs (rendered scenes of the seed 0" in planned.stdout, planned.stderr
    assert not list(tmp_path.iterdir())
    ended = typed(*words, cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert "2 of 2 pairs are drawn (rendered scenes of the seed 0, captions from the scenes)." in ended.stdout
    root = tmp_path / "runs" / "scenes-2"
    settings = EvaluateSettings(pairs="scenes:2", methods="slerp", frames=3)
    _, rows = runs_to_measure(settings, tmp_path / "made")
    for row in rows:
        manifest = json.loads((root / row.name / "manifest.json").read_text())
        assert manifest["settings"]["prompt"] == list(row.options["prompt"])
        for mine, theirs in zip(manifest["settings"]["images"], row.options["images"], strict=True):
            assert (tmp_path / mine).read_bytes() == Path(theirs).read_bytes()
    again = typed(*words, "--out", str(root), "--resume", cwd=tmp_path)
    assert "begun with other pairs" in again.stderr, "its pictures are elsewhere"
    again = typed(*words, "--out", "runs/scenes-2", "--resume", cwd=tmp_path)
    assert "0 were drawn now, 2 were there already." in again.stdout
    other = typed(*words, "--seed", "1", "--out", "other", cwd=tmp_path)
    assert other.returncode == 0 and "rendered scenes of the seed 1" in other.stdout, other.stderr
    one = [(place / "inputs" / "scene-0000_0.png").read_bytes() for place in (root, tmp_path / "other")]
    assert one[0] != one[1]


def test_a_folder_that_is_refused_gets_no_scenes(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    ended = typed("interpolate", "--pairs", "scenes:1", "--out", ".", cwd=tmp_path)
    assert ended.returncode == 1 and "is not empty" in ended.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize("verb", ["interpolate", "evaluate"])
@pytest.mark.parametrize("number", ["0", "", "-1", "2.5", "1000000"])
def test_no_number_of_scenes_is_one_sentence(verb: str, number: str, tmp_path: Path) -> None:
    ended = typed(verb, "--pairs", f"scenes:{number}", cwd=tmp_path)
    assert ended.returncode == 1 and "takes a whole number N of pairs from 1 to 99999" in ended.stderr
    assert "Traceback" not in ended.stderr and not list(tmp_path.iterdir())


def test_of_more_scenes_the_first_pairs_are_the_same(tmp_path: Path) -> None:
    few, many = (scene_pairs(count, 0, tmp_path / str(count)) for count in (1, 3))
    for found in (few, many):
        draw_scenes(found, 0)
    assert len(many.pairs) == 3 and few.pairs[0].prompts == many.pairs[0].prompts
    assert few.pairs[0].b.read_bytes() == many.pairs[0].b.read_bytes()


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("interpolate", "--pairs", "scenes:1", "--out", "all"), "interpolate --pairs scenes:1 --out all --resume"),
        (("evaluate", "--pairs", "scenes:1", "--out", "all"), "evaluate --resume all"),
    ],
)
def test_an_interrupt_names_the_folder_of_all_pairs(
    words: tuple[str, ...], line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*given: object) -> None:
        stop = KeyboardInterrupt()
        stop.add_note("all/one")  # as the folder of a run does
        raise stop

    monkeypatch.setattr("geodesic_cli.many.batch._one", stopped)
    ended = typed(*words, cwd=tmp_path)
    assert ended.returncode == 130
    assert ended.stderr.rstrip().endswith(f"Go on with: geodesic {line}")
