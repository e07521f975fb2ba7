"""Without permission to write or read, every verb ends in one sentence, and nothing that was there is lost.

The tests run as whoever runs them. Root may write anywhere, so each command line has a process of its own, which gives
that right away first.
"""

import ctypes
import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from pipelines import SD1, build
from tiny import write_pixel_model

from geodesic_cli import media
from geodesic_cli.scenes import Scene, Solid, render
from helpers import Ended, typed

CAPABILITIES, BYPASS = 0x20080522, 0b110
"""Of Linux: the version of its calls, and the two rights to write and to read what the permissions forbid."""
FEW = ("--model", "px", "--steps", "2", "--device", "cpu")
PATH = ("interpolate", "clip/0.png", "clip/4.png", *FEW, "--frames", "3", "--nodes", "5", "--max-steps", "2")
LINKED = ("--model", "px", "--device", "cpu", "--max-steps", "1")
VERBS: dict[str, tuple[str, ...]] = {
    "interpolate": PATH,
    "interpolate many": ("interpolate", "--pairs", "pairs.csv", *PATH[3:]),
    "extrapolate": ("extrapolate", "clip", *FEW, "--frames", "1", "--max-drop", "1e9"),
    "video-analyze": ("video-analyze", "clip", "--draws", "1", *LINKED),
    "distance": ("distance", "clip/0.png", "clip/4.png", *LINKED),
    "mean": ("mean", "clip/0.png", "clip/4.png", *LINKED, "--moves", "1", "--frames", "2"),
    "invert": ("invert", "clip/0.png", *FEW),
    "latent slerp": ("latent", "slerp", "--pairs", "1", "--frames", "2", *FEW),
    "latent line": ("latent", "line", "--frames", "3", "--directions", "1", *FEW),
    "latent combine": ("latent", "combine", *FEW),
    "latent direction": (
        "latent", "direction", "red", "blue", "--model", "sd1", *FEW[2:], "--pairs", "2", "--held-out", "1",
        "--strengths", "1",
    ),
    "finetune": (
        "finetune", "--model", "px", "--device", "cpu", "--data", "clip", "--max-train-steps", "1",
        "--train-batch-size", "1", "--validation-steps", "0",
    ),
    "isometry": (
        "isometry", "px", "--taus", "1", "--points", "2", "--pairs", "1", "--segments", "3", "--ppl-pairs", "0",
        "--labelled", "0", *FEW[2:],
    ),
    "evaluate": ("evaluate", "clip"),
    "toy": ("toy", "ring", "--rays", "0", "--no-gif"),
    "bench solver": ("bench", "solver", "--problems", "closed", "--solvers", "surrogate", "--tol", "0.3"),
    "bench model": ("bench", "model", "--model", "px", "--device", "cpu", "--batches", "1"),
}  # fmt: skip


def bound_by_permissions() -> None:
    """Give away the right of root to write and to read what the permissions of files forbid, for this process."""
    if os.geteuid():
        return
    system = ctypes.CDLL(None, use_errno=True)
    head, sets = (ctypes.c_uint32 * 2)(CAPABILITIES, 0), (ctypes.c_uint32 * 6)()
    assert system.capget(head, sets) == 0
    sets[0] &= ~BYPASS
    assert system.capset(head, sets) == 0


def ended(act: Callable[[], Ended]) -> Ended:
    """How a command ends in a process without that right; what it raises is an error of the test."""
    reads, writes = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reads)
        try:
            torch.set_num_threads(1)
            bound_by_permissions()
            found = act()
            told = json.dumps([found.returncode, found.stdout, found.stderr])
        except BaseException as error:
            told = json.dumps([-1, "", f"Traceback {error!r}"])
        with os.fdopen(writes, "w") as file:
            file.write(told)
        os._exit(0)
    os.close(writes)
    with os.fdopen(reads) as file:
        text = file.read()
    os.waitpid(child, 0)
    return Ended(*json.loads(text))


