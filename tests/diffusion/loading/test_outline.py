"""A large model is planned for from its shapes: nothing is allocated, and no weights need to be here."""

import json
from pathlib import Path

import pytest
import torch

from geodesic_cli.diffusion.loading import outline as room
from geodesic_cli.diffusion.loading.aliases import MODELS
from geodesic_cli.diffusion.loading.outline import outline
from geodesic_cli.errors import ModelError


@pytest.fixture(autouse=True)
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An empty cache of the Hub, and no network."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


@pytest.mark.parametrize(("name", "operations"), [("sd15", 0.803e12), ("sd21-base", 0.804e12)])
def test_a_published_model_is_known_without_its_files(name: str, operations: float) -> None:
    found = outline(name, torch.float16)
    assert found is not None and found.model.device.type == "meta"
    millions = next(model.millions for model in MODELS if model.name == name)
    assert found.weights / 1e6 == pytest.approx(millions, rel=2e-3)
    assert found.model.image_size == 512
    assert found.operations((4, 64, 64)) == pytest.approx(operations, rel=0.01)
    assert found.operations((4, 32, 32)) < 0.26 * found.operations((4, 64, 64))


def test_small_models_and_unknown_ones_have_no_outline(tmp_path: Path) -> None:
    for name in ("clevr-mini", "scenes-ddpm", "owner/name"):
        assert outline(name, torch.float32) is None
    with pytest.raises(ModelError, match="There is no model"):
        outline("my-model", torch.float32)


def test_a_folder_is_outlined_from_its_configurations(monkeypatch: pytest.MonkeyPatch) -> None:
    import geodesic_cli

    folder = Path(geodesic_cli.__file__).parent / "assets" / "clevr-mini"
    monkeypatch.setattr(room, "MANY_WEIGHTS", 1000)
    found = outline(str(folder), torch.float32)
    assert found is not None
    assert found.weights / 1e6 == pytest.approx(5.3, rel=0.02)
    config = json.loads((folder / "unet" / "config.json").read_text())
    side = config["sample_size"]
    assert found.operations((config["in_channels"], side, side)) > 1e7
