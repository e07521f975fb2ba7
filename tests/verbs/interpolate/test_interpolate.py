"""From two images to a run directory: exact ends, exact counts, same bits, and nothing lost on the way."""

import copy
import gc
import json
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from torch import Tensor

from geodesic_cli import media
from geodesic_cli.diffusion import LatentDiffusion
from geodesic_cli.errors import GeodesicError, InputError, ModelError, OutputError
from geodesic_cli.frames.keyframes import embed
from geodesic_cli.frames.pacing import Pacer, even_positions, pacer
from geodesic_cli.frames.paths import MEASURED, Problem, clean_latents, positions
from geodesic_cli.geometry import Status
from geodesic_cli.runs.names import first_free
from geodesic_cli.runs.observer import Silent
from geodesic_cli.settings import InterpolateSettings
from geodesic_cli.settings.methods import METHODS
from geodesic_cli.verbs.interpolate.run import Interpolation, interpolate, stem
from geodesic_cli.verbs.interpolate.run import run as verb_run
from helpers import Recorder, decibels, into_folder

run = into_folder(verb_run)

QUICK = {"frames": 5, "nodes": 9, "steps": 6, "tau": 0.6, "bend": 1.0, "pacing": "path"}
PROMPTS = ("a blue rubber cube", "a yellow rubber cylinder")


def settings(files: tuple[str, str], out: Path, **changes) -> InterpolateSettings:
    return InterpolateSettings(images=files, out=str(out), device="cpu", **{"prompt": PROMPTS, **QUICK, **changes})


def contents(folder: Path) -> dict[str, bytes]:
    """Every file that a run makes, but for those that hold the time."""
    timed = {"manifest.json", "metrics.json", "log.txt", "config.toml"}
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in timed
    }


@pytest.fixture(scope="module")
def result(model: LatentDiffusion, pair: Tensor) -> Interpolation:
    return interpolate(pair[0], pair[1], model=model, prompt=PROMPTS, **QUICK)


@pytest.fixture(scope="module")
def finished(pair: Tensor, tmp_path_factory: pytest.TempPathFactory) -> tuple[tuple[str, str], Path]:
    """Two files, and the folder of a run that has come to its end."""
    place = tmp_path_factory.mktemp("finished")
    for name, image in zip(("a.png", "b.png"), pair, strict=True):
        media.write_png(image, place / name)
    files = str(place / "a.png"), str(place / "b.png")
    run(settings(files, place / "run", pacing="even"), Silent(), "first")
    return files, place / "run"


def test_the_first_and_the_last_frame_are_the_inputs_own_encodings(
    result: Interpolation, model: LatentDiffusion, pair: Tensor
) -> None:
    own = model.decode(model.encode(pair), model.latent_shape(64, 64))
    # A decoder on another batch size may round differently in the last bit of float32.
    assert torch.allclose(result.frames[0], own[0], atol=1e-5)
    assert torch.allclose(result.frames[-1], own[1], atol=1e-5)


@pytest.mark.parametrize("frames", [2, 3, 6])
def test_the_number_of_frames_is_exact(model: LatentDiffusion, pair: Tensor, frames: int) -> None:
    made = interpolate(pair[0], pair[1], model=model, method="slerp", **{**QUICK, "frames": frames})
    assert made.frames.shape == (frames, 3, 64, 64)


def test_the_path_ends_in_the_encoded_images_with_their_own_norms(
    model: LatentDiffusion, pair: Tensor, result: Interpolation
) -> None:
    ends = embed(model, pair, PROMPTS, 0.6, QUICK["steps"])
    assert abs(float(ends.x[0].norm() - ends.x[1].norm())) > 1e-3  # or the test would say nothing
    x = result.path(torch.tensor([0.0, 1.0], dtype=torch.float64))
    assert torch.allclose(x, ends.x, rtol=1e-12)


