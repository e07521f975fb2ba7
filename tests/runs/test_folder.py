"""What a run's folder promises: nothing of anybody's is lost, and whatever is there is whole and of one run."""

import errno
import json
import math
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import torch

from geodesic_cli import __version__, media
from geodesic_cli.errors import GeodesicError, InputError, OutputError
from geodesic_cli.runs.folder import RunDirectory, settings_hash, to_toml
from geodesic_cli.runs.lock import LOCK

SETTINGS = {
    "images": [Path("a.png"), Path("b.png")],
    "prompt": 'ein "Täßchen"\n\t\\ \x7f \x00 🐈',
    "negative_prompt": None,
    "alpha": 1e-05,
    "tau": 0.6,
    "size": (512, 768),
    "seed": 7,
    "resume": False,
    "out": "somewhere",
}


def start(path, settings=SETTINGS, **flags):
    return RunDirectory.open(path, settings, command="geodesic interpolate a.png b.png", **flags)


def manifest(path):
    return json.loads((path / "manifest.json").read_text())


def names(path):
    """Files below a folder, without the lock of a run that was not closed."""
    return sorted(file.relative_to(path).as_posix() for file in path.rglob("*") if file.is_file() and file.name != LOCK)


def no_space(*_, **__):
    raise OSError(errno.ENOSPC, "No space left on device")


# --- opening


def test_opening_makes_the_folder_with_manifest_settings_and_log(tmp_path):
    path = tmp_path / "deep" / "run"
    start(path)
    assert names(path) == ["config.toml", "log.txt", "manifest.json"]
    found = manifest(path)
    assert found["status"] == "running"
    assert found["command"] == "geodesic interpolate a.png b.png"
    assert found["seed"] == 7
    assert found["settings"]["images"] == ["a.png", "b.png"]
    assert found["settings_hash"] == settings_hash(SETTINGS)
    assert found["files"] == ["config.toml", "log.txt"]
    assert found["versions"]["geodesic-cli"] == __version__
    assert {"python", "platform", "torch", "diffusers"} <= found["versions"].keys()


def test_an_empty_folder_is_used(tmp_path):
    start(tmp_path)
    assert manifest(tmp_path)["status"] == "running"


@pytest.mark.parametrize(("count", "words"), [(1, "1 file"), (3, "3 files"), (1002, "more than 1000 files")])
def test_a_folder_with_files_is_refused_and_left_alone(tmp_path, count, words):
    (tmp_path / "sub").mkdir()
    for i in range(count):
        (tmp_path / "sub" / f"{i}.txt").write_text("mine")
    before = names(tmp_path)
    with pytest.raises(OutputError) as caught:
        start(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path} is not empty ({words}). Pass --overwrite to replace the files of the earlier run, "
        "--resume to go on with it, or another --out."
    )
    assert names(tmp_path) == before


@pytest.mark.parametrize("flag", ["overwrite", "resume"])
@pytest.mark.parametrize("content", [None, b"{", b"[]", b"{}", b'{"files": 5, "settings": {}}', b"\xff\xfe"])
def test_a_folder_without_a_manifest_is_refused_even_with_a_flag(tmp_path, flag, content):
    (tmp_path / "thesis.txt").write_text("mine")
    if content is not None:
        (tmp_path / "manifest.json").write_bytes(content)
    before = names(tmp_path)
    with pytest.raises(OutputError) as caught:
        start(tmp_path, **{flag: True})
    assert str(caught.value) == (
        f"{tmp_path} is not empty ({len(before)} file{'s' * (len(before) > 1)}) and holds no readable manifest.json "
        "of an earlier run. Pass another --out."
    )
    assert names(tmp_path) == before


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "run").write_text("mine")
    for flags in ({}, {"resume": True}, {"overwrite": True}):
        with pytest.raises(OutputError) as caught:
            start(tmp_path / "run", **flags)
        assert str(caught.value) == f"A folder is needed, and {tmp_path / 'run'} is a file. Pass another --out."
    with pytest.raises(OutputError, match=r"cannot be written \(Not a directory\)\. Choose another place\.$"):
        start(tmp_path / "run" / "deeper")
    assert (tmp_path / "run").read_text() == "mine"


def test_both_flags_at_once_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"^Either --resume or --overwrite is needed, not both\. Pass one of them\.$"):
        start(tmp_path, resume=True, overwrite=True)


