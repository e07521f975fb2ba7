"""Lists of numbers and lists of methods as they are typed."""

from pathlib import Path

import pytest
import torch

from geodesic_cli import media
from geodesic_cli.scenes import render, sample
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
