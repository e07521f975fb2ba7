"""Killed by the system around any of its writes, or at any moment, a run goes on to the same bytes: every verb.

Each run is a process of its own, forked from this one, so that nothing but the folder outlives it. The short form kills
a chain of sessions; the long one, `pytest -m slow tests/runs/test_killed.py`, kills a run around every one of its
writes and at twenty random moments, and says how many kills there were. GEODESIC_TEST_KILLS takes so many of them.
"""

import json
import os
import random
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from pipelines import SD1, build
from tiny import write_pixel_model

from geodesic_cli import media, settings
from geodesic_cli.runs.lock import LOCK
from geodesic_cli.scenes import Scene, Solid, render
from geodesic_cli.verbs.bench.race import run as bench_solver
from geodesic_cli.verbs.distance.run import run as distance
from geodesic_cli.verbs.extrapolate.run import run as extrapolate
from geodesic_cli.verbs.finetune.run import run as finetune
from geodesic_cli.verbs.interpolate.run import run as interpolate
from geodesic_cli.verbs.isometry.run import run as isometry
from geodesic_cli.verbs.latent.direction import run as direction
from geodesic_cli.verbs.latent.invert import run as invert
from geodesic_cli.verbs.latent.slerp import run as latent_slerp
from geodesic_cli.verbs.mean.run import run as mean
from geodesic_cli.verbs.toy.run import run as toy
from geodesic_cli.verbs.video_analyze.run import run as video_analyze
from helpers import into_folder

TIMED = {"manifest.json", "metrics.json", "log.txt", "config.toml", "report.html", "global.safetensors", LOCK}
"""Files that hold the time, where the run was written, or what a search has cost: nothing for what is in the cache."""
TIMES = ("seconds", "peak_gb", "evaluations", "score_evaluations", "global", "wall_seconds", "rate", "rows")
"""Numbers that say what a run took."""
KILLED = -signal.SIGKILL

Settings = Any
Verb = Callable[[Any], Any]


@dataclass(frozen=True)
class Case:
    """A verb, and how it is asked.

    Args:
        options: `{pixels}`, `{text}`, `{a}`, `{b}`, `{c}` and `{clip}` in them stand for files.
        timed: files that hold seconds.
    """

    verb: Verb
    kind: type
    options: dict[str, Any]
    timed: tuple[str, ...] = ()

    @property
    def resumes(self) -> bool:
        return "resume" in self.kind.__dataclass_fields__  # type: ignore[attr-defined]