@pytest.mark.parametrize("call", ["mkdir", "write_bytes", "replace"])
def test_a_full_disk_at_the_start_gives_one_sentence(tmp_path, monkeypatch, call):
    monkeypatch.setattr(Path, call, no_space)
    with pytest.raises(OutputError) as caught:
        start(tmp_path / "run" if call == "mkdir" else tmp_path)
    assert str(caught.value).endswith(
        "cannot be written (No space left on device). Free some space or choose another place."
    )


def test_a_folder_without_permission_gives_one_sentence(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(OutputError, match=r"\(Permission denied\)\. Choose a place that you may write to\.$"):
        start(tmp_path / "run")


# --- overwriting


def test_overwriting_deletes_what_the_manifest_lists_and_nothing_else(tmp_path):
    run = start(tmp_path)
    run.write_text("frames/00000.txt", "old")
    run.write_text("frames/00001.txt", "old")
    run.finish("Converged.", {})
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "frames" / "mine.txt").write_text("mine")
    run = start(tmp_path, {"alpha": 2.0}, overwrite=True)
    assert not run.has("frames/00000.txt")
    run.write_text("frames/00000.txt", "new")
    assert names(tmp_path) == [
        "config.toml",
        "frames/00000.txt",
        "frames/mine.txt",
        "log.txt",
        "manifest.json",
        "notes.txt",
    ]
    assert (tmp_path / "notes.txt").read_text() == (tmp_path / "frames" / "mine.txt").read_text() == "mine"
    assert manifest(tmp_path)["settings"] == {"alpha": 2.0}


def test_overwriting_an_empty_folder_simply_starts(tmp_path):
    assert start(tmp_path, overwrite=True).folder == tmp_path


def test_a_manifest_that_points_out_of_the_folder_deletes_nothing_there(tmp_path):
    path, outside = tmp_path / "run", tmp_path / "outside"
    start(path)
    outside.mkdir()
    (outside / "a.txt").write_text("mine")
    (path / "link").symlink_to(outside)
    (path / "folder").mkdir()
    listed = ["../outside/a.txt", str(outside / "a.txt"), "link/a.txt", "folder", "gone.txt", "."]
    (path / "manifest.json").write_text(json.dumps({**manifest(path), "files": listed}))
    with pytest.raises(OutputError, match=r"config\.toml is in the way: it is not a file of this run\. Move it, or "):
        start(path, overwrite=True)
    assert (outside / "a.txt").read_text() == "mine" and (path / "folder").is_dir()


def test_a_file_that_is_not_of_the_run_is_never_replaced(tmp_path):
    run = start(tmp_path)
    (tmp_path / "sheet.png").write_text("mine")
    (tmp_path / "dangling").symlink_to("nowhere")
    for write in (
        lambda: run.write_text("sheet.png", "new"),
        lambda: run.write_png("sheet.png", torch.zeros(3, 8, 8)),
        lambda: run.path("sheet.png"),
    ):
        with pytest.raises(OutputError) as caught:
            write()
        assert str(caught.value) == (
            f"{tmp_path / 'sheet.png'} is in the way: it is not a file of this run. Move it, or pass another --out."
        )
    with pytest.raises(OutputError, match="is in the way"):
        run.path("dangling")
    assert (tmp_path / "sheet.png").read_text() == "mine"
    assert not run.has("sheet.png")


# --- resuming


def test_a_run_of_the_same_settings_goes_on_with_its_files(tmp_path):
    start(tmp_path).write_text("frames/00000.txt", "old")
    elsewhere = {**SETTINGS, "resume": True, "out": "/absolute/somewhere"}  # neither changes what is computed
    run = start(tmp_path, elsewhere, resume=True)
    assert run.has("frames/00000.txt") and not run.has("frames/00001.txt")
    run.write_text("frames/00000.txt", "new")  # its own files it may replace
    assert [line.split("  ")[1] for line in (tmp_path / "log.txt").read_text().splitlines()] == [
        "Started: geodesic interpolate a.png b.png",
        "Resumed: geodesic interpolate a.png b.png",
    ]


def test_resuming_nothing_simply_starts(tmp_path):
    assert manifest(start(tmp_path / "new", resume=True).folder)["status"] == "running"
    assert "Started" in (tmp_path / "new" / "log.txt").read_text()


def test_resuming_a_finished_run_says_that_it_runs_again_and_adds_the_time(tmp_path):
    start(tmp_path).finish("Converged.", {})
    (tmp_path / "manifest.json").write_text(json.dumps({**manifest(tmp_path), "wall_seconds": 100.0}))
    start(tmp_path, resume=True)
    assert manifest(tmp_path)["status"] == "running"
    assert 100 <= manifest(tmp_path)["wall_seconds"] < 110