def test_the_geodesic_solves_its_equation_and_is_shorter_than_slerp(result: Interpolation, model, pair) -> None:
    assert result.converged
    assert result.report.relative_residual <= 2 * InterpolateSettings(images=("a", "b")).tol
    ends = embed(model, pair, PROMPTS, 0.6, QUICK["steps"])
    problem = Problem.between(model, ends, bend=1.0, alpha=None, nodes=9, guidance=1.0, seed=0)
    ours, slerp = problem.metric.log_length(result.path.curve), problem.metric.log_length(problem.slerp().curve)
    assert float(ours) < float(slerp)
    assert result.report.mean_log_density > problem.measure(problem.slerp()).mean_log_density


def test_a_bend_of_zero_is_slerp(model: LatentDiffusion, pair: Tensor) -> None:
    straight = interpolate(pair[0], pair[1], model=model, **{**QUICK, "bend": 0.0, "tol": 1e-3})
    slerp = interpolate(pair[0], pair[1], model=model, method="slerp", **QUICK)
    assert torch.allclose(straight.frames, slerp.frames, atol=0.02)


def test_alpha_overrides_bend_and_either_tells_the_other(model: LatentDiffusion, pair: Tensor) -> None:
    one = interpolate(pair[0], pair[1], model=model, **{**QUICK, "bend": 1.5})
    other = interpolate(pair[0], pair[1], model=model, alpha=one.path.alpha, **QUICK)
    assert other.path.bend == pytest.approx(1.5)
    assert torch.equal(one.frames, other.frames)


def test_the_same_seed_gives_the_same_bits(model: LatentDiffusion, pair: Tensor, result: Interpolation) -> None:
    again = interpolate(pair[0], pair[1], model=model, prompt=PROMPTS, **QUICK)
    assert torch.equal(again.frames, result.frames)
    other = interpolate(pair[0], pair[1], model=model, prompt=PROMPTS, seed=1, **QUICK)
    assert not torch.equal(other.path.curve.x, result.path.curve.x)


def test_identical_images_stay_as_they_are(model: LatentDiffusion, pair: Tensor) -> None:
    made = interpolate(pair[0], pair[0], model=model, **{**QUICK, "steps": 20})
    assert made.converged
    # Up to tau and down again is what separates the inner frames from the ends.
    assert decibels(made.frames[0], made.frames[2]) > 50


def test_every_network_evaluation_is_counted(model: LatentDiffusion, pair: Tensor) -> None:
    class Counting:
        seen = 0

        def __getattr__(self, name: str):
            return getattr(model.predict.unet, name)

        def __call__(self, x, timestep, encoder_hidden_states):
            Counting.seen += len(x)
            return model.predict.unet(x, timestep, encoder_hidden_states=encoder_hidden_states)

    counted = replace(model, predict=replace(model.predict, unet=Counting()))
    for guidance, compare in ((1.0, True), (2.0, "none")):
        Counting.seen = 0
        more = {
            **QUICK,
            "frames": 3,
            "steps": 4,
            "prompt": PROMPTS,
            "pacing": "even",
            "compare": compare,
            "guidance": guidance,
        }
        made = interpolate(pair[0], pair[1], model=counted, **more)
        assert Counting.seen == sum(made.metrics["evaluations"].values())
    assert made.metrics["score_evaluations"] == made.path.solution.score_calls
    for method, compare in (("blend", "none"), ("corrected", "none"), ("attention", "none"), ("slerp", "published")):
        Counting.seen = 0
        more = {"prompt": PROMPTS, "pacing": "even", "method": method, "compare": compare}
        made = interpolate(*pair, model=counted, **QUICK | more)
        assert Counting.seen == sum(made.metrics["evaluations"].values())
        assert method != "blend" or made.u.tolist() == pytest.approx([0, 0.25, 0.5, 0.75, 1]), "it is even as it is"
    for method, compare, guidance in (("attention", "blend,slerp", 2.0), ("blend", "none", 1.0)):
        Counting.seen = 0
        more = {"prompt": PROMPTS, "pacing": "features", "method": method, "compare": compare, "guidance": guidance}
        made = interpolate(*pair, model=counted, **QUICK | more)
        assert Counting.seen == sum(made.metrics["evaluations"].values())
        assert made.metrics["evaluations"]["pacing"] > 0