PATH = {"model": "{pixels}", "device": "cpu", "frames": 3, "nodes": 7, "steps": 2, "max_steps": 3, "formats": "gif"}
FEW = {"device": "cpu", "steps": 2}
TRAINED = {"data": "scenes", "device": "cpu", "train_batch_size": 1, "max_train_steps": 3, "checkpointing_steps": 1}
CASES = {
    "interpolate": Case(
        interpolate, settings.InterpolateSettings, PATH | {"images": ("{a}", "{b}"), "method": "geodesic"}
    ),
    "interpolate --global": Case(
        interpolate,
        settings.InterpolateSettings,
        PATH | {"images": ("{a}", "{b}"), "method": "global", "pool_size": 8, "budget": "60", "nodes": 9},
    ),
    "extrapolate": Case(
        extrapolate,
        settings.ExtrapolateSettings,
        {"model": "{pixels}", "source": ("{clip}",), "frames": 2, "device": "cpu", "steps": 2, "max_drop": 1e9},
    ),
    "video-analyze": Case(
        video_analyze,
        settings.VideoAnalyzeSettings,
        {"model": "{pixels}", "clip": ("{clip}",), "draws": 2, "max_steps": 2, "device": "cpu"},
    ),
    "distance": Case(
        distance,
        settings.DistanceSettings,
        {"model": "{pixels}", "images": ("{a}", "{b}", "{c}"), "device": "cpu", "max_steps": 2, "bend": 1.0},
    ),
    "mean": Case(
        mean,
        settings.MeanSettings,
        {"model": "{pixels}", "images": ("{a}", "{b}"), "device": "cpu", "max_steps": 1, "moves": 1, "frames": 2},
    ),
    "invert": Case(invert, settings.InvertSettings, FEW | {"model": "{text}", "images": ("{a}", "{b}")}),
    "latent slerp": Case(
        latent_slerp, settings.SlerpSettings, FEW | {"model": "{text}", "pairs": 1, "frames": 2, "fit": False}
    ),
    "latent direction": Case(
        direction,
        settings.DirectionSettings,
        FEW | {"model": "{text}", "source": "red", "target": "blue", "pairs": 6, "held_out": 2, "strengths": "1"},
    ),
    "finetune": Case(finetune, settings.FinetuneSettings, TRAINED | {"model": "{pixels}", "validation_steps": 1}),
    "finetune --lora-rank": Case(
        finetune,
        settings.FinetuneSettings,
        TRAINED | {"model": "{text}", "validation_steps": 0, "lora_rank": 2, "regulariser": "iso"},
    ),
    "isometry": Case(
        isometry,
        settings.IsometrySettings,
        {"model": "{pixels}", "taus": "1", "points": 2, "pairs": 1, "segments": 3, "ppl_pairs": 0, "labelled": 0}
        | FEW
        | {"jacobian": "projected", "directions": 2, "probes": 2},
    ),
    "toy": Case(toy, settings.ToySettings, {"density": "ring", "rays": 0, "gif": False}),
    "bench solver": Case(
        bench_solver,
        settings.BenchSettings,
        {"problems": ("closed",), "solvers": ("surrogate",), "tol": 0.3},
        timed=("bench.json", "table.md"),
    ),
}


@pytest.fixture(scope="module")
def brought(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """What the runs are made from, by the words of `Case`."""
    folder = tmp_path_factory.mktemp("brought")
    scenes = [Scene((Solid("sphere", "red", x=0.2 * k - 0.4),)) for k in range(5)]
    frames = render(scenes, size=16)
    (folder / "clip").mkdir()
    for k, frame in enumerate(frames):
        media.write_png(frame, folder / "clip" / f"{k}.png")
    files = {name: str(folder / "clip" / f"{k}.png") for k, name in enumerate("abc")}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        patch.setattr("geodesic_cli.verbs.finetune.run.MEASURED_EXAMPLES", 2)
        yield {
            "clip": str(folder / "clip"),
            "pixels": str(write_pixel_model(folder / "pixels")),
            "text": str(build(SD1, folder / "sd1")),
            **files,
        }


def made(case: Case, brought: dict[str, str], out: Path, **more: Any) -> Settings:
    def filled(value: Any) -> Any:
        if isinstance(value, tuple):
            return tuple(filled(one) for one in value)
        return value.format(**brought) if isinstance(value, str) else value

    return case.kind(**{name: filled(value) for name, value in case.options.items()}, out=str(out), **more)


def session(act: Callable[[], Any], at: int = 0, after: bool = False, seconds: float | None = None) -> tuple[int, int]:
    """Do something in a process that is killed before or after its write number `at`, or after so many seconds.

    Returns how it ended, as `subprocess` says it, and how many files it put in their place.
    """
    reads, writes = os.pipe()
    child = os.fork()
    if child == 0:
        put = Path.replace

        def counted(self: Path, target: Any) -> Path:
            counted.number += 1  # type: ignore[attr-defined]
            if counted.number == at and not after:  # type: ignore[attr-defined]
                os.kill(os.getpid(), signal.SIGKILL)
            result = put(self, target)
            os.write(writes, b".")
            if counted.number == at:  # type: ignore[attr-defined]
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        counted.number = 0  # type: ignore[attr-defined]
        Path.replace = counted  # type: ignore[assignment,method-assign]
        try:
            torch.set_num_threads(1)
            act()
        except BaseException:
            traceback.print_exc()
            sys.stderr.flush()
            os._exit(1)
        os._exit(0)
    os.close(writes)
    if seconds is not None:
        time.sleep(seconds)
        os.kill(child, signal.SIGKILL)
    with os.fdopen(reads, "rb") as told:
        count = len(told.read())
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), count


