"""A cache is checked, not believed."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from geodesic_cli.runs.cache import kept
from geodesic_cli.runs.places import cache_folder


def test_what_is_kept_is_made_once(tmp_path: Path) -> None:
    made: list[int] = []
    for _ in range(2):
        kept(tmp_path, "name", lambda: made.append(1) or torch.arange(3.0))
    assert made == [1]


@pytest.mark.parametrize("change", ["value", "rows", "dtype", "nan", "cut", "empty", "without a digest"])
def test_a_changed_file_is_made_anew(tmp_path: Path, change: str) -> None:
    right = torch.arange(6.0).reshape(3, 2)
    assert torch.equal(kept(tmp_path, "name", lambda: right), right)
    file = tmp_path / "name.safetensors"
    tensor = load_file(file)["it"]
    changed = {"value": tensor + 1, "rows": tensor[:2], "dtype": tensor.double(), "nan": tensor * float("nan")}
    if change in changed or change == "without a digest":
        save_file({"it": changed.get(change, tensor).contiguous()}, file)
    else:
        file.write_bytes(b"" if change == "empty" else file.read_bytes()[:-4])
    made: list[int] = []
    again = kept(tmp_path, "name", lambda: made.append(1) or right)
    assert made == [1]
    assert torch.equal(again, right)
    assert torch.equal(load_file(file)["it"], right)


def test_without_a_home_nothing_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> Path:
        raise RuntimeError("no home")

    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", homeless)
    assert cache_folder("pools") is None