def test_any_methods_are_compared_and_one_path_is_not_solved_twice(model: LatentDiffusion, pair: Tensor) -> None:
    more = QUICK | {"prompt": PROMPTS, "frames": 3, "method": "geodesic", "solver": "published", "compare": "published"}
    same = interpolate(*pair, model=model, **more)
    both = same.metrics["paths"]
    assert both["published"]["residual"] == both["geodesic"]["residual"]
    alone = interpolate(*pair, model=model, **more | {"compare": "none"}).metrics["evaluations"]["path"]
    assert same.metrics["evaluations"]["path"] == alone + 2 * MEASURED
    assert same.metrics["sources"]["published"].startswith("Yu et al.") and len(same.metrics["sources"]) == 2


def test_a_model_without_attention_is_one_sentence(model: LatentDiffusion, pair: Tensor) -> None:
    class Transformer:
        """Like the network, but without a middle block: no UNet."""

        mid_block = None

        def __getattr__(self, name: str):
            return getattr(model.predict.unet, name)

    other = replace(model, predict=replace(model.predict, unet=Transformer()))
    for more in ({"method": "attention"}, {"method": "slerp", "compare": "attention"}):
        with pytest.raises(ModelError, match="Mixed attention needs a UNet with attention layers"):
            interpolate(*pair, model=other, **QUICK | more)


def test_even_pacing_evens_out_the_visible_steps(model: LatentDiffusion, pair: Tensor) -> None:
    ends = embed(model, pair, PROMPTS, 0.6, 6)
    path = Problem.between(model, ends, bend=1.0, alpha=None, nodes=9, guidance=1.0, seed=0).slerp()

    def spread(u: Tensor) -> float:
        z = clean_latents(model, ends, path, u, 6, 1.0)
        steps = (z[1:] - z[:-1]).norm(dim=1)
        return float(steps.max() / steps.mean())

    u = even_positions(model, ends, path, 7, 6, 1.0)
    assert float(u[0]) == 0
    assert float(u[-1]) == 1
    assert bool((u[1:] >= u[:-1]).all())
    assert spread(u) < spread(positions(7))


def test_a_run_writes_everything_that_a_person_looks_for(files: tuple[str, str], tmp_path: Path) -> None:
    out = tmp_path / "run"
    made = run(settings(files, out, compare=True), Silent(), "geodesic interpolate a.png b.png")
    assert [path.name for path in sorted((out / "frames").iterdir())] == [f"{k:05d}.png" for k in range(5)]
    for name in ("sheet.png", "video.mp4", "video.gif", "density.png", "convergence.png", "config.toml", "log.txt"):
        assert (out / name).stat().st_size > 0, name
    metrics = json.loads((out / "metrics.json").read_text())
    assert set(metrics["paths"]) == {"lerp", "slerp", "geodesic"}
    assert metrics["score_evaluations"] == made.path.solution.score_calls > 0
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["status"] == made.status == Status.CONVERGED.value
    assert manifest["settings"]["fps"] == InterpolateSettings(images=files).fps
    on_disk = {str(p.relative_to(out)) for p in out.rglob("*") if p.is_file()}
    assert set(manifest["files"]) | {"manifest.json"} == on_disk | {"manifest.json"}
    read = torch.stack([media.read_image(out / "frames" / f"{k:05d}.png") for k in range(5)])
    assert torch.allclose(read, made.frames, atol=0.5 / 255 + 1e-6)
    assert media.read_metadata(out / "frames" / "00002.png")["settings"]["tau"] == 0.6


