"""Measures with trained networks: what is said where a package or its weights are missing, and that they work."""

import subprocess
import sys
import warnings
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest
import torch

from geodesic_cli.errors import InputError, ModelError
from geodesic_cli.evaluation import extras, inception, lpips, topiq
from geodesic_cli.evaluation.extras import needed, weights_of
from geodesic_cli.evaluation.lpips_network import LpipsNetwork, lpips_network
from geodesic_cli.evaluation.pretrained import BACKBONES
from helpers import importable_torchvision

URL = "nowhere:/weights/some-net-0123.pth"


def _nothing_installed(name: str) -> str:
    raise PackageNotFoundError(name)


@pytest.mark.parametrize(("package", "call"), [("lpips", lpips), ("torchvision", inception), ("pyiqa", topiq)])
def test_a_package_that_is_missing_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch, package: str, call) -> None:
    monkeypatch.setitem(sys.modules, package, None)  # what Python does with a module that cannot be imported
    monkeypatch.setattr(extras, "version", _nothing_installed)
    with pytest.raises(
        InputError, match=rf"needs the package {package}.*pip install 'geodesic-cli\[(metrics|topiq)\]'"
    ):
        call()


def test_a_package_of_another_build_is_told_from_a_missing_one() -> None:
    with pytest.raises(InputError, match="torchvision of the same build"), needed("torchvision", "metrics"):
        raise RuntimeError("operator torchvision::nms does not exist\nand more")


def test_a_package_that_was_set_aside_is_told_from_a_missing_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchvision", None)
    monkeypatch.setattr(extras, "version", {"torchvision": "0.1"}.__getitem__)
    with pytest.raises(InputError, match=r"does not work here.*torchvision of the same build"):
        inception()


def test_an_unknown_backbone_is_refused_before_anything_is_imported() -> None:
    with pytest.raises(InputError, match="alex, vgg; got 'squeeze'"):
        lpips("squeeze")


def test_weights_that_are_not_in_the_folder_named_are_not_looked_for_elsewhere(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=rf"LPIPS needs the file some-net-0123.pth, and there is none in {tmp_path}"):
        weights_of("LPIPS", URL, str(tmp_path), "import this")


def test_weights_that_cannot_be_fetched_say_how_to_get_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(ModelError, match=r"cannot be fetched.*unknown url.*python -c \"import this\" fetches it into"):
        weights_of("FID", URL, None, "import this")


def test_damaged_weights_are_named(tmp_path: Path) -> None:
    (tmp_path / "some-net-0123.pth").write_bytes(b"not weights")
    with pytest.raises(ModelError, match=r"some-net-0123\.pth is damaged"):
        weights_of("FID", URL, str(tmp_path), "import this")


def test_importing_the_room_imports_none_of_these_packages() -> None:
    code = (
        "import sys, geodesic_cli.evaluation; "
        "assert not {'lpips', 'torchvision', 'pyiqa', 'sklearn'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# --- with the packages of the extra, and random weights in place of trained ones -------------------------------------


def saved(network: torch.nn.Module, url: str, folder: Path) -> str:
    """The state of a network as the file that its package would download."""
    torch.save(network.state_dict(), folder / url.rpartition("/")[2])  # noqa: TID251  the format of these packages
    return str(folder)


@pytest.mark.parametrize("net", ["alex", "vgg"])
def test_lpips_is_the_package_s_own_number_for_the_same_weights(net: str, tmp_path: Path) -> None:
    importable_torchvision()
    package, models = pytest.importorskip("lpips"), pytest.importorskip("torchvision.models")
    torch.manual_seed(0)
    backbone, kind = {
        "alex": (models.alexnet, models.AlexNet_Weights.IMAGENET1K_V1),
        "vgg": (models.vgg16, models.VGG16_Weights.IMAGENET1K_V1),
    }[net]
    network = backbone(weights=None)
    ours = lpips(net, saved(network, kind.url, tmp_path))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = package.LPIPS(net=net, pnet_rand=True, verbose=False).eval()
    for key, value in theirs.net.named_parameters():
        value.data.copy_(network.state_dict()[f"features.{key.partition('.')[2]}"])
    a, b = torch.rand(2, 2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    assert torch.allclose(ours(a, b), theirs(2 * a - 1, 2 * b - 1).flatten(), rtol=1e-5)
    assert ours(a, a).tolist() == [0, 0]
    a.requires_grad_()
    ours(a, b).sum().backward()
    assert float(a.grad.abs().sum()) > 0
    assert "LPIPS" in ours.name


def test_inception_gives_2048_features_an_image_whatever_its_size(tmp_path: Path) -> None:
    importable_torchvision()
    models = pytest.importorskip("torchvision.models")
    torch.manual_seed(0)
    network = models.inception_v3(weights=None, init_weights=False)
    features = inception(saved(network, models.Inception_V3_Weights.IMAGENET1K_V1.url, tmp_path))
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    found = features(images)
    assert found.shape == (2, 2048)
    assert torch.allclose(found[:1], features(images[:1]), atol=1e-5)


@pytest.mark.parametrize("net", ["alex", "vgg"])
def test_lpips_needs_no_torchvision_and_refuses_another_backbone(
    net: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the files as their packages have them, and nothing of the packages imported."""
    for name in ("torchvision", "lpips.lpips"):
        monkeypatch.setitem(sys.modules, name, None)
    place, weights = tmp_path / "lpips", tmp_path / "lpips" / "weights" / "v0.1"
    weights.mkdir(parents=True)
    (place / "__init__.py").write_text("raise ImportError('not to be imported')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "lpips", raising=False)
    network = LpipsNetwork(net)
    channels = {f"lin{k}.model.1.weight": torch.rand(1, len(each), 1, 1) for k, each in enumerate(network.weights)}
    torch.save(channels, weights / f"{net}.pth")  # noqa: TID251  the format of these packages
    url = BACKBONES[net]
    state = {key: value for key, value in network.state_dict().items() if key.startswith("features.")}
    torch.save(state, tmp_path / url.rpartition("/")[2])  # noqa: TID251
    distance = lpips(net, str(tmp_path))
    a, b = torch.rand(2, 2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    assert distance(a, a).tolist() == [0, 0] and bool((distance(a, b) > 0).all())
    with pytest.raises(ModelError, match="are none of"):
        lpips_network("vgg" if net == "alex" else "alex", state, {})
