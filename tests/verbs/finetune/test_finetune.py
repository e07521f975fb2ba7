import errno
import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from pipelines import SD1, build
from safetensors.torch import load_file, save_file
from tiny import pixel_model, write_latent_model, write_pixel_model

import geodesic_cli.verbs.finetune.run as verb
from geodesic_cli import media
from geodesic_cli.diffusion import Embedding, LatentDiffusion, load
from geodesic_cli.diffusion.loading.unconditional import load_unconditional
from geodesic_cli.errors import GeodesicError, InputError, OutputError
from geodesic_cli.runs.observer import Silent
from geodesic_cli.settings import FinetuneSettings
from geodesic_cli.settings.kinship import kin_of
from geodesic_cli.verbs.finetune.data import Scenes
from geodesic_cli.verbs.finetune.run import Finetuned, finetune
from geodesic_cli.verbs.finetune.run import run as verb_run
from helpers import Recorder, into_folder

run = into_folder(verb_run)

STEPS = 5


@pytest.fixture(autouse=True, scope="module")
def measured_on_few() -> Iterator[None]:
    """The losses before and after take most of the time of so short a training."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(verb, "MEASURED_EXAMPLES", 4)
        yield


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The folder of a tiny pixel model."""
    return str(write_pixel_model(tmp_path_factory.mktemp("models") / "tiny"))


@pytest.fixture(scope="module")
def whole(tiny: str, tmp_path_factory: pytest.TempPathFactory) -> Finetuned:
    """A training that nothing has stopped."""
    return run(settings(tiny, tmp_path_factory.mktemp("trained") / "whole"), Silent(), "")


def settings(model: str, out: Path, **options: object) -> FinetuneSettings:
    fixed = {"data": "scenes",
             "regulariser": "iso", "train_batch_size": 2, "max_train_steps": STEPS, "checkpointing_steps": 2,
             "learning_rate": 1e-3, "validation_steps": 0, "device": "cpu"}  # fmt: skip
    return FinetuneSettings(model=model, out=str(out), **{**fixed, **options})  # type: ignore[arg-type]


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (folder / "unet").iterdir()}


@pytest.mark.parametrize("word", ["resume", "latest"])
def test_a_training_killed_at_every_step_and_resumed_gives_the_same_bytes(
    tiny: str, whole: Finetuned, tmp_path: Path, word: str
) -> None:
    chosen = settings(tiny, tmp_path / "cut")
    again = replace(chosen, **({"resume": True} if word == "resume" else {"resume_from_checkpoint": "latest"}))
    # At steps 1 to 5, counted from the last checkpoint: those are written after steps 2 and 4.
    for kill, after in enumerate([1, 2, 3, 2, 3] if word == "resume" else [3]):
        with pytest.raises(KeyboardInterrupt):
            run(again if kill else chosen, Recorder(after=after), "")
    resumed = run(again, Silent(), "")
    assert files(whole.folder) == files(tmp_path / "cut")
    assert resumed.history == whole.history
    drop = {"seconds"}
    assert {k: v for k, v in resumed.metrics.items() if k not in drop} == {
        k: v for k, v in whole.metrics.items() if k not in drop
    }


def test_a_run_that_has_ended_goes_on_to_more_steps_as_if_it_had_never_ended(tiny: str, tmp_path: Path) -> None:
    whole = run(settings(tiny, tmp_path / "whole", max_train_steps=5), Silent(), "")
    run(settings(tiny, tmp_path / "short", max_train_steps=3), Silent(), "")
    longer = run(settings(tiny, tmp_path / "short", max_train_steps=5, resume=True), Silent(), "")
    assert files(tmp_path / "whole") == files(tmp_path / "short")
    assert longer.history == whole.history
    assert json.loads((tmp_path / "short" / "manifest.json").read_text("utf-8"))["settings"]["max_train_steps"] == 5
    with pytest.raises(InputError, match="has done 5 steps"):
        run(settings(tiny, tmp_path / "short", max_train_steps=4, resume=True), Silent(), "")
    with pytest.raises(OutputError, match="gamma"):
        run(settings(tiny, tmp_path / "short", max_train_steps=9, gamma=0.2, resume=True), Silent(), "")