@pytest.mark.slow
def test_a_run_that_is_stopped_again_and_again_resumes_to_the_same_bytes(
    finished: tuple[tuple[str, str], Path], tmp_path: Path
) -> None:
    files, whole = finished
    stops = [("Encoding", 1), ("Solving", 2), ("Pacing", 1), ("Drawing", 1), ("Writing", 2)]
    for number, (stage, after) in enumerate(stops):
        with pytest.raises(KeyboardInterrupt):
            resume = number > 0
            run(settings(files, tmp_path, pacing="even", resume=resume), Recorder(stage, after), "broken")
    run(settings(files, tmp_path, pacing="even", resume=True), Silent(), "resumed")
    assert contents(tmp_path) == contents(whole)


@pytest.mark.slow
def test_another_solver_resumes_to_the_same_bytes(files: tuple[str, str], tmp_path: Path) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    run(settings(files, whole, solver="relaxation"), Silent(), "whole")
    with pytest.raises(KeyboardInterrupt):
        run(settings(files, broken, solver="relaxation"), Recorder("Solving", 3), "broken")
    run(settings(files, broken, solver="relaxation", resume=True), Silent(), "resumed")
    assert contents(broken) == contents(whole)


def test_both_solvers_find_the_same_path_and_the_surrogate_with_fewer_evaluations(
    model: LatentDiffusion, pair: Tensor
) -> None:
    ends = embed(model, pair, PROMPTS, 0.6, QUICK["steps"])
    problem = Problem.between(model, ends, bend=2.0, alpha=None, nodes=17, guidance=1.0, seed=0)
    ours, other = (problem.geodesic(name, tol=0.02, max_steps=60) for name in ("surrogate", "relaxation"))
    assert ours.solution.converged
    assert other.solution.converged
    u = positions(33)
    apart = (ours(u) - other(u)).norm(dim=1).max() / ours.curve.length
    assert float(apart) < 0.02
    assert ours.solution.score_calls < 0.6 * other.solution.score_calls


def test_resuming_does_not_redo_what_is_on_disk(finished: tuple[tuple[str, str], Path], monkeypatch) -> None:
    files, out = finished

    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("this was done already")

    monkeypatch.setattr("geodesic_cli.verbs.interpolate.run.embed_all", refuse)
    monkeypatch.setattr("geodesic_cli.verbs.interpolate.drawing.spaced", refuse)
    monkeypatch.setattr(LatentDiffusion, "decode", refuse)
    again = run(settings(files, out, pacing="even", resume=True), Silent(), "again")
    assert again.converged


def test_other_images_are_not_mixed_into_a_run(finished: tuple[tuple[str, str], Path]) -> None:
    files, out = finished
    before = Path(files[0]).read_bytes()
    media.write_png(torch.rand(3, 64, 64, generator=torch.Generator().manual_seed(0)), files[0])
    with pytest.raises(InputError, match="not those that this run was begun with"):
        run(settings(files, out, pacing="even", resume=True), Silent(), "second")
    Path(files[0]).write_bytes(before)


def test_another_model_is_not_mixed_into_a_run(
    finished: tuple[tuple[str, str], Path], model: LatentDiffusion, monkeypatch: pytest.MonkeyPatch
) -> None:
    files, out = finished
    scaled = copy.deepcopy(model.predict.unet)
    for weight in scaled.parameters():
        weight.mul_(1.01)
    other = replace(model, predict=replace(model.predict, unet=scaled))
    assert other.fingerprint != model.fingerprint
    monkeypatch.setattr("geodesic_cli.runs.opening.open_model", lambda *arguments: other)
    with pytest.raises(InputError, match="model's weights, dtype or kind of device"):
        run(settings(files, out, pacing="even", resume=True), Silent(), "second")


def test_an_overwrite_that_will_be_refused_destroys_nothing(finished: tuple[tuple[str, str], Path]) -> None:
    files, out = finished
    before = contents(out)
    for size in ("3", "huge"):
        with pytest.raises(InputError):
            run(settings(files, out, overwrite=True, size=size), Silent(), "second")
    assert contents(out) == before


