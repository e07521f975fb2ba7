"""One run at a time writes in a folder, and nothing is written or deleted outside of it."""

import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import pytest

from geodesic_cli.errors import OutputError
from geodesic_cli.runs.folder import RunDirectory
from geodesic_cli.runs.lock import LOCK, Lock, sweep
from geodesic_cli.runs.names import claimed

HOLD = """
import sys, time
from geodesic_cli.runs.folder import RunDirectory
with RunDirectory.open(sys.argv[1], {"out": sys.argv[1]}, command="first"):
    print("open", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def other(tmp_path: Path):
    """A process that holds the folder `run`."""
    line = [sys.executable, "-c", HOLD, str(tmp_path / "run")]
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        yield process
        process.kill()


@pytest.mark.parametrize("how", ["resume", "overwrite"])
def test_a_folder_in_which_another_process_writes_is_refused_and_left_as_it_is(other, tmp_path: Path, how: str) -> None:
    before = {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()}
    with pytest.raises(OutputError, match=rf"Another run writes in .*: process {other.pid}\."):
        RunDirectory.open(tmp_path / "run", {"out": "run"}, command="second", **{how: True})
    assert {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()} == before


def test_the_lock_of_a_killed_process_counts_for_nothing(other, tmp_path: Path) -> None:
    other.kill()
    other.wait()
    assert (tmp_path / "run" / LOCK).is_file()
    settings = {"out": str(tmp_path / "run")}
    with RunDirectory.open(tmp_path / "run", settings, command="second", resume=True) as run:
        run.finish("Done.", {})
    assert not (tmp_path / "run" / LOCK).exists()


def test_a_lock_that_cannot_be_read_counts_for_nothing(tmp_path: Path) -> None:
    (tmp_path / LOCK).write_text("{")
    Lock.take(tmp_path).release()
    assert not (tmp_path / LOCK).exists()


def test_a_lock_of_another_machine_is_believed(tmp_path: Path) -> None:
    (tmp_path / LOCK).write_text(json.dumps({"process": 1, "begun": 1.0, "machine": "elsewhere"}))
    with pytest.raises(OutputError, match="machine elsewhere") as caught:
        Lock.take(tmp_path)
    assert LOCK in caught.value.hint


def test_a_refused_run_gives_the_folder_back(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(OutputError, match="not empty"):
        RunDirectory.open(tmp_path, {}, command="test")
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_temporary_files_of_killed_runs_are_swept_and_others_stay(tmp_path: Path) -> None:
    (tmp_path / "frames").mkdir()
    dead = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    for name in (f"frames/.00000.png.{int(dead.stdout)}.tmp", f".a.{os.getpid()}.tmp", ".mine.tmp", "a.tmp"):
        (tmp_path / name).write_text("half")
    sweep(tmp_path)
    left = sorted(path.name for path in tmp_path.rglob("*") if path.is_file())
    assert left == sorted([f".a.{os.getpid()}.tmp", ".mine.tmp", "a.tmp"])


@pytest.mark.parametrize("link", ["folder", "log"])
def test_a_link_in_the_folder_does_not_lead_writes_out_of_it(tmp_path: Path, link: str) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "00000.png").write_text("theirs")
    run, settings = tmp_path / "run", {"out": str(tmp_path / "run")}
    with RunDirectory.open(run, settings, command="first") as first:
        first.write_text("frames/00000.png", "mine")
    if link == "folder":
        (run / "frames" / "00000.png").unlink()
        (run / "frames").rmdir()
        (run / "frames").symlink_to(outside)
        with (
            pytest.raises(OutputError, match="through a link"),
            RunDirectory.open(run, settings, command="second", resume=True) as second,
        ):
            second.write_text("frames/00000.png", "mine")
    else:
        (run / "log.txt").unlink()
        (run / "log.txt").symlink_to(outside / "00000.png")
        with pytest.raises(OutputError, match="through a link"):
            RunDirectory.open(run, settings, command="second", resume=True)
    assert (outside / "00000.png").read_text() == "theirs"


@pytest.mark.parametrize("given", ["frames/00000.png", "frames", "."])
def test_overwriting_what_the_new_run_is_made_from_is_refused(tmp_path: Path, given: str) -> None:
    run = tmp_path / "run"
    with RunDirectory.open(run, {"out": str(run)}, command="first") as first:
        first.write_text("frames/00000.png", "mine")
        first.finish("Done.", {})
    settings = {"images": [str(run / given)], "out": str(run)}
    with pytest.raises(OutputError, match="--overwrite would delete"):
        RunDirectory.open(run, settings, command="second", overwrite=True)
    assert (run / "frames" / "00000.png").read_text() == "mine"
    RunDirectory.open(run, settings | {"images": [str(tmp_path)]}, command="third", overwrite=True)


@dataclass(frozen=True)
class Racer:
    """A process of its own that does something with two pipes, forked because to import all anew takes a second."""

    pid: int
    stdin: TextIO
    stdout: TextIO

    @classmethod
    def begin(cls, act: Callable[[TextIO, Callable[[str], None]], None], others: Sequence["Racer"] = ()) -> "Racer":
        theirs, ours = os.pipe(), os.pipe()
        child = os.fork()
        if child == 0:
            for other in others:  # or they never end, because their pipes stay open here
                other.stdin.close()
            os.close(theirs[1])
            try:
                with os.fdopen(theirs[0]) as asked, os.fdopen(ours[1], "w") as told:
                    act(asked, lambda line: print(line, file=told, flush=True))
            finally:
                os._exit(0)
        os.close(theirs[0])
        os.close(ours[1])
        return cls(child, os.fdopen(theirs[1], "w"), os.fdopen(ours[0]))

    def end(self) -> None:
        self.stdin.close()
        os.waitpid(self.pid, 0)
        self.stdout.close()


def race(asked: TextIO, tell: Callable[[str], None]) -> None:
    tell("ready")
    for line in asked:
        try:
            lock = Lock.take(Path(line.strip()))
        except OutputError:
            tell("refused")
            continue
        tell("held")
        asked.readline()
        lock.release()
        tell("released")


def test_of_many_processes_that_find_a_lock_that_counts_for_nothing_one_takes_it(tmp_path: Path) -> None:
    dead = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    stale = json.dumps({"process": int(dead.stdout), "begun": 1.0, "machine": platform.node()})
    racers: list[Racer] = []
    try:
        for _ in range(4):
            racers.append(Racer.begin(race, racers))
        assert [racer.stdout.readline() for racer in racers] == ["ready\n"] * 4
        for number, left in enumerate(["", "{", "stale", "nothing"] * 15):
            folder = tmp_path / str(number)
            folder.mkdir()
            if left != "nothing":
                (folder / LOCK).write_text(stale if left == "stale" else left)
            for racer in racers:  # all at once
                racer.stdin.write(f"{folder}\n")
            for racer in racers:
                racer.stdin.flush()
            answers = [racer.stdout.readline().strip() for racer in racers]
            assert sorted(answers) == ["held", "refused", "refused", "refused"]
            holder = racers[answers.index("held")]
            assert json.loads((folder / LOCK).read_text())["process"] == holder.pid  # nobody removed or replaced it
            holder.stdin.write("\n")
            holder.stdin.flush()
            assert holder.stdout.readline() == "released\n"
            assert not (folder / LOCK).exists()
    finally:
        for racer in racers:
            racer.end()


def test_a_run_of_this_process_that_was_given_up_holds_nothing(tmp_path: Path) -> None:
    first = Lock.take(tmp_path)
    second = Lock.take(tmp_path)
    first.release()  # it is no longer its to give back
    assert (tmp_path / LOCK).exists()
    second.release()
    second.release()
    assert not (tmp_path / LOCK).exists()


def test_a_lock_that_is_a_link_is_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "theirs").write_text("theirs")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / LOCK).symlink_to(tmp_path / "theirs")
    with pytest.raises(OutputError, match="through a link"):
        Lock.take(tmp_path / "run")
    assert (tmp_path / "theirs").read_text() == "theirs"


def test_runs_without_a_name_that_start_at_once_take_names_of_their_own(tmp_path: Path) -> None:
    def claim(asked: TextIO, tell: Callable[[str], None]) -> None:
        tell("ready")
        asked.readline()
        with claimed(str(tmp_path / "runs" / "a-to-b")) as folder:
            tell(folder)
            asked.readline()

    runs: list[Racer] = []
    for _ in range(3):
        runs.append(Racer.begin(claim, runs))
    assert [run.stdout.readline() for run in runs] == ["ready\n"] * 3
    for run in runs:
        run.stdin.write("\n")
    for run in runs:
        run.stdin.flush()
    names = sorted(Path(run.stdout.readline().strip()).name for run in runs)
    for run in runs:
        run.end()
    assert names == ["a-to-b", "a-to-b-2", "a-to-b-3"]


def test_a_refused_run_leaves_no_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(OutputError), claimed(str(tmp_path / "a")):
        raise OutputError("no")
    with pytest.raises(OutputError), claimed(str(tmp_path / "b")) as folder:
        Path(folder, "kept").write_text("kept")
        raise OutputError("no")
    assert [path.name for path in tmp_path.iterdir()] == ["b"]