def test_latest_is_another_word_for_resume(tiny: str, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(settings(tiny, tmp_path / "cut"), Recorder(after=3), "")
    run(settings(tiny, tmp_path / "cut", resume_from_checkpoint="latest"), Silent(), "")
    run(settings(tiny, tmp_path / "whole"), Silent(), "")
    assert files(tmp_path / "whole") == files(tmp_path / "cut")


def test_a_new_run_may_begin_at_a_checkpoint_of_another(tiny: str, whole: Finetuned, tmp_path: Path) -> None:
    run(settings(tiny, tmp_path / "short", max_train_steps=2), Silent(), "")
    place = str(tmp_path / "short" / "checkpoint-2")
    longer = run(settings(tiny, tmp_path / "long", resume_from_checkpoint=place), Silent(), "")
    assert longer.history == whole.history
    assert files(tmp_path / "long") == files(whole.folder)


def test_a_checkpoint_that_cannot_be_started_from_is_refused_before_the_folder_is_touched(
    tiny: str, whole: Finetuned, tmp_path: Path
) -> None:
    for place, change, word in (
        ("checkpoint-9", {}, "checkpoint-9 is none"),
        ("checkpoint-4", {"max_train_steps": 4}, "has done 4 steps"),
        ("checkpoint-4", {"model": "scenes-ddpm"}, "of other weights"),
    ):
        begun = {"model": tiny, "out": tmp_path / "new", "resume_from_checkpoint": str(whole.folder / place)}
        with pytest.raises(InputError, match=word):
            run(settings(**begun | change), Silent(), "")  # type: ignore[arg-type]
        assert not (tmp_path / "new").exists()


def test_a_training_that_goes_on_tells_the_steps_that_are_left(tiny: str, tmp_path: Path) -> None:
    class Stages(Silent):
        said: tuple[str, int] = ("", 0)

        def stage(self, name: str, total: int, unit: str = "evaluations") -> None:
            self.said = (name, total)

    with pytest.raises(KeyboardInterrupt):
        run(settings(tiny, tmp_path / "cut"), Recorder(after=3), "")
    stages = Stages()
    run(settings(tiny, tmp_path / "cut", resume=True), stages, "")
    assert stages.said == ("Training from step 2", STEPS - 2)


def test_the_tuned_folder_has_the_layout_of_the_given_one_and_loads(tiny: str, whole: Finetuned) -> None:
    result, out = whole, whole.folder
    for path in Path(tiny).rglob("*"):
        assert (out / path.relative_to(tiny)).exists(), path
    again = load_unconditional(str(out), "cpu", "fp32")
    for (name, a), (_, b) in zip(
        again.predict.unet.named_parameters(), result.model.predict.unet.named_parameters(), strict=True
    ):
        assert torch.equal(a, b), name


def test_a_run_leaves_curves_numbers_previews_and_the_checkpoints_it_may_keep(tiny: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = run(
        settings(tiny, out, validation_steps=2, num_validation_images=2, checkpoints_total_limit=1), Silent(), ""
    )
    names = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    assert {"loss.csv", "loss.png", "sheet.png", "metrics.json", "config.toml"} <= names
    assert {name for name in names if name.startswith("previews")} == {f"previews/00000{k}.png" for k in (0, 2, 4)}
    assert {name for name in names if name.startswith("checkpoint")} == {"checkpoint-5/state.safetensors"}
    assert len((out / "loss.csv").read_text().splitlines()) == STEPS + 1
    assert result.metrics["before"] != result.metrics["after"]


def test_a_full_disk_is_one_sentence_and_the_last_checkpoint_stays(
    tiny: str, whole: Finetuned, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from geodesic_cli.runs import tensors as files_of_tensors

    save, calls = files_of_tensors.save_file, []

    def filling(tensors: dict[str, torch.Tensor], path: Path, about: dict[str, str]) -> None:
        calls.append(path)
        if len(calls) == 2:
            Path(path).write_bytes(b"half")
            raise OSError(errno.ENOSPC, "No space left on device")
        save(tensors, path, about)

    monkeypatch.setattr(files_of_tensors, "save_file", filling)
    with pytest.raises(OutputError, match="no space left") as caught:
        run(settings(tiny, tmp_path / "out"), Silent(), "")
    assert caught.value.hint.startswith("Free some space")
    assert [path.name for path in (tmp_path / "out").glob("checkpoint-*/*")] == ["state.safetensors"]
    monkeypatch.undo()
    run(settings(tiny, tmp_path / "out", resume=True), Silent(), "")
    assert files(whole.folder) == files(tmp_path / "out")


class Poisoned:
    """Scenes, and from step 3 on images that are not finite."""

    def __init__(self, seed: int) -> None:
        self.scenes = Scenes(8, seed)

    def batch(self, step: int, total: int, places: range) -> tuple[torch.Tensor, list[str]]:
        images, captions = self.scenes.batch(step, total, places)
        return (images * float("nan") if step >= 3 else images), captions

    def prompts(self, count: int) -> list[str]:
        return self.scenes.prompts(count)


@pytest.mark.parametrize("regulariser", ["none", "iso"])
def test_a_loss_that_is_not_finite_ends_the_training_with_its_step(
    tiny: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, regulariser: str
) -> None:
    monkeypatch.setattr(verb, "training_data", lambda chosen, model: Poisoned(0))
    with pytest.raises(GeodesicError, match="not finite"):
        run(settings(tiny, tmp_path / "out", regulariser=regulariser), Silent(), "")
    assert (tmp_path / "out" / "checkpoint-2" / "state.safetensors").is_file()


def test_a_model_in_memory_is_left_as_it_is(tmp_path: Path) -> None:
    model = pixel_model(tmp_path)
    before = {name: weight.clone() for name, weight in model.predict.unet.state_dict().items()}
    result = finetune(model, data="scenes", max_train_steps=2, train_batch_size=2, learning_rate=1e-3, device="cpu")
    assert all(torch.equal(before[name], weight) for name, weight in model.predict.unet.state_dict().items())
    assert not torch.equal(result.model.predict.unet.conv_in.weight, model.predict.unet.conv_in.weight)
    assert result.folder is None


def test_half_precision_without_cuda_and_a_missing_checkpoint_are_refused(tiny: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="fp16"):
        run(settings(tiny, tmp_path / "a", mixed_precision="fp16"), Silent(), "")
    with pytest.raises(InputError, match="checkpoint"):
        run(settings(tiny, tmp_path / "b", resume_from_checkpoint=str(tmp_path / "none")), Silent(), "")


def test_mixed_precision_and_recomputed_activations_train_too(tmp_path: Path) -> None:
    model = pixel_model(tmp_path)
    options = {"data": "scenes", "regulariser": "iso", "max_train_steps": 2, "train_batch_size": 2, "device": "cpu"}
    plain = finetune(model, **options)
    recomputed = finetune(model, gradient_checkpointing=True, **options)
    mixed = finetune(model, mixed_precision="bf16", **options)
    assert [row[2] for row in recomputed.history] == pytest.approx([row[2] for row in plain.history], rel=1e-3)
    # The regulariser is in fp32 all the same; without mixed precision it rides on the denoising pass, 1% away.
    assert mixed.history[0][2] == pytest.approx(plain.history[0][2], rel=0.03)
    assert mixed.history[0][1] == pytest.approx(plain.history[0][1], rel=0.02)
    assert mixed.history[0][1] != plain.history[0][1]


@pytest.mark.parametrize("autoencoder", ["VQModel", "AutoencoderKL"])
def test_a_latent_model_without_text_is_tuned_on_scenes_and_on_a_folder(tmp_path: Path, autoencoder: str) -> None:
    from diffusers import LDMPipeline

    model = str(write_latent_model(tmp_path, autoencoder))
    (tmp_path / "photos").mkdir()
    for number, shade in enumerate((0.2, 0.5, 0.8)):
        media.write_png(torch.full((3, 16, 20), shade), tmp_path / "photos" / f"{number}.png")
    for data in ("scenes", str(tmp_path / "photos")):
        out = tmp_path / f"tuned on {Path(data).name}"
        result = run(settings(model, out, data=data, max_train_steps=2, validation_steps=1), Silent(), "")
        tuned = LDMPipeline.from_pretrained(out, local_files_only=True).unet
        assert torch.equal(tuned.conv_in.weight, result.model.predict.unet.conv_in.weight)
        assert not torch.equal(tuned.conv_in.weight, load_unconditional(model, "cpu").predict.unet.conv_in.weight)


def test_an_adapter_on_captioned_images_loads_in_the_pipeline_of_diffusers(tmp_path: Path) -> None:
    from diffusers import StableDiffusionPipeline

    model, photos = build(SD1, tmp_path / "sd1"), tmp_path / "photos"
    photos.mkdir()
    for number in range(3):
        media.write_png(torch.full((3, 32, 32), 0.3 * number), photos / f"{number}.png")
    named = [f'{{"file_name": "{number}.png", "text": "a shade"}}' for number in range(2)]
    (photos / "metadata.jsonl").write_text("\n".join(named))
    chosen = settings(str(model), tmp_path / "out", data=str(photos), lora_rank=2, max_train_steps=2)
    result = run(chosen, watch := Recorder(), "")
    assert watch.warnings == [f"{photos}/metadata.jsonl names 2 of the images there; 1 more are left out."]
    pipeline = StableDiffusionPipeline.from_pretrained(model, safety_checker=None, local_files_only=True)
    pipeline.load_lora_weights(str(tmp_path / "out"))
    x, words = (torch.randn(1, *shape, generator=torch.Generator().manual_seed(0)) for shape in ((4, 4, 4), (77, 16)))
    with torch.no_grad():
        theirs = pipeline.unet(x, 500, words).sample
        pipeline.disable_lora()
        plain = pipeline.unet(x, 500, words).sample
    ours = result.model.predict(x, 500.0, Embedding(words))
    assert float((theirs - ours).abs().max()) < 1e-5 < float((plain - ours).abs().max())


def test_an_adapter_of_a_model_of_pixels_is_trained_saved_and_loaded(tiny: str, tmp_path: Path) -> None:
    """By injection: a UNet2DModel has no `add_adapter`. It resumes to the same bytes, too."""
    tuned = run(settings(tiny, tmp_path / "out", lora_rank=2, learning_rate=1e-2), Silent(), "")
    assert tuned.metrics["adapter"]
    assert not (tmp_path / "out" / "unet").exists()
    keys = load_file(tmp_path / "out" / "pytorch_lora_weights.safetensors")
    assert any("conv1" in key for key in keys) and any("to_q" in key for key in keys)
    again, before = load(tiny, "cpu", "fp32", lora=(str(tmp_path / "out"),)), load(tiny, "cpu", "fp32")
    z, nothing = torch.randn(1, 3, 8, 8, generator=torch.Generator().manual_seed(0)), before.prompts.embed("")
    one, other, first = (each.predict(z, 500.0, nothing) for each in (again, tuned.model, before))
    assert float((one - other).abs().max()) < 1e-5 < float((one - first).abs().max())
    assert again.fingerprint != before.fingerprint
    with pytest.raises(KeyboardInterrupt):
        run(settings(tiny, tmp_path / "cut", lora_rank=2, learning_rate=1e-2), Recorder(after=3), "")
    run(settings(tiny, tmp_path / "cut", lora_rank=2, learning_rate=1e-2, resume=True), Silent(), "")
    name = "pytorch_lora_weights.safetensors"
    assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "cut" / name).read_bytes()


def test_an_adapter_of_the_embedded_model_loads_with_lora(tmp_path: Path) -> None:
    chosen = settings("clevr-mini", tmp_path / "out", lora_rank=2, max_train_steps=2)
    result = run(chosen, Silent(), "")
    assert (tmp_path / "out" / "pytorch_lora_weights.safetensors").is_file()
    assert not (tmp_path / "out" / "unet").exists()
    again = load("clevr-mini", "cpu", "fp32", lora=(str(tmp_path / "out"),))
    plain = load("clevr-mini", "cpu", "fp32")
    assert same_noise(again, result.model) < 1e-5 < same_noise(plain, result.model)


def test_the_embedded_model_is_tuned_to_a_folder_that_loads(tmp_path: Path) -> None:
    result = run(settings("clevr-mini", tmp_path / "out", max_train_steps=2), Silent(), "")
    again = load(str(tmp_path / "out"), "cpu", "fp32")
    assert same_noise(again, result.model) == 0
    assert same_noise(load("clevr-mini", "cpu", "fp32"), result.model) > 1e-5
    assert kin_of(str(tmp_path / "out")) == "clevr-mini"  # so that its defaults go with it


def same_noise(a: LatentDiffusion, b: LatentDiffusion) -> float:
    """Largest difference of two models' predictions for one latent."""
    z = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    one, other = (model.predict(z, 500.0, model.prompts.embed("a red cube")) for model in (a, b))
    return float((one - other).abs().max())


def test_the_embedded_pixel_model_is_one_of_the_models_of_every_verb() -> None:
    model = load("scenes-ddpm", "cpu", "fp32")
    images = model.sample([""], torch.Generator().manual_seed(0), steps=4, guidance=1.0)
    assert images.shape == (1, 3, 32, 32)
    assert model.predict.unet.mid_block is not None


def test_a_training_does_not_go_on_with_other_data_or_weights(tiny: str, tmp_path: Path) -> None:
    photos, model = tmp_path / "photos", tmp_path / "model"
    photos.mkdir()
    shutil.copytree(tiny, model)
    for k in range(3):
        media.write_png(torch.rand(3, 8, 8, generator=torch.Generator().manual_seed(k)), photos / f"{k}.png")
    table = photos / "metadata.jsonl"
    table.write_text("\n".join(json.dumps({"file_name": f"{k}.png", "text": f"picture {k}"}) for k in range(3)))
    chosen = settings(str(model), tmp_path / "out", data=str(photos))
    with pytest.raises(KeyboardInterrupt):
        run(chosen, Recorder(after=3), "")
    (weights,) = (model / "unet").glob("*.safetensors")
    for file in (photos / "1.png", table, weights):
        before = file.read_bytes()
        if file == weights:
            save_file({name: 2 * tensor for name, tensor in load_file(file).items()}, file)
        elif file == table:
            file.write_text(file.read_text().replace("picture 2", "drawing 2"))
        else:
            media.write_png(torch.zeros(3, 8, 8), file)
        with pytest.raises(InputError, match="not those that this run was begun with"):
            run(replace(chosen, resume=True), Silent(), "")
        file.write_bytes(before)
    run(replace(chosen, resume=True), Silent(), "")