def refused(found: Ended, *words: str) -> None:
    told = found.stderr.strip().splitlines()[-1]
    assert found.returncode == 1 and "Traceback" not in found.stderr, found
    assert told.startswith("Error: ") and "Permission denied" in told
    assert all(word in told for word in words), told


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if sys.platform != "linux":
        pytest.skip("what root may do is told to Linux")
    at = tmp_path_factory.mktemp("place")
    (at / "clip").mkdir()
    frames = render([Scene((Solid("sphere", "red", x=0.2 * k - 0.4),)) for k in range(5)], size=16)
    for k, frame in enumerate(frames):
        media.write_png(frame, at / "clip" / f"{k}.png")
    (at / "pairs.csv").write_text("a,b\nclip/0.png,clip/4.png\nclip/1.png,clip/3.png\n")
    write_pixel_model(at / "px", 16)
    build(SD1, at / "sd1")
    return at


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder whose permissions a test may take away."""
    at = tmp_path / "folder"
    at.mkdir()
    yield at
    for path in (at, *at.rglob("*")):
        path.chmod(0o755)


KINDS = {"read-only": (0o555, ""), "in a read-only folder": (0o555, "run"), "in a closed folder": (0, "run")}


@pytest.mark.parametrize(
    ("verb", "kind"),
    [
        pytest.param(verb, kind, marks=() if (number + k) % len(KINDS) == 0 else pytest.mark.slow)
        for number, verb in enumerate(VERBS)
        for k, kind in enumerate(KINDS)
    ],
)  # the short form tries one of them with each verb
def test_a_place_that_may_not_be_written_is_a_sentence(place: Path, folder: Path, verb: str, kind: str) -> None:
    mode, below = KINDS[kind]
    folder.chmod(mode)
    out = str(folder / below)
    refused(ended(lambda: typed(*VERBS[verb], "--out", out, cwd=place)), out, "place")
    folder.chmod(0o755)
    assert not list(folder.iterdir())


ONE_RUN = [verb for verb in VERBS if verb != "interpolate many"]  # whose folder is never replaced as a whole


@pytest.mark.parametrize(
    "verb", [verb if verb == "toy" else pytest.param(verb, marks=pytest.mark.slow) for verb in ONE_RUN]
)
def test_a_run_that_is_now_read_only_stays_as_it_is(place: Path, folder: Path, verb: str) -> None:
    words = (*VERBS[verb], "--out", str(folder / "run"))
    assert typed(*words, cwd=place).returncode == 0
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    for path in folder.rglob("*"):
        path.chmod(0o555 if path.is_dir() else 0o444)
    refused(ended(lambda: typed(*words, "--overwrite", cwd=place)), str(folder))
    refused(ended(lambda: typed("report", str(folder / "run"), cwd=place)), str(folder))
    assert before == {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("mode", [pytest.param(0o555, marks=pytest.mark.slow), 0])
def test_a_cache_that_may_not_be_used_is_said_and_does_no_harm(place: Path, folder: Path, mode: int) -> None:
    folder.chmod(mode)
    words = (*PATH, "--method", "global", "--pool-size", "8", "--budget", "40", "--out", str(folder.parent / "run"))
    found = ended(lambda: typed(*words, cwd=place, XDG_CACHE_HOME=str(folder)))
    assert found.returncode == 0, found.stderr
    assert found.stderr.count("cannot be written (Permission denied): what can be reused will be computed") == 1


def test_a_cache_that_may_not_be_removed_is_a_sentence(place: Path, folder: Path) -> None:
    pools = folder / "geodesic" / "pools"
    pools.mkdir(parents=True)
    (pools / "a.safetensors").write_bytes(b"12345")
    pools.chmod(0o555)
    found = ended(lambda: typed("cache", "clear", cwd=place, XDG_CACHE_HOME=str(folder)))
    assert found.returncode == 1 and "1 file there could not be removed" in found.stderr
    folder.chmod(0)
    for words in ((), ("clear",)):
        refused(ended(lambda words=words: typed("cache", *words, cwd=place, XDG_CACHE_HOME=str(folder))), str(folder))
    folder.chmod(0o755)
    pools.chmod(0o755)
    assert (pools / "a.safetensors").is_file()


@pytest.mark.parametrize(
    ("words", "closed", "mode"),
    [
        (("interpolate", "{it}/0.png", "clip/4.png", *FEW), "", 0),
        (("extrapolate", "{it}", *FEW), "", 0),
        (("extrapolate", "{it}", *FEW), "", 0o444),
        (("evaluate", "{it}"), "0.png", 0),
        (("evaluate", "{it}"), "", 0),
        (("invert", "clip/0.png", "--model", "{it}"), "", 0),
        (("invert", "clip/0.png", "--model", "{it}/0.safetensors"), "", 0),
        (("invert", "clip/0.png", "--config", "{it}/0.toml", *FEW), "", 0),
        (("interpolate", "--resume", "{it}"), "", 0),
        (("report", "{it}"), "", 0),
        (("info", "{it}/0.png"), "", 0),
        (("toy", "--points", "{it}/0.csv"), "", 0),
        (("interpolate", "--pairs", "{it}/0.csv", *FEW), "", 0),
        (("finetune", "--model", "px", "--device", "cpu", "--data", "{it}"), "0.png", 0),
        (("latent", "direction", "red", "blue", "--model", "px", "--labels", "{it}/0.csv"), "", 0),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_what_may_not_be_read_is_a_sentence(
    place: Path, folder: Path, words: tuple[str, ...], closed: str, mode: int
) -> None:
    for k in range(2):
        (folder / f"{k}.png").write_bytes((place / "clip" / f"{k}.png").read_bytes())
    (folder / closed).chmod(mode)
    found = ended(lambda: typed(*(word.format(it=folder) for word in words), cwd=place))
    assert found.returncode == 1 and "Traceback" not in found.stderr, found
    told = found.stderr.strip().splitlines()[-1]
    assert told.startswith("Error: ") and str(folder) in told, told
    assert not (place / "runs").exists()
