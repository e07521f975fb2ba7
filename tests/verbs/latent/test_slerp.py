"""From noise to noise: exact ends, the norm of noise all the way, and the same frames for the same seed."""

from pathlib import Path

import pytest
import torch
from tiny import write_pixel_model
from torch import Tensor

from geodesic_cli.diffusion import LatentDiffusion
from geodesic_cli.diffusion.loading.unconditional import load_unconditional
from geodesic_cli.errors import InputError
from geodesic_cli.media import read_image
from geodesic_cli.runs.names import first_free
from geodesic_cli.runs.observer import Silent
from geodesic_cli.settings import SlerpSettings
from geodesic_cli.verbs.latent.slerp import join, latent_slerp, stem
from geodesic_cli.verbs.latent.slerp import run as verb_run
from helpers import Recorder, decibels, into_folder, normal

run = into_folder(verb_run)

QUICK = {"frames": 4, "steps": 4, "fit": False}


def test_the_great_circle_keeps_the_norm_of_noise_and_the_straight_line_does_not() -> None:
    a, b = normal(2, 4096)
    u = torch.linspace(0, 1, 5, dtype=torch.float64)
    norms = join(a, b, u, "slerp").norm(dim=1) / 64
    assert float((norms - 1).abs().max()) < 0.05
    assert float(join(a, b, u, "lerp")[2].norm()) / 64 == pytest.approx(0.5**0.5, abs=0.05)
    for method in ("slerp", "lerp"):
        ends = join(a, b, u, method)[[0, -1]]
        assert torch.allclose(ends, torch.stack([a, b]), atol=1e-9)


def test_steps_along_the_great_circle_are_equal() -> None:
    a, b = normal(2, 64)
    b = b * (a.norm() / b.norm())
    x = join(a, b, torch.linspace(0, 1, 9, dtype=torch.float64), "slerp")
    steps = (x[1:] - x[:-1]).norm(dim=1)
    assert torch.allclose(steps, steps[:1].expand(8))


def test_the_same_seed_gives_the_same_frames_and_another_does_not(model: LatentDiffusion) -> None:
    one, two = (latent_slerp(model=model, pairs=1, seed=3, **QUICK) for _ in range(2))
    assert torch.equal(one.frames["slerp"], two.frames["slerp"])
    assert not torch.equal(one.ends, latent_slerp(model=model, pairs=1, seed=4, **QUICK).ends)


def test_paths_are_measured_and_both_methods_share_their_ends(model: LatentDiffusion) -> None:
    found = latent_slerp(model=model, pairs=2, compare=True, **QUICK)
    assert set(found.frames) == {"slerp", "lerp"}
    assert found.frames["slerp"].shape == (2, 4, 3, 64, 64)
    assert torch.allclose(found.frames["slerp"][:, [0, -1]], found.frames["lerp"][:, [0, -1]], atol=1e-4)
    for table in found.metrics["paths"].values():
        assert len(table["path_ppl"]) == 2
        assert min(table["relative_length"]) >= 1 - 1e-6
        assert table["summary"]["path_ppl"]["std"] is not None


def test_the_ends_of_a_path_between_images_are_the_images(model: LatentDiffusion, pair: Tensor) -> None:
    found = latent_slerp(*pair, model=model, frames=3, steps=24)
    frames = found.frames["slerp"][0]
    assert decibels(frames[0], pair[0]) > 35
    assert decibels(frames[-1], pair[1]) > 35
    assert found.metrics["evaluations"] == 2 * 24 + 3 * 25


def test_frames_of_scenes_are_judged_by_the_scene_that_fits_them(model: LatentDiffusion, pair: Tensor) -> None:
    found = latent_slerp(*pair, model=model, frames=2, steps=24, fit=True)
    assert found.metrics["paths"]["slerp"]["fit_error_worst"][0] < 0.2  # the two ends are scenes


def test_a_run_leaves_a_sheet_frames_and_the_ends(tmp_path: Path) -> None:
    done = run(SlerpSettings(pairs=2, out=str(tmp_path / "o"), device="cpu", **QUICK), Silent(), "test")
    assert done.folder == tmp_path / "o"
    assert torch.allclose(read_image(tmp_path / "o/frames/001/00003.png"), done.frames["slerp"][1, 3], atol=1 / 255)
    for name in ("sheet.png", "video.gif", "path.safetensors", "metrics.json", "manifest.json"):
        assert (tmp_path / "o" / name).is_file()


def test_what_cannot_be_joined_is_refused(model: LatentDiffusion, pair: Tensor) -> None:
    with pytest.raises(InputError, match="joins two images, or noises"):
        latent_slerp(pair[0], model=model)
    with pytest.raises(InputError, match="are the same"):
        latent_slerp(pair[0], pair[0], model=model)
    with pytest.raises(InputError, match="at tau 1"):
        latent_slerp(model=model, tau=0.5)
    with pytest.raises(InputError, match="at most two prompts"):
        latent_slerp(model=model, prompt=("a", "b", "c"))


def test_frames_are_judged_by_default_only_where_scenes_are_drawn() -> None:
    assert SlerpSettings().fit is True
    assert SlerpSettings(model="sd15").fit is False


def test_folders_are_called_after_the_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert first_free("runs/" + stem(SlerpSettings(images=("a.png", "b.png")))) == "runs/slerp-a-to-b"
    assert first_free("runs/" + stem(SlerpSettings(images=()))) == "runs/slerp"


def test_ends_that_are_no_noise_are_told_of(tmp_path: Path) -> None:
    pixels = load_unconditional(str(write_pixel_model(tmp_path / "tiny", 16)), "cpu")
    stripes = torch.zeros(3, 16, 16)
    stripes[:, :, :8] = 1.0
    watch = Recorder()
    latent_slerp(stripes, stripes.flip(1, 2), model=pixels, frames=2, steps=2, fit=False, observer=watch)
    assert any("noise of 2 of 2 images is not like noise" in words for words in watch.warnings)
