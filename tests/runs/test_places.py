"""The cache can be found, measured and emptied, and nothing else is touched."""

from pathlib import Path

import pytest

from geodesic_cli.runs.cache import told_cache
from geodesic_cli.runs.places import Stored, clear, stored_in


def test_what_is_kept_is_counted_and_removed_and_links_are_not_followed(tmp_path: Path) -> None:
    root, outside = tmp_path / "geodesic", tmp_path / "outside"
    for name, size in (("pools/a.safetensors", 10), ("pools/b/c.safetensors", 5), ("text/d.safetensors", 3)):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x" * size)
    outside.mkdir()
    (outside / "theirs").write_text("theirs")
    (root / "linked").symlink_to(outside)
    assert stored_in(root)[1:] == [Stored("pools", 2, 15), Stored("text", 1, 3)]
    assert clear(root) == [Stored("pools", 2, 15), Stored("text", 1, 3)]
    assert (outside / "theirs").read_text() == "theirs"
    assert [one.kind for one in stored_in(root)] == ["linked"]
    assert stored_in(tmp_path / "nowhere") == [] == clear(tmp_path / "nowhere")


def test_a_cache_that_cannot_be_written_is_said_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    said: list[str] = []
    folder = tmp_path / "file" / "geodesic" / "pools"
    for _ in range(3):
        assert told_cache(folder, said.append) == folder
    assert len(said) == 1 and str(folder) in said[0] and "cannot be written" in said[0]
    assert told_cache(None, said.append) is None
    good = tmp_path / "good" / "pools"
    assert told_cache(good, said.append) == good and len(said) == 1
    assert list(good.iterdir()) == []


def test_the_commands_show_and_empty_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from typer.testing import CliRunner

    from geodesic_cli.cli.app import app

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (tmp_path / "geodesic" / "pools").mkdir(parents=True)
    (tmp_path / "geodesic" / "pools" / "a.safetensors").write_bytes(b"x" * 2500)
    run = CliRunner().invoke
    shown = run(app, ["cache"]).stdout
    assert str(tmp_path / "geodesic") in shown and "2.5 kB" in shown and "samples of models" in shown
    assert '"files": 1' in run(app, ["cache", "--json"]).stdout
    assert "Removed 1 file, 2.5 kB" in run(app, ["cache", "clear"]).stdout
    assert "was empty" in run(app, ["cache", "clear"]).stdout
    assert "It is empty" in run(app, ["cache"]).stdout
    monkeypatch.setattr(Path, "home", lambda: (_ for _ in ()).throw(RuntimeError()))
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert "no home" in run(app, ["cache"]).stdout