def test_guidance_leads_up_and_down_the_same_way(model: LatentDiffusion, pair: Tensor) -> None:
    ends = embed(model, pair, PROMPTS, 0.4, 20, guidance=3.0)
    path = Problem.between(model, ends, bend=1.0, alpha=None, nodes=9, guidance=3.0, seed=0).slerp()
    near = clean_latents(model, ends, path, torch.tensor([1e-6, 1 - 1e-6], dtype=torch.float64), 20, 3.0)
    chord = float((ends.z[1] - ends.z[0]).norm())
    assert float((near - ends.z).norm(dim=1).max()) < 0.05 * chord


@pytest.mark.parametrize(
    "image",
    [torch.zeros(2, 64, 64), torch.full((3, 64, 64), 255.0), torch.zeros(3, 8, 8).long(), torch.zeros(3)],
)
def test_a_tensor_that_is_no_image_is_refused(model: LatentDiffusion, pair: Tensor, image: Tensor) -> None:
    with pytest.raises(InputError, match="image"):
        interpolate(pair[0], image, model=model, **QUICK)


def test_a_picture_that_the_model_cannot_draw_stops_the_run_before_its_folder_unless_it_is_forced(
    files: tuple[str, str], tmp_path: Path
) -> None:
    media.write_png(torch.rand(3, 64, 64, generator=torch.Generator().manual_seed(0)), files[0])
    with pytest.raises(InputError) as caught:
        run(settings(files, tmp_path / "run"), Silent(), "photo")
    text = str(caught.value)
    assert "a.png is not a picture that clevr-mini can draw: its autoencoder brings it back at" in text
    assert "dB" in text and "--model sd15" in text and "--force" in text and "force=True" in text
    assert not (tmp_path / "run").exists()
    watch = Recorder()
    assert run(settings(files, tmp_path / "run", force=True), watch, "photo").frames.shape == (5, 3, 64, 64)
    assert len(watch.warnings) == 1 and "a.png is not a picture that clevr-mini can draw" in watch.warnings[0]


def test_pictures_of_one_colour_are_none_that_stop_a_run(model: LatentDiffusion) -> None:
    red, blue = (torch.tensor(colour)[:, None, None].expand(3, 60, 90) for colour in ((1.0, 0, 0), (0, 0, 1.0)))
    watch = Recorder()
    interpolate(red, blue, model=model, observer=watch, **QUICK)
    assert sum("cannot draw" not in warning and "can draw" in warning for warning in watch.warnings) == 2


