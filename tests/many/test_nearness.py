"""The bound of LPIPS for pairs of a class: the weights are sought, and nothing takes their place."""

from pathlib import Path

import pytest

from geodesic_cli.errors import InputError
from geodesic_cli.many import nearness
from geodesic_cli.many.nearness import near_for
from geodesic_cli.settings import EvaluateSettings


def test_without_weights_it_is_refused_and_without_a_bound_nothing_is_sought(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    assert near_for(EvaluateSettings(pairs="x")) is None
    with pytest.raises(InputError, match="--lpips-below needs"):
        near_for(EvaluateSettings(pairs="x", lpips_below=0.5))


def test_the_distance_is_asked_of_the_two_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    from geodesic_cli import media

    (tmp_path / nearness.NEEDS["lpips"].file).write_bytes(b"")
    monkeypatch.setattr(nearness, "lacking", lambda *_: "")
    monkeypatch.setattr(nearness, "lpips", lambda *_: lambda a, b: (a - b).abs().mean((1, 2, 3)))
    files = []
    for k, gray in enumerate((0.0, 0.2, 0.9)):
        files.append(tmp_path / f"{k}.png")
        media.write_png(torch.full((3, 16, 16), gray), files[-1])
    near = near_for(EvaluateSettings(pairs="x", lpips_below=0.5, metric_weights=str(tmp_path)))
    assert near is not None
    assert near(files[0], files[1]) and not near(files[0], files[2])