def test_resuming_with_other_settings_names_each_that_differs(tmp_path):
    start(tmp_path, {"alpha": 1.0, "prompt": "a cat", "seed": 0, "tau": 0.6, "old": True})
    before = {name: (tmp_path / name).read_bytes() for name in names(tmp_path)}
    with pytest.raises(OutputError) as caught:
        start(tmp_path, {"alpha": 2.0, "prompt": None, "seed": 0, "tau": 0.6, "new": [1, 2]}, resume=True)
    assert str(caught.value) == (
        f"To go on with a run its settings must be the same, and those in {tmp_path} differ: alpha 1.0 -> 2.0, "
        'new absent -> [1, 2], old true -> absent, prompt "a cat" -> null. '
        "Pass the earlier settings, --overwrite to replace the files of the earlier run, or another --out."
    )
    assert before == {name: (tmp_path / name).read_bytes() for name in names(tmp_path)}


def test_a_name_is_listed_before_its_file_is_written_so_that_a_killed_run_can_go_on(tmp_path, monkeypatch):
    run = start(tmp_path)
    with monkeypatch.context() as patch, pytest.raises(OutputError):
        patch.setattr(media, "write_png", no_space_as_output)
        run.write_png("frames/00000.png", torch.zeros(3, 8, 8))
    assert "frames/00000.png" in manifest(tmp_path)["files"]
    run = start(tmp_path, resume=True)
    assert not run.has("frames/00000.png")
    run.write_png("frames/00000.png", torch.zeros(3, 8, 8))
    assert run.has("frames/00000.png")


def no_space_as_output(*_, **__):
    raise OutputError("No space.")


def test_a_subfolder_that_was_deleted_between_sessions_is_made_again(tmp_path):
    start(tmp_path).write_text("frames/00000.txt", "old")
    (tmp_path / "frames" / "00000.txt").unlink()
    (tmp_path / "frames").rmdir()
    start(tmp_path, resume=True).write_text("frames/00000.txt", "new")
    assert (tmp_path / "frames" / "00000.txt").read_text() == "new"


def test_the_hash_knows_neither_order_nor_place_but_every_value():
    assert settings_hash(SETTINGS) == settings_hash(dict(reversed(SETTINGS.items())))
    assert settings_hash(SETTINGS) == settings_hash({**SETTINGS, "out": "x", "overwrite": True})
    assert settings_hash(SETTINGS) == settings_hash({**SETTINGS, "images": ["a.png", "b.png"]})
    assert len({settings_hash(SETTINGS), *(settings_hash({**SETTINGS, key: "?"}) for key in SETTINGS)}) == 8


# --- settings as TOML


def test_settings_are_read_back_from_toml():
    expected = {key: value for key, value in SETTINGS.items() if value is not None}
    expected |= {"images": ["a.png", "b.png"], "size": [512, 768]}
    assert tomllib.loads(to_toml(SETTINGS)) == expected
    assert "negative_prompt" not in to_toml(SETTINGS)


@pytest.mark.parametrize(
    "value",
    [True, False, 0, -1, 2**62, 0.0, -0.0, 1e300, 1e-300, 1e16, 5e-324, math.inf, -math.inf, "", "a'\"b", "\u2028", [],
     [[1, 2], []], ["x", "y"], "C:\\new\\table", "# no comment", "'''", '"""', "\x1f\x7f\x85"],
)  # fmt: skip
def test_every_value_survives_toml(value):
    read = tomllib.loads(to_toml({"value": value, "other key": value}))
    assert read == {"value": value, "other key": value}
    assert type(read["value"]) is type(value)


def test_toml_keeps_nan_and_the_order_of_the_settings():
    assert math.isnan(tomllib.loads(to_toml({"b": math.nan, "a": 1}))["b"])
    assert to_toml({"b": 1, "a": 2}) == "b = 1\na = 2\n"


@pytest.mark.parametrize("value", [{"a": 1}, [None], object(), torch.float32])
def test_a_setting_that_toml_cannot_hold_fails_before_anything_is_written(tmp_path, value):
    with pytest.raises(TypeError, match="a setting is text"):
        start(tmp_path / "run", {"value": value})
    assert not (tmp_path / "run").exists()


def test_config_toml_holds_the_settings(tmp_path):
    start(tmp_path)
    assert (tmp_path / "config.toml").read_text() == to_toml(SETTINGS)


