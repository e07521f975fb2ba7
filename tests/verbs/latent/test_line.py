"""Lines through noise: along the spectrum of the bottleneck, chance, or a file; the noise itself in the middle."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tiny import write_pixel_model

from geodesic_cli.diffusion import LatentDiffusion
from geodesic_cli.diffusion.loading.unconditional import load_unconditional
from geodesic_cli.diffusion.tuning.trainee import Trainee
from geodesic_cli.distortion import measures
from geodesic_cli.errors import InputError
from geodesic_cli.media import read_image
from geodesic_cli.runs.observer import Silent
from geodesic_cli.runs.tensors import read_tensors, write_tensors
from geodesic_cli.settings import LineSettings
from geodesic_cli.verbs.latent.line import LatentLines, along_which, latent_line, stem
from geodesic_cli.verbs.latent.line import run as verb_run
from geodesic_cli.verbs.latent.spectrum import BESIDE
from helpers import Recorder, into_folder

run = into_folder(verb_run)
QUICK = {"frames": 3, "steps": 2}


@pytest.fixture(scope="module")
def pixels(tmp_path_factory: pytest.TempPathFactory) -> LatentDiffusion:
    return load_unconditional(str(write_pixel_model(tmp_path_factory.mktemp("models") / "tiny", 16)), "cpu")


@pytest.fixture(scope="module")
def found(pixels: LatentDiffusion) -> LatentLines:
    return latent_line(model=pixels, against=pixels, noises=2, directions=2, frames=5, steps=2)


def test_the_directions_are_the_top_right_singular_vectors_of_the_bottleneck(
    pixels: LatentDiffusion, found: LatentLines
) -> None:
    for k in range(2):
        x = found.noises[k : k + 1].reshape(1, 3, 16, 16)
        timestep = torch.tensor([float(pixels.predict.schedule.level(1.0)[2])])
        f = Trainee(pixels, {}, False, pixels.predict.unet).bottleneck(
            torch.empty(0, 3, 16, 16), timestep, pixels.prompts.embed("")
        )
        _, values, rows = torch.linalg.svd(measures.jacobian(f, x) @ _off(x.flatten()), full_matrices=False)
        cosine = torch.nn.functional.cosine_similarity(found.vectors[k, :2], rows[:2], dim=1).abs()
        assert cosine.tolist() == pytest.approx([1.0, 1.0], abs=0.02)
        assert found.metrics["singular_values"][k] == pytest.approx(values[:2].tolist(), rel=0.02)


def _off(x: torch.Tensor) -> torch.Tensor:
    """The projection off x."""
    return torch.eye(len(x)) - torch.outer(x, x) / (x @ x)


def test_every_line_goes_through_the_noise_itself_and_keeps_its_norm(found: LatentLines) -> None:
    middle = found.frames[:, :, 2]
    assert torch.allclose(middle, middle[:, :1].expand_as(middle), atol=1e-6)
    assert found.strengths == (-2.0, -1.0, 0.0, 1.0, 2.0)
    lengths = found.vectors.norm(dim=2) / found.noises.norm(dim=1, keepdim=True)
    assert torch.allclose(lengths, torch.ones(2, 3), atol=1e-4)
    assert found.names == ("direction 1", "direction 2", BESIDE)
    assert all(found.metrics["change"][name][2] == pytest.approx(0, abs=1e-6) for name in found.names)


def test_a_model_beside_itself_draws_the_same_lines(found: LatentLines) -> None:
    assert found.against is not None
    assert torch.equal(found.frames, found.against.frames)
    assert found._page().shape[1] > 1.7 * replace(found, against=None)._page().shape[1]


def test_random_lines_are_at_right_angles_to_the_noise_and_the_seed_decides(pixels: LatentDiffusion) -> None:
    one, two = (latent_line(model=pixels, along="random", seed=seed, **QUICK) for seed in (0, 1))
    assert float((one.vectors[0] @ one.noises[0]).abs().max()) < 1e-3 * float(one.noises[0].norm()) ** 2
    assert not torch.equal(one.vectors, two.vectors)
    assert len(one.names) == 3 and BESIDE not in one.names


def test_a_direction_of_a_file_goes_in_its_own_length_beside_chance(pixels: LatentDiffusion, tmp_path: Path) -> None:
    own = torch.arange(768.0)
    write_tensors(tmp_path / "up.safetensors", {"direction": own}, {})
    done = latent_line(model=pixels, along=str(tmp_path / "up.safetensors"), **QUICK)
    assert torch.equal(done.vectors[0, 0], own)
    assert float(done.vectors[0, 1].norm()) == pytest.approx(float(own.norm()), rel=1e-4)
    assert done.names == ("up", BESIDE)


def test_a_run_leaves_its_lines_and_their_pictures(pixels: LatentDiffusion, tmp_path: Path) -> None:
    settings = LineSettings(model=pixels.name, against=pixels.name, device="cpu", directions=1, **QUICK)
    done = run(replace(settings, out=str(tmp_path / "o")), Silent(), "test")
    for end in ("", "against-"):
        assert torch.equal(read_tensors(tmp_path / f"o/{end}lines.safetensors")[0]["noises"], done.noises)
        assert read_image(tmp_path / f"o/{end}frames/000/001/00002.png").shape == (3, 16, 16)
    assert (tmp_path / "o/sheet.png").is_file()


def test_what_cannot_be_gone_along_is_refused(pixels: LatentDiffusion, tmp_path: Path) -> None:
    write_tensors(tmp_path / "other.safetensors", {"direction": torch.ones(7)}, {})
    with pytest.raises(InputError, match=r"has 7 dimensions, and the noise of .* has 768"):
        latent_line(model=pixels, along=str(tmp_path / "other.safetensors"))
    (tmp_path / "bad.safetensors").write_bytes(b"no")
    with pytest.raises(InputError, match="is damaged"):
        latent_line(model=pixels, along=str(tmp_path / "bad.safetensors"))
    with pytest.raises(InputError, match="--along takes spectrum, random, or a file"):
        latent_line(model=pixels, along="spectrum2")
    with pytest.raises(InputError, match="has 768 dimensions; got --directions 767"):
        latent_line(model=pixels, directions=767)
    with pytest.raises(InputError, match="middle one of an odd number"):
        LineSettings(frames=4)
    with pytest.raises(InputError, match=r"at tau 1; got 0\.5"):
        LineSettings(tau=0.5)


def test_the_verdict_names_the_line_of_most_change_and_what_chance_makes() -> None:
    names = ("direction 1", "direction 2", BESIDE)
    assert "most along direction 2 (0.300), along a random direction" in along_which(names, [0.1, 0.3, 0.2], 2)
    assert "change less than that" in along_which(names, [0.1, 0.15, 0.2], 2)
    assert "least along random 1" in along_which(("random 1", "random 2"), [0.1, 0.2], 2)
    assert stem(LineSettings(images=("x/a.png", "b.png"))) == "line-a"


def test_points_that_leave_noise_are_told_of(pixels: LatentDiffusion, tmp_path: Path) -> None:
    write_tensors(tmp_path / "gray.safetensors", {"direction": torch.arange(768.0).sort().values}, {})
    watch = Recorder()
    latent_line(model=pixels, along=str(tmp_path / "gray.safetensors"), observer=watch, **QUICK)
    assert any("of 6 points on the lines are not like noise" in words for words in watch.warnings)
    calm = Recorder()
    latent_line(model=pixels, along="random", observer=calm, **QUICK)
    assert not calm.warnings
