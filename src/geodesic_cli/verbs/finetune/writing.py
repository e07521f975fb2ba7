"""What a training leaves behind: the sheet of its previews, its curves, and the tuned model itself."""

import csv
import io
import math
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from geodesic_cli import media, plots
from geodesic_cli.diffusion.tuning.trainee import Trainee
from geodesic_cli.runs.folder import RunDirectory
from geodesic_cli.runs.plain import to_json
from geodesic_cli.runs.tensors import telling
from geodesic_cli.settings import FinetuneSettings
from geodesic_cli.settings.kinship import EMBEDDED, KINSHIP, kin_of
from geodesic_cli.verbs.finetune.data import Data
from geodesic_cli.verbs.finetune.deck import generator
from geodesic_cli.verbs.finetune.training import HISTORY

NOTICED = 0.02
"""A loss that changes by a smaller share has not changed."""
PREVIEW_STEPS = 20
"""Network evaluations from noise to a preview."""
RUINED = 3.0
"""How many times the denoising loss may be what it was: beyond it, percentages say nothing."""


def write_preview(directory: RunDirectory, settings: FinetuneSettings, trainee: Trainee, data: Data, step: int) -> None:
    """Images drawn with the present weights, from the same noise always; nothing where they are there already."""
    s, name = settings, f"previews/{step:06d}.png"
    if not s.validation_steps or directory.has(name):
        return
    prompts = [""] * s.num_validation_images
    if trainee.reads_text:
        given = s.validation_prompt or tuple(data.prompts(s.num_validation_images))
        prompts = [given[k % len(given)] for k in range(s.num_validation_images)]
    images = trainee.model.sample(
        prompts, generator(s.seed, "previews"), steps=PREVIEW_STEPS, guidance=2.0 if trainee.reads_text else 1.0
    )
    directory.write_png(name, torch.cat(list(images), -1), {"step": step, "prompts": prompts})


def write_sheet(directory: RunDirectory, images: int) -> None:
    """All previews below one another, of so many images each."""
    files = sorted((directory.folder / "previews").glob("[0-9]*.png"))
    rows: list[Tensor] = []
    for file in files:
        strip = media.read_image(file)
        rows.append(torch.stack(strip.split(strip.shape[2] // images, -1)))
    if rows:
        labels = [f"step {int(file.stem)}" if int(file.stem) else "before" for file in files]
        directory.write_png("sheet.png", media.sheet(rows, labels))


def write_curves(directory: RunDirectory, history: Sequence[tuple[float, ...]], drawn: bool = True) -> None:
    """The history of the training as a table and, drawn, as a plot."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HISTORY)
    writer.writerows((int(row[0]), *(repr(value) for value in row[1:])) for row in history)
    directory.write_text("loss.csv", text.getvalue())
    if not drawn:
        return
    columns = list(zip(*history, strict=True))
    plots.loss_curves(dict(zip(HISTORY, columns, strict=True)), directory.path("loss.png"))


def progress_made(before: Mapping[str, float], after: Mapping[str, float], regulariser: str) -> str:
    """Whether a training did what it was for, and what to do if it did not.

    Args:
        before: `denoising` and `isometry` losses of the model as it came; NaN is not measured.
        after: those of the tuned one.
        regulariser: with which it was trained; of `none` an isometry was not asked for.
    """
    times = after["denoising"] / before["denoising"]
    worse, lower = times - 1, "--learning-rate" if regulariser == "none" else "--iso-lambda or --learning-rate"
    if not times < RUINED:
        return (
            f"The training has ruined the model: its denoising loss was {before['denoising']:.3g}, and is "
            f"{after['denoising']:.3g}. Lower {lower}."
        )
    if worse <= NOTICED:
        denoises = "it denoises better than before" if worse < -NOTICED else "it denoises as well as before"
    else:
        denoises = f"it denoises {worse:.0%} worse than before: lower {lower}"
    if regulariser == "none" or not math.isfinite(before["isometry"]):
        return denoises[0].upper() + denoises[1:] + "."
    used = f"it uses {1 / after['isometry']:.0f} directions instead of {1 / before['isometry']:.0f}"
    if after["isometry"] < (1 - NOTICED) * before["isometry"]:
        return f"The model is nearer to an isometry, {used}, and {denoises}."
    return f"The model is no nearer to an isometry, and {denoises}. Raise --max-train-steps or --iso-lambda."


def progress_note(rows: Sequence[tuple[float, ...]]) -> str:
    """How the last steps went."""
    denoising = sum(row[1] for row in rows) / len(rows)
    looked_at = [row[2] for row in rows if math.isfinite(row[2])]
    note = f"loss {denoising:.4f}"
    return f"{note}, regulariser {sum(looked_at) / len(looked_at):.4f}" if looked_at else note


def write_model(directory: RunDirectory, trainee: Trainee) -> None:
    """The model, made beside the run's files and then moved to them one by one, its index last."""
    aside = directory.folder / ".model.tmp"
    shutil.rmtree(aside, ignore_errors=True)
    try:
        with telling(directory.folder):
            aside.mkdir(parents=True)
            trainee.save(aside)
            _tell_kinship(trainee, aside)
            files = sorted(path for path in aside.rglob("*") if path.is_file())
            for path in sorted(files, key=lambda path: path.name == "model_index.json"):
                path.replace(directory.path(path.relative_to(aside).as_posix()))
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _tell_kinship(trainee: Trainee, folder: Path) -> None:
    """A whole model says what it was made from; an adapter is used with the model that says so itself."""
    kin = kin_of(trainee.model.name)
    if kin in EMBEDDED and not trainee.adapter:
        (folder / KINSHIP).write_text(to_json({"of": kin}), "utf-8")