def test_every_such_picture_is_counted(model: LatentDiffusion) -> None:
    noise = torch.rand(3, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with pytest.raises(InputError, match=r"^image 1 is not .*\(like 2 more of the images\)"):
        interpolate(*noise, model=model, **QUICK)


def test_images_of_two_sizes_are_brought_to_one_and_wide_ones_are_cropped_with_a_word(
    files: tuple[str, str], pair: Tensor, tmp_path: Path
) -> None:
    media.write_png(media.resize(pair[0], 128, 192), files[0])
    watch = Recorder()
    assert run(settings(files, tmp_path / "wide", method="slerp"), watch, "sizes").frames.shape == (5, 3, 56, 72)
    assert any("72x56, the images' common shape" in warning for warning in watch.warnings)
    with pytest.raises(InputError, match=r"a\.png is 192x128, .*b\.png is 64x64. Pass --size"):
        run(settings(files, tmp_path / "run", size="same"), Silent(), "sizes")
    assert not (tmp_path / "run").exists()
    watch = Recorder()
    made = run(settings(files, tmp_path / "run", size="64", method="slerp"), watch, "sizes")
    assert made.frames.shape == (5, 3, 64, 64)
    assert any("its middle is used" in warning for warning in watch.warnings)


def test_odd_requests_get_a_word(files: tuple[str, str], tmp_path: Path) -> None:
    watch = Recorder()
    same = settings((files[0], files[0]), tmp_path / "same", frames=2, size="136", method="slerp", resume=True)
    run(same, watch, "odd")
    assert len(watch.warnings) == 3
    assert "5 times the area" in watch.warnings[0]
    assert "are the same" in watch.warnings[1]
    assert "starting one" in watch.warnings[2]


def test_other_sizes_than_the_models_own_go_through(files: tuple[str, str], tmp_path: Path) -> None:
    made = run(settings(files, tmp_path / "run", size="96x64", frames=3, method="slerp"), Recorder(), "wide")
    assert made.frames.shape == (3, 3, 64, 96)
    odd = run(settings(files, tmp_path / "other", size="100x60", frames=3, method="slerp"), Recorder(), "odd")
    assert odd.frames.shape == (3, 3, 60, 100)


def test_a_network_that_gives_nan_ends_in_a_sentence(model: LatentDiffusion, pair: Tensor) -> None:
    class Broken:
        def __getattr__(self, name: str):
            return getattr(model.predict.unet, name)

        def __call__(self, x, timestep, encoder_hidden_states):
            made = model.predict.unet(x, timestep, encoder_hidden_states=encoder_hidden_states)
            made.sample = made.sample * float("nan")
            return made

    broken = replace(model, predict=replace(model.predict, unet=Broken()))
    with pytest.raises(ModelError, match=r"not finite.*--dtype fp32"):
        interpolate(pair[0], pair[1], model=broken, **QUICK)


def test_a_full_disk_is_a_sentence_and_what_was_written_stays(
    files: tuple[str, str], tmp_path: Path, monkeypatch
) -> None:
    out = tmp_path / "run"
    whole = Path.write_bytes
    written = 0

    def full(self: Path, data: bytes) -> int:
        nonlocal written
        written += 1
        if written > 12:
            raise OSError(28, "No space left on device")
        return whole(self, data)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        with pytest.raises(OutputError, match=r"(?i)space"):
            run(settings(files, out), Silent(), "full")
    made = run(settings(files, out, resume=True), Silent(), "resumed")
    assert made.converged


def test_a_folder_that_is_in_use_is_refused_and_left_alone(files: tuple[str, str], tmp_path: Path) -> None:
    out = tmp_path / "run"
    out.mkdir()
    (out / "thesis.tex").write_text("all my work")
    for changes in ({}, {"overwrite": True}, {"resume": True}):
        with pytest.raises(OutputError, match="not empty"):
            run(settings(files, out, **changes), Silent(), "careless")
    assert [path.name for path in out.iterdir()] == ["thesis.tex"]


def test_free_folders_are_numbered(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert first_free("runs/" + stem(InterpolateSettings(images=("x/cat.jpg", "dog.png")))) == "runs/cat-to-dog"
    (tmp_path / "runs" / "cat-to-dog").mkdir(parents=True)
    assert first_free("runs/" + stem(InterpolateSettings(images=("x/cat.jpg", "dog.png")))) == "runs/cat-to-dog-2"


def test_the_function_takes_files_and_names_a_misspelt_option(files: tuple[str, str], model: LatentDiffusion) -> None:
    made = interpolate(files[0], files[1], model=model, prompt="a red cube", **QUICK)
    assert made.folder is None
    assert isinstance(made, Interpolation)
    with pytest.raises(GeodesicError, match="frame_count"):
        interpolate(files[0], files[1], model=model, frame_count=3)


@pytest.mark.parametrize("density", ["unconditional", "guided", "negative", "paper"])
def test_every_density_has_a_geodesic_of_its_own_and_its_evaluations_are_counted(
    result: Interpolation, model: LatentDiffusion, pair: Tensor, density: str
) -> None:
    guidance = 2.0 if density in ("guided", "negative") else 1.0
    made = interpolate(*pair, model=model, prompt=PROMPTS, density=density, guidance=guidance, **QUICK)
    assert made.frames.shape == result.frames.shape
    assert not torch.equal(made.path.curve.x, result.path.curve.x)
    branches, transport = (1 if density == "unconditional" else 2), (2 if density == "guided" else 1)
    points = QUICK["nodes"] + MEASURED + made.metrics["score_evaluations"]
    assert made.metrics["evaluations"]["path"] == branches * points + transport * 2 * (
        QUICK["steps"] + 1 + QUICK["steps"] // 4
    )
    if density == "paper":
        assert made.path.alpha == pytest.approx(0.001 * model.predict.schedule.level(QUICK["tau"])[1])


def test_a_noise_bank_costs_its_levels_and_gives_the_same_path_again(model: LatentDiffusion, pair: Tensor) -> None:
    one, two = (interpolate(*pair, model=model, noise_bank=2, noise_band=0.05, **QUICK) for _ in range(2))
    assert torch.equal(one.frames, two.frames)
    points = QUICK["nodes"] + MEASURED + one.metrics["score_evaluations"]
    assert one.metrics["evaluations"]["path"] > 2 * points


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"density": "conditional", "guidance": 3.0}, "The density conditional has no guidance"),
        ({"negative_prompt": "blur"}, "has no negative prompt; got 'blur'"),
        ({"noise_bank": 3, "noise_band": 0.45}, "lie above 0 and below 1"),
        ({"method": "global", "density": "paper"}, "A global search takes the densities conditional and guided"),
        ({"frames": 5, "between": 3}, "Either --frames or --between"),
        ({"timing": "1,-2"}, "--timing is even, length, ease, or a number for each stretch"),
        ({"budget": "soon"}, "--budget takes up to 1000000000 network evaluations, or as many seconds"),
    ],
)
def test_settings_that_contradict_each_other_are_refused_in_one_sentence(changes: dict, message: str) -> None:
    with pytest.raises(InputError) as refused:
        InterpolateSettings(images=("a.png", "b.png"), **changes)
    assert message in str(refused.value)