def act(case: Case, chosen: Settings) -> Callable[[], Any]:
    verb = into_folder(case.verb)
    return lambda: verb(chosen)


def contents(folder: Path, timed: tuple[str, ...]) -> dict[str, bytes]:
    files = {str(path.relative_to(folder)): path for path in sorted(folder.rglob("*")) if path.is_file()}
    assert all(files[name].stat().st_size for name in timed)
    return {name: path.read_bytes() for name, path in files.items() if path.name not in {*TIMED, *timed}}


def numbers(folder: Path) -> Any:
    """The metrics without what a run took."""

    def without(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: without(inner) for key, inner in value.items() if key not in TIMES}
        return [without(inner) for inner in value] if isinstance(value, list) else value

    return without(json.loads((folder / "metrics.json").read_text()))


def gone_on(case: Case, chosen: Settings) -> Settings:
    """The settings with which a run that was killed is made whole."""
    return replace(chosen, **({"resume": True} if case.resumes else {"overwrite": True}))


def same(case: Case, one: Path, other: Path) -> None:
    ours, theirs = contents(one, case.timed), contents(other, case.timed)
    assert ours.keys() == theirs.keys()
    assert not [name for name, data in ours.items() if theirs[name] != data]
    assert numbers(one) == numbers(other)
    assert not [path for path in one.rglob("*") if path.name == LOCK or path.name.endswith(".tmp")]


@pytest.mark.parametrize("name", CASES)
def test_killed_around_some_of_its_writes_a_run_goes_on_to_the_same_bytes(
    name: str, brought: dict[str, str], tmp_path: Path
) -> None:
    case = CASES[name]
    ended, writes = session(act(case, made(case, brought, tmp_path / "whole")))
    assert ended == 0 and writes > 3
    chance = random.Random(name)
    chosen = made(case, brought, tmp_path / "cut")
    for number, part in enumerate((3, 1)):  # an early kill, then anywhere in what is left
        at = chance.randint(1, max(1, writes // part))
        session(act(case, gone_on(case, chosen) if number else chosen), at, after=number % 2 > 0)
    assert session(act(case, gone_on(case, chosen)))[0] == 0
    same(case, tmp_path / "cut", tmp_path / "whole")


@pytest.mark.slow
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("name", CASES)
def test_killed_around_every_write_and_at_any_moment_a_run_goes_on_to_the_same_bytes(
    name: str, brought: dict[str, str], tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    case, chance = CASES[name], random.Random(name)
    began = time.monotonic()
    ended, writes = session(act(case, made(case, brought, tmp_path / "whole")))
    took = time.monotonic() - began
    assert ended == 0
    kills: list[dict[str, Any]] = [{"at": at, "after": after} for at in range(1, writes + 1) for after in (False, True)]
    kills += [{"seconds": chance.uniform(0, took)} for _ in range(20)]
    kills = chance.sample(kills, min(len(kills), int(os.environ.get("GEODESIC_TEST_KILLS", len(kills)))))
    tried = 0
    for number, how in enumerate(kills):
        out = tmp_path / f"{number}"
        chosen = made(case, brought, out)
        tried += session(act(case, chosen), **how)[0] == KILLED
        # A run that was killed before it had a manifest has left nothing that is anybody's.
        again = gone_on(case, chosen) if (out / "manifest.json").is_file() else chosen
        assert session(act(case, again))[0] == 0, how
        same(case, out, tmp_path / "whole")
    record_property("kills", tried)
    sys.stderr.write(f"{name}: {tried} killed, 0 failed\n")
