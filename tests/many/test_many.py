"""Many pairs with one model: rows of a table, failures that are told, shares that end in one table, and resuming."""

import csv
import json
from pathlib import Path

import pytest
import torch

from geodesic_cli import media
from geodesic_cli.errors import InputError, OutputError
from geodesic_cli.many.evaluating import run as evaluate_run
from geodesic_cli.many.interpolating import ManyOptions, ManyRuns, draw_many
from geodesic_cli.runs.job import Job
from geodesic_cli.runs.observer import Silent
from geodesic_cli.scenes import render, sample
from geodesic_cli.settings import EvaluateSettings
from geodesic_cli.verbs.evaluate.run import Evaluation
from helpers import Recorder

QUICK = {"method": "slerp", "frames": 3, "steps": 2, "nodes": 5, "pacing": "path", "formats": "none"}


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four rows: plain, with prompts and an option, with an option that does not exist, without one of its images."""
    folder = tmp_path_factory.mktemp("pairs")
    for name, image in zip("abcd", render(sample(4, torch.Generator().manual_seed(1))), strict=True):
        media.write_png(image, folder / f"{name}.png")
    rows = ["a,b,prompt_a,prompt_b,tau", "a.png,b.png,,,", "c.png,d.png,a red cube,a blue cube,0.5"]
    (folder / "pairs.csv").write_text("\n".join([*rows, "a.png,none.png,,,", "a.png,c.png,,,much"]) + "\n")
    return folder / "pairs.csv"


def draw(
    table: Path, out: Path, part: str | None = None, resume: bool = False, watch: Recorder | None = None
) -> ManyRuns:
    options = ManyOptions(str(table), (), (), str(out), resume, part, QUICK)
    return draw_many(options, watch or Silent(), "geodesic interpolate")


@pytest.fixture(scope="module")
def whole(table: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[ManyRuns, Recorder]:
    watch = Recorder()
    return draw(table, tmp_path_factory.mktemp("out") / "whole", watch=watch), watch


def bytes_of(made: ManyRuns) -> dict[str, bytes]:
    files = [*made.folder.glob("*/frames/*.png"), made.table]
    return {path.relative_to(made.folder).as_posix(): path.read_bytes() for path in files}


def test_good_rows_are_drawn_and_the_others_told(whole: tuple[ManyRuns, Recorder]) -> None:
    made, watch = whole
    assert (made.count, made.missing, made.ended.done) == (4, 2, 2)
    assert sorted(made.ended.failed) == ["a-to-c", "a-to-none"]
    assert any("takes a number; got 'much'" in line for line in watch.warnings)
    assert any("none.png does not exist" in line for line in watch.warnings)
    rows = list(csv.DictReader(made.table.read_text().splitlines()))
    assert [row["pair"] for row in rows] == ["a-to-b", "c-to-d"] and float(rows[0]["length"]) > 0
    settings = json.loads((made.folder / "c-to-d" / "manifest.json").read_text())["settings"]
    assert settings["tau"] == 0.5 and settings["prompt"] == ["a red cube", "a blue cube"]
    assert not (made.folder / "a-to-b" / "density.png").exists()


def test_any_number_of_processes_gives_the_same_bytes_and_one_table(
    table: Path, whole: tuple[ManyRuns, Recorder], tmp_path: Path
) -> None:
    first, last = (draw(table, tmp_path / "parts", part) for part in ("2/2", "1/2"))
    assert first.missing > last.missing == whole[0].missing
    assert bytes_of(last) == bytes_of(whole[0])


def test_a_killed_batch_goes_on_where_it_was(table: Path, whole: tuple[ManyRuns, Recorder], tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        draw(table, tmp_path / "killed", watch=Recorder("Drawing pairs", 1))
    with pytest.raises(OutputError, match="Pass --resume"):
        draw(table, tmp_path / "killed")
    made = draw(table, tmp_path / "killed", resume=True)
    assert (made.ended.kept, made.ended.done) == (1, 1)
    assert bytes_of(made) == bytes_of(whole[0])


def test_a_folder_of_other_pairs_is_refused(table: Path, whole: tuple[ManyRuns, Recorder]) -> None:
    other = table.with_name("other.csv")
    other.write_text("a,b\na.png,d.png\n")
    with pytest.raises(OutputError, match="other pairs or other options"):
        draw(other, whole[0].folder, resume=True)


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Evaluation:
    return evaluated(tmp_path_factory.mktemp("scenes") / "whole")


def evaluated(out: Path, part: str | None = None) -> Evaluation:
    given = {"pairs": "scenes:1", "methods": "blend,slerp", "frames": 3, "protocol": "offline", "part": part}
    return evaluate_run(Job(EvaluateSettings(**given, out=str(out)), Silent(), command="geodesic"))


def test_scenes_are_drawn_by_several_methods_and_measured(scenes: Evaluation) -> None:
    assert scenes.scores.methods == ("blend", "slerp") and len(scenes.sequences) == 2
    assert "1 pair, rendered scenes" in scenes.metrics["layout"]
    assert scenes.scores.means["re_ssim"]["slerp"].mean > 0.9


def test_parts_are_measured_by_the_last_one_to_end(scenes: Evaluation, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="This part is drawn; 1 "):
        evaluated(tmp_path / "parts", "1/2")
    last = evaluated(tmp_path / "parts", "2/2")
    assert last.folder is not None and scenes.folder is not None
    for name in ("table.md", "sequences.csv"):
        assert (last.folder / name).read_bytes() == (scenes.folder / name).read_bytes(), name


def limited(table: Path, out: Path, limit: int, resume: bool = False, **more: object) -> Evaluation:
    given = {"pairs": str(table), "methods": "blend", "frames": 3, "protocol": "offline", "limit": limit, **more}
    return evaluate_run(Job(EvaluateSettings(**given, out=str(out), resume=resume), Silent(), command="geodesic"))


def made_of(folder: Path) -> dict[str, bytes]:
    """What was drawn and what is told of it, without the time that it took."""
    files = [*folder.glob("made/*/*/frames/*.png"), *folder.glob("strips/*.png"), *folder.glob("measured/*")]
    files += [folder / name for name in ("table.md", "table.tex", "sequences.csv", "sheet.png", "made/rows.json")]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def test_a_study_goes_on_with_more_pairs(table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # so that both have the same names of files in them
    for place in ("grown", "whole"):
        (tmp_path / place).mkdir()
    rows = table.with_name("more.csv")  # not in the order of their names
    rows.write_text("a,b\nc.png,d.png\nb.png,c.png\na.png,b.png\n")
    monkeypatch.chdir(tmp_path / "grown")
    two = limited(rows, Path("run"), 2)
    before, told = made_of(tmp_path / "grown/run"), two.to_markdown()
    drawn = {path: path.stat().st_mtime_ns for path in (tmp_path / "grown/run/made").glob("*/*/frames/*.png")}
    three = limited(rows, Path("run"), 3, resume=True)
    assert len(two.sequences) == 2 and len(three.sequences) == 3
    assert {path: path.stat().st_mtime_ns for path in drawn} == drawn, "nothing is drawn again"
    monkeypatch.chdir(tmp_path / "whole")
    limited(rows, Path("run"), 3)
    grown, whole = made_of(tmp_path / "grown/run"), made_of(tmp_path / "whole/run")
    timed = [name for name in grown if name.startswith("measured/")]
    assert sorted(grown) == sorted(whole) and len(timed) == 3
    assert {name: data for name, data in grown.items() if name not in timed} == {
        name: data for name, data in whole.items() if name not in timed
    }
    assert all(grown[name] == before[name] for name in timed if name in before)
    monkeypatch.chdir(tmp_path / "grown")
    assert limited(rows, Path("run"), 2, resume=True).to_markdown() == told, "and back with fewer"
    with pytest.raises(OutputError, match=r"its settings must be the same.*frames 3 -> 4"):
        limited(rows, Path("run"), 3, resume=True, frames=4)


def test_a_table_of_pairs_may_grow_at_its_end_only(table: Path, tmp_path: Path) -> None:
    rows = tmp_path / "pairs.csv"
    ends = [[str(table.with_name(f"{name}.png")) for name in pair] for pair in ("ab", "cd", "bc")]

    def listed(*numbers: int) -> Path:
        rows.write_text("\n".join(["a,b", *(",".join(ends[number]) for number in numbers)]) + "\n")
        return rows

    draw(listed(0), tmp_path / "run")
    with pytest.raises(OutputError, match="begun with other pairs"):
        draw(listed(0, 1), tmp_path / "run")
    made = draw(listed(0, 1), tmp_path / "run", resume=True)
    assert (made.ended.kept, made.ended.done, made.missing) == (1, 1, 0)
    with pytest.raises(OutputError, match="begun with other pairs"):
        draw(listed(0, 2), tmp_path / "run", resume=True)
    (tmp_path / "run" / "rows.json").write_text("[")
    with pytest.raises(OutputError, match=r"rows\.json cannot be read"):
        draw(listed(0, 1), tmp_path / "run", resume=True)


def test_what_was_made_is_measured_again_by_another_protocol(scenes: Evaluation) -> None:
    again = evaluate_run(Job(EvaluateSettings(sources=(str(scenes.folder),), protocol="vbench"), Silent()))
    assert again.scores.methods == ("blend", "slerp")
    assert again.scores.means["flicker"] == scenes.scores.means["flicker"]