def test_a_model_of_pixels_interpolates_and_a_prompt_for_it_leaves_the_earlier_run_alone(
    tmp_path: Path, pair: torch.Tensor
) -> None:
    names = [str(tmp_path / name) for name in ("a.png", "b.png")]
    for name, image in zip(names, pair, strict=True):
        media.write_png(image, Path(name))
    settings = InterpolateSettings(
        images=tuple(names), model="scenes-ddpm", frames=3, steps=2, max_steps=2, pacing="path", out=str(tmp_path / "o")
    )
    made = run(settings, Silent(), "")
    assert made.frames.shape[1:] == (3, 32, 32)
    before = (tmp_path / "o" / "sheet.png").read_bytes()
    with pytest.raises(InputError, match="takes no prompt"):
        run(replace(settings, prompt=("a cube",), overwrite=True), Silent(), "")
    assert (tmp_path / "o" / "sheet.png").read_bytes() == before


def test_films_are_written_in_the_formats_that_are_asked_for_with_the_sound_of_a_clip_of_their_length(
    pair: Tensor, tmp_path: Path
) -> None:
    media.write_film(pair[[0, 0, 1]], tmp_path / "silent.mp4", 4)
    with av.open(str(tmp_path / "silent.mp4")) as silent, av.open(str(tmp_path / "clip.mp4"), "w") as film:
        pictures = film.add_stream_from_template(silent.streams.video[0])
        tone = film.add_stream("aac", rate=48_000, layout="mono")
        for packet in silent.demux(video=0):
            if packet.dts is not None:
                packet.stream = pictures
                film.mux(packet)
        for first in range(0, 36_000, 1024):
            frame = av.AudioFrame.from_ndarray(np.ones((1, 1024), np.float32) / 4, format="fltp", layout="mono")
            frame.sample_rate, frame.pts = 48_000, first
            film.mux(tone.encode(frame))
        film.mux(tone.encode())
    clip, quick = (str(tmp_path / "clip.mp4"),), QUICK | {"frames": None, "method": "slerp", "formats": "webm,mp4,apng"}
    quick |= {"prompt": ()}
    watch = Recorder()
    run(settings(clip, tmp_path / "slow", **quick, between=1, fps=2.0), watch, "slow")
    assert any("The sound of" in warning and "--fps 6.667" in warning for warning in watch.warnings)
    watch = Recorder()
    run(settings(clip, tmp_path / "run", **quick, between=1, fps=6.667), watch, "sound")
    assert not any("sound" in warning for warning in watch.warnings)
    assert sorted(path.name for path in (tmp_path / "run").glob("video.*")) == ["video.apng", "video.mp4", "video.webm"]
    for name, sounds in (("video.mp4", 1), ("video.webm", 1)):
        with av.open(str(tmp_path / "run" / name)) as film:
            assert len(film.streams.audio) == sounds and sum(1 for _ in film.decode(video=0)) == 5
    with av.open(str(tmp_path / "slow" / "video.mp4")) as film:
        assert not film.streams.audio