def test_a_path_that_is_no_text_does_not_stop_a_run(tmp_path):
    run = start(tmp_path, {"image": Path("\udcff.png")})
    run.log("\udcff.png")
    assert tomllib.loads((tmp_path / "config.toml").read_text()) == {"image": "?.png"}
    assert manifest(tmp_path)["settings"] == {"image": "\udcff.png"}
    start(tmp_path, {"image": Path("\udcff.png")}, resume=True)


def test_a_line_of_the_log_stays_one_and_moves_no_cursor(tmp_path):
    start(tmp_path).log("evil\x1b[2J\n2026 forged \u202e.png")
    assert (tmp_path / "log.txt").read_text().splitlines()[-1].endswith(r"  evil\x1b[2J\n2026 forged \u202e.png")


def test_what_decides_bits_is_in_the_manifest_and_a_change_of_it_is_told(tmp_path):
    assert start(tmp_path).changed == ""
    found = manifest(tmp_path)
    assert found["versions"]["threads"] == str(torch.get_num_threads()) and found["versions"]["kernels"]
    assert start(tmp_path, resume=True).changed == ""
    older = found["versions"] | {"threads": "64", "torch": "2.0"}
    del older["kernels"]  # an older version did not say
    (tmp_path / "manifest.json").write_text(json.dumps(found | {"versions": older}))
    now = found["versions"]
    changed = start(tmp_path, resume=True).changed
    assert changed == f"torch 2.0 -> {now['torch']}, threads 64 -> {now['threads']}"


# --- the files of the run


def test_json_is_sorted_and_knows_no_infinities(tmp_path):
    run = start(tmp_path)
    run.write_json("a.json", {"b": math.inf, "a": [1.5, math.nan, {"path": Path("x")}], "c": None})
    run.write_json("b.json", {"c": None, "a": (1.5, math.nan, {"path": Path("x")}), "b": math.inf})
    assert json.loads((tmp_path / "a.json").read_text()) == {"a": [1.5, None, {"path": "x"}], "b": None, "c": None}
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()


def test_tensors_and_their_text_are_read_back_bit_for_bit(tmp_path):
    run = start(tmp_path)
    whole = torch.arange(12, dtype=torch.float64).reshape(3, 4) / 7
    tensors = {"path": whole, "transposed": whole.T, "part": whole[1], "half": whole.half(), "empty": torch.zeros(0, 4)}
    run.write_tensors("path.safetensors", tensors, {"alpha": "1.0", "prompt": "Täßchen"})
    read, metadata = run.read_tensors("path.safetensors")
    assert metadata == {"alpha": "1.0", "prompt": "Täßchen"}
    assert read.keys() == tensors.keys()
    assert all(torch.equal(read[key], tensors[key]) and read[key].dtype == tensors[key].dtype for key in read)
    run.write_tensors("bare.safetensors", {"x": whole})
    assert run.read_tensors("bare.safetensors")[1] == {}


def test_the_bytes_of_tensors_do_not_depend_on_the_process(tmp_path):
    program = (
        "import sys, torch; from geodesic_cli.runs.folder import RunDirectory\n"
        "run = RunDirectory.open(sys.argv[1], {'seed': 0}, command='test')\n"
        "run.write_tensors('x.safetensors', {'a': torch.ones(3), 'b': torch.eye(2).double()}, {k: k for k in 'uvwxyz'})"
    )
    for name in ("a", "b"):
        subprocess.run([sys.executable, "-c", program, tmp_path / name], check=True)
    assert (tmp_path / "a/x.safetensors").read_bytes() == (tmp_path / "b/x.safetensors").read_bytes()
    assert (tmp_path / "a/config.toml").read_bytes() == (tmp_path / "b/config.toml").read_bytes()


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, r"^The tensors of a run are needed, and .*x\.safetensors does not exist\. Run it again\.$"),
        (b"", r"^A safetensors file is needed, and .*x\.safetensors is damaged \(.*\)\. Run it again\.$"),
        (b"half a file", r"^A safetensors file is needed, and .*x\.safetensors is damaged \(.*\)\. Run it again\.$"),
    ],
)
def test_tensors_that_cannot_be_read_give_one_sentence(tmp_path, content, sentence):
    run = start(tmp_path)
    if content is not None:
        (tmp_path / "x.safetensors").write_bytes(content)
    with pytest.raises(InputError, match=sentence):
        run.read_tensors("x.safetensors")


