"""A model as it lies on the Hub, and a cache that begins empty, for the tests of where models come from."""

from pathlib import Path

import huggingface_hub.constants as constants
import pipelines
import pytest


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A tiny model as it lies on the Hub, with files that nobody needs."""
    made = pipelines.build(pipelines.SD1, tmp_path_factory.mktemp("hub") / "tiny")
    (made / "safety_checker").mkdir()
    (made / "v1-5-pruned.ckpt").write_bytes(b"a pickle")
    (made / "safety_checker" / "model.safetensors").write_bytes(b"not needed")
    (made / "unet" / "diffusion_pytorch_model.bin").write_bytes(b"a pickle")
    (made / "unet" / "custom.py").write_text("raise SystemExit")
    return made


@pytest.fixture
def cache(tmp_path: Path, monkeypatch) -> Path:
    """An empty cache, and a Hub that may be asked."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    return tmp_path / "cache"