@pytest.mark.parametrize("formats", ["mov", "mp4,mov", "", "mp4,,gif"])
def test_a_format_that_is_not_written_is_refused(formats: str) -> None:
    with pytest.raises(InputError, match="--formats takes kinds of films of mp4, gif, webm, webp, apng"):
        InterpolateSettings(images=("a", "b"), formats=formats)
    assert InterpolateSettings(images=("a", "b"), formats="None").kinds == ()
    assert InterpolateSettings(images=("a", "b"), formats=".MP4, gif,mp4").kinds == ("mp4", "gif")


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_the_frames_of_every_method_lie_as_the_metrics_say(model: LatentDiffusion, pair: Tensor, method: str) -> None:
    def made_by(pacing: str) -> Interpolation:
        small = {"pool_size": 8, "budget": "200"} if method == "global" else {}
        more = {"prompt": PROMPTS, "method": method, "frames": 9, "tau": 0.4, "pacing": pacing, **small}
        return interpolate(*pair, model=model, **QUICK | more)

    def uneven(of: Interpolation, measure: Pacer) -> float:
        lengths = measure.lengths(model.encode(of.frames))
        return float(lengths.max() / lengths.mean())

    shape = model.latent_shape(64, 64)
    plain = made_by("path")
    assert torch.equal(plain.u, positions(9))
    assert plain.metrics["pacing"] == "Frames at equal steps of u, the position along the path."
    for name in ("even", "features"):
        measure, paced = pacer(name, model, shape), made_by(name)
        assert paced.metrics["pacing"] == f"Frames at equal steps {measure.detail}."
        if (method, name) == ("blend", "even"):
            assert torch.equal(paced.u, positions(9)), "its clean latents lie on a straight line"
        else:
            assert uneven(paced, measure) < uneven(plain, measure)


def test_easing_begins_and_ends_slowly(model: LatentDiffusion, pair: Tensor) -> None:
    for pacing, share in (("path", 0.5), ("even", 1.0)):  # equal steps of what is seen are not equal ones of the path
        quick = QUICK | {"frames": 9, "method": "slerp", "pacing": pacing}
        even, eased = (interpolate(*pair, model=model, **quick, timing=timing).u.diff() for timing in ("even", "ease"))
        assert eased[0] < share * even[0] and eased[-1] < share * even[-1]


def test_a_run_in_a_folder_holds_few_frames_however_many_it_draws(
    model: LatentDiffusion, pair: Tensor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, image in zip(("a.png", "b.png"), pair, strict=True):
        media.write_png(image, tmp_path / name)
    held = []
    write_film = media.write_film

    def watched(frames: media.FrameSource, *more: object) -> None:
        pictures = [one for one in gc.get_objects() if isinstance(one, Tensor) and one.shape[-3:] == pair.shape[1:]]
        held.append(
            sum({one.untyped_storage().data_ptr(): one.untyped_storage().nbytes() for one in pictures}.values())
        )
        write_film(frames, *more)

    monkeypatch.setattr(media, "write_film", watched)
    files = str(tmp_path / "a.png"), str(tmp_path / "b.png")
    for count in (5, 29):
        made = run(
            settings(files, tmp_path / str(count), frames=count, compare="slerp", formats="gif"), Silent(), "run"
        )
        assert len(made.drawn) == count and isinstance(made.drawn, media.StoredFrames)
        assert made.frames.shape == (count, *pair.shape[1:])
    assert held[1] - held[0] < 8 * pair[0].nbytes