def test_a_frame_holds_the_settings_but_neither_time_nor_place(tmp_path):
    image = torch.linspace(0, 1, 192).reshape(3, 8, 8)
    for name in ("a", "b"):
        run = start(tmp_path / name, {**SETTINGS, "out": name})
        run.write_png("frames/00000.png", image, {"u": 0.25})
    assert (tmp_path / "a/frames/00000.png").read_bytes() == (tmp_path / "b/frames/00000.png").read_bytes()
    found = media.read_metadata(tmp_path / "a/frames/00000.png")
    assert found["u"] == 0.25 and found["version"] == __version__
    assert found["settings"]["alpha"] == 1e-05 and found["settings"]["images"] == ["a.png", "b.png"]
    assert not {"out", "resume"} & found["settings"].keys()


@pytest.mark.parametrize("name", ["", ".", "/etc/passwd", "../a.txt", "a/../b.txt", "a//b.txt"])
def test_a_name_outside_the_folder_is_a_mistake_of_the_caller(tmp_path, name):
    run = start(tmp_path)
    for method in (run.path, lambda name: run.write_text(name, "")):
        with pytest.raises(ValueError, match="a path below its folder"):
            method(name)


@pytest.mark.parametrize("call", ["write_bytes", "replace"])
def test_a_full_disk_during_a_run_gives_one_sentence_and_leaves_whole_files(tmp_path, monkeypatch, call):
    run = start(tmp_path)
    run.write_text("a.txt", "old")
    before = {name: (tmp_path / name).read_bytes() for name in names(tmp_path)}
    for write in (
        lambda: run.write_text("a.txt", "new"),
        lambda: run.write_json("b.json", {}),
        lambda: run.write_tensors("c.safetensors", {"x": torch.zeros(1)}),
        lambda: run.finish("Converged.", {}),
    ):
        with monkeypatch.context() as patch, pytest.raises(OutputError) as caught:
            patch.setattr(Path, call, no_space)
            write()
        assert str(caught.value).endswith(
            "cannot be written (No space left on device). Free some space or choose another place."
        )
    assert before == {name: (tmp_path / name).read_bytes() for name in names(tmp_path)}


def test_a_full_disk_under_the_log_gives_one_sentence(tmp_path, monkeypatch):
    run = start(tmp_path)
    monkeypatch.setattr(Path, "open", no_space)
    with pytest.raises(OutputError, match=r"log\.txt cannot be written \(No space left on device\)\. Free some space"):
        run.log("a line")


def test_each_line_of_the_log_begins_with_the_time(tmp_path):
    start(tmp_path).log("Level 2 of 5.")
    last = (tmp_path / "log.txt").read_text().splitlines()[-1]
    assert last.endswith("  Level 2 of 5.") and last[4] == last[7] == "-" and last[10] == "T"


# --- the end


def test_finishing_writes_metrics_status_and_the_list_of_files_that_are_there(tmp_path):
    run = start(tmp_path)
    run.write_text("b.txt", "")
    run.write_text("a.txt", "")
    run.path("never.mp4")
    run.finish("Converged: the residual is below the tolerance.", {"length": 3.5}, evaluations=120)
    found = manifest(tmp_path)
    assert found["status"] == "Converged: the residual is below the tolerance."
    assert found["evaluations"] == 120 and 0 <= found["wall_seconds"] < 60
    assert found["files"] == ["a.txt", "b.txt", "config.toml", "log.txt", "metrics.json"]
    assert json.loads((tmp_path / "metrics.json").read_text()) == {"length": 3.5}
    assert names(tmp_path) == sorted([*found["files"], "manifest.json"])


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (KeyboardInterrupt(), "Interrupted."),
        (GeodesicError("Out of memory.", "Pass --low-memory."), "Stopped: Out of memory. Pass --low-memory."),
        (ValueError(), "Stopped: ValueError()"),
    ],
)
def test_a_run_that_fails_says_so_in_its_manifest(tmp_path, error, status):
    with pytest.raises(type(error)), start(tmp_path):
        raise error
    assert manifest(tmp_path)["status"] == status
    assert (tmp_path / "log.txt").read_text().rstrip().endswith(status)


def test_a_run_that_ends_well_keeps_its_status(tmp_path):
    with start(tmp_path) as run:
        run.finish("Converged.", {})
    with pytest.raises(KeyError), start(tmp_path, resume=True) as run:
        run.finish("Converged again.", {})
        raise KeyError
    assert manifest(tmp_path)["status"] == "Converged again."


def test_a_failure_is_not_hidden_by_a_full_disk(tmp_path, monkeypatch):
    with pytest.raises(KeyError), start(tmp_path):
        monkeypatch.setattr(Path, "write_bytes", no_space)
        raise KeyError
    assert manifest(tmp_path)["status"] == "running"
