from pathlib import Path

import pytest
from PIL import Image

from geodesic_cli.plots.spectrum import spectra


@pytest.mark.parametrize("whole", [True, False])
def test_spectra_of_two_models_are_a_panel_for_each_level(tmp_path: Path, whole: bool) -> None:
    one, two = ([3.0, 2.0, 1.0], [2.5, 1.5, 0.5], [3.5, 2.5, 1.5]), ([2.0, 2.0, 2.0], [2.0] * 3, [2.0] * 3)
    levels = {"tau 0.5": {"a": one, "_b": two}, "tau 1": {"a": two, "_b": one}}
    spectra(levels, tmp_path / "two.png", whole)
    spectra({"tau 1": {"a": one}}, tmp_path / "one.png", whole)
    with Image.open(tmp_path / "two.png") as wide, Image.open(tmp_path / "one.png") as narrow:
        assert wide.width > 1.5 * narrow.width
    first = (tmp_path / "one.png").read_bytes()
    spectra({"tau 1": {"a": one}}, tmp_path / "one.png", whole)
    assert (tmp_path / "one.png").read_bytes() == first
