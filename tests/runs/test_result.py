"""What a verb gives back to Python: it can be saved, seen and printed."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from torch import Tensor

import geodesic_cli
from geodesic_cli import media
from geodesic_cli.diffusion import LatentDiffusion
from geodesic_cli.errors import OutputError

QUICK = {"method": "slerp", "frames": 3, "steps": 2, "pacing": "path"}


@pytest.fixture(scope="module")
def result(model: LatentDiffusion, pair: Tensor):
    """A path between an array and a PIL image."""
    arrays = (pair.movedim(1, -1) * 255).round().byte().numpy()
    return geodesic_cli.interpolate(arrays[0], Image.fromarray(arrays[1]), model=model, **QUICK)


def test_the_forms_of_an_image_make_no_difference(result, model: LatentDiffusion, files: tuple[str, str]) -> None:
    again = geodesic_cli.interpolate(*files, model=model, **QUICK)
    assert np.array_equal(again.frames.numpy(), result.frames.numpy())
    batch = np.stack([np.asarray(Image.open(file)) for file in files])
    for given in ([batch], [list(batch)], [Path(files[0]), batch[1]]):
        again = geodesic_cli.interpolate(*given, model=model, **QUICK)
        assert np.array_equal(again.frames.numpy(), result.frames.numpy())


def test_it_is_printed_in_one_line(result) -> None:
    assert repr(result) == f"<Interpolation: 3 pictures of 64x64. {result.status}>"


def test_it_becomes_pil_images_and_a_page(result) -> None:
    frames = result.to_pil()
    assert [frame.size for frame in frames] == [(64, 64)] * 3
    assert np.array_equal(np.asarray(frames[1]), media.to_pil(result.frames[1:2])[0])
    assert result.sheet().size[0] > 3 * 64


def test_a_notebook_shows_the_sentence_and_the_page(result) -> None:
    assert result._repr_png_().startswith(b"\x89PNG")
    shown = result._repr_html_()
    assert shown.count("<img") == 1 and "data:image/png;base64," in shown and result.status in shown
    assert "http" not in shown and "<script" not in shown


def test_it_is_saved_with_its_settings_and_not_over_something_else(result, tmp_path: Path) -> None:
    folder = result.save(tmp_path / "mine")
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert {"frames/00002.png", "sheet.png", "video.mp4", "video.gif", "metrics.json", "config.toml"} <= names
    assert media.read_metadata(folder / "frames" / "00001.png")["settings"]["method"] == "slerp"
    with pytest.raises(OutputError, match=r"not empty\. Pass overwrite=True"):
        result.save(folder)
    (folder / "note.txt").write_text("mine")
    result.save(folder, overwrite=True)
    assert (folder / "note.txt").read_text() == "mine"


def test_results_of_every_kind_can_be_seen_and_saved(model: LatentDiffusion, pair: Tensor, tmp_path: Path) -> None:
    clip = (pair.repeat(2, 1, 1, 1).movedim(1, -1) * 255).round().byte().numpy()
    made = {
        "toy": geodesic_cli.toy("moons", nodes=7, rays=0, gif=False, max_steps=2),
        "inversion": geodesic_cli.invert(clip[0], model=model, steps=2),
        "slerp": geodesic_cli.latent_slerp(list(clip[:2]), model=model, steps=2, frames=3, fit=False),
        "extrapolation": geodesic_cli.extrapolate(clip, model=model, frames=1, substeps=1),
        "analysis": geodesic_cli.video_analyze(list(clip), model=model, draws=1, max_steps=1),
    }
    for name, result in made.items():
        folder = result.save(tmp_path / name)
        assert (folder / "sheet.png").is_file() and (folder / "metrics.json").is_file(), name
        assert len(repr(result)) < 600 and repr(result).startswith(f"<{type(result).__name__}: "), name
        assert result.sheet().size[0] > 60 and "<img" in result._repr_html_(), name


def test_nothing_to_see_is_said(model: LatentDiffusion, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("geodesic_cli.verbs.finetune.run.MEASURED_EXAMPLES", 2)
    measured = geodesic_cli.finetune(model, data="scenes", max_train_steps=1, train_batch_size=1, validation_steps=0)
    assert measured.to_pil() == [] and measured._repr_png_() is None
    with pytest.raises(geodesic_cli.GeodesicError, match="holds no pictures"):
        measured.sheet()
