"""What is installed beside this package and does not work: models load without it, and it is named."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from geodesic_cli.diffusion.loading.boundary import reading
from geodesic_cli.errors import ModelError

SAID = "operator torchvision::nms does not exist"


@pytest.fixture
def broken(tmp_path: Path) -> dict[str, str]:
    """An environment with a torchvision that was built for another torch."""
    package, told = tmp_path / "torchvision", tmp_path / "torchvision-0.99.0.dist-info"
    package.mkdir()
    told.mkdir()
    (package / "__init__.py").write_text(f"from torchvision import extension\nraise RuntimeError({SAID!r})\n")
    (package / "extension.py").write_text("")
    (told / "METADATA").write_text("Metadata-Version: 2.1\nName: torchvision\nVersion: 0.99.0\n")
    return os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}


def test_a_torchvision_of_another_build_is_set_aside_and_named(broken: dict[str, str]) -> None:
    code = (
        "from geodesic_cli.diffusion import load\n"
        "from geodesic_cli.errors import InputError\n"
        "from geodesic_cli.evaluation import inception\n"
        "from geodesic_cli.verbs.about.check import check\n"
        "load('clevr-mini', 'cpu')\n"
        "print(*check('cpu').advice, sep='\\n')\n"
        "try:\n    inception()\nexcept InputError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], env=broken, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "torchvision 0.99.0 does not work beside torch" in done.stdout and SAID in done.stdout
    assert "needs the package torchvision, which does not work here" in done.stdout


def test_a_library_that_cannot_be_imported_is_not_called_a_damaged_model() -> None:
    with (
        pytest.raises(
            ModelError, match=r"cannot be imported \(no such symbol\)\. Install geodesic-cli in a fresh"
        ) as told,
        reading("The model 'x' could not be read", "Its files may be cut short."),
    ):
        try:
            raise ImportError("no such symbol")
        except ImportError as reason:
            raise RuntimeError("Failed to import diffusers.models because of the following error") from reason
    assert "cut short" not in str(told.value)
