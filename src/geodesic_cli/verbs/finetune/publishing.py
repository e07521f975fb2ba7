"""What a tuned model is told by: its card, which states base, data, lambda and measures; and its way to the Hub."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from geodesic_cli.diffusion.loading.lora import FILE
from geodesic_cli.diffusion.loading.upload import ready_repository, uploaded
from geodesic_cli.errors import InputError, ModelError
from geodesic_cli.filing import parsed_json
from geodesic_cli.runs.folder import RunDirectory
from geodesic_cli.runs.observer import Observer
from geodesic_cli.settings import SCENES, FinetuneSettings
from geodesic_cli.version import __version__

CARD = "README.md"
SHOWN_ON_THE_HUB = ("sheet.png", "loss.png", "loss.csv")
"""Files of a run that go to the Hub with the model. Others may name folders of this machine, and stay."""
MODEL_FOLDERS = (
    "unet",
    "vae",
    "vqvae",
    "text_encoder",
    "tokenizer",
    "scheduler",
    "feature_extractor",
    "safety_checker",
)
"""How the folders of a model begin, in the layout of diffusers."""
MODEL_FILES = ("model_index.json", "config.json", "diffusion_pytorch_model", "geodesic.json", "scheduler_config.json")
"""How its other files begin."""


def repository_of(settings: FinetuneSettings) -> str | None:
    """The repository that a tuned model goes to, which may be written; None where it goes to none.

    Raises:
        InputError: it cannot be written.
    """
    s = settings
    if not s.push_to_hub:
        return None
    name = s.hub_model_id or Path(s.out or f"finetune-{Path(s.model).stem}").name
    return ready_repository(name, s.hub_private_repo)


def refuse_hub(settings: FinetuneSettings) -> None:
    """Refuse to upload what is only in memory.

    Raises:
        InputError: it was asked for.
    """
    if settings.push_to_hub:
        raise InputError(
            "A model is uploaded from its folder, and a training in memory has none.",
            "Leave push_to_hub out, or run geodesic finetune --push-to-hub.",
        )


def write_card(directory: RunDirectory, settings: FinetuneSettings, metrics: Mapping[str, Any], status: str) -> None:
    """The card of a tuned model, in the words of the Hub."""
    directory.write_text(CARD, card(settings, metrics, status))


def card(settings: FinetuneSettings, metrics: Mapping[str, Any], status: str) -> str:
    """The text of a model's card. It names no folder of this machine, but the last part of its name."""
    s = settings
    base = _public(s.model)
    front = ["---", "library_name: diffusers", "tags:", "- geodesic", f"- {s.regulariser}"]
    if "/" in base:
        front += [f"base_model: {base}", f"base_model_relation: {'adapter' if metrics['adapter'] else 'finetune'}"]
    if s.dataset_name and not _is_here(s.dataset_name):
        front += ["datasets:", f"- {s.dataset_name.partition(':')[0]}"]
    rows = [
        ("base", base),
        ("what was trained", f"{'an adapter of rank ' + str(s.lora_rank) if metrics['adapter'] else 'the network'}, "
         f"{metrics['trained_parameters']:,} weights"),
        ("data", _data(s)),
        ("regulariser", s.regulariser),
        *([] if s.regulariser == "none" else [("lambda", f"{s.iso_lambda:g}"), ("gamma", f"{s.gamma:g}")]),
        ("steps", f"{metrics['steps']} of {metrics['examples'] // max(1, metrics['steps'])} examples"),
        ("learning rate", f"{s.learning_rate:g}, {s.lr_scheduler}"),
        ("average of the weights", f"decay {s.ema_decay:g}"),
        ("seed", str(s.seed)),
    ]  # fmt: skip
    before, after = metrics["before"], metrics["after"]
    measures = [("denoising loss", "low is good", before["denoising"], after["denoising"])]
    if math.isfinite(before["isometry"]):
        measures.append(("isometry loss L", "low is good", before["isometry"], after["isometry"]))
        if max(before["isometry"], after["isometry"]) <= 1:  # above 1 points differ more than directions do
            measures.append(("directions used, 1/L", "high is good", 1 / before["isometry"], 1 / after["isometry"]))
    word = "--lora" if metrics["adapter"] else "--model"
    use = f'pipeline.load_lora_weights("{FILE}")' if metrics["adapter"] else "DiffusionPipeline.from_pretrained(...)"
    lines = [
        *front,
        "---",
        "",
        f"# {base}, tuned{' towards an isometry' if s.regulariser.startswith('iso') else ''}",
        "",
        status,
        "",
        "| | |",
        "|---|---|",
        *(f"| {name} | {value} |" for name, value in rows),
        "",
        f"Measured on {metrics['measured_examples']} examples with the same noise before and after the training:",
        "",
        "| | before | after | |",
        "|---|---|---|---|",
        *(f"| {name} | {first:.5g} | {second:.5g} | {good} |" for name, good, first, second in measures),
        "",
        f"It loads as its base does: `{use}` in diffusers, `{word}` in geodesic.",
        "The licences of the base and of the data hold for it.",
        "",
        f"Made by geodesic {__version__}.",
        "",
    ]
    return "\n".join(lines)


def push_model(directory: RunDirectory, repository: str, observer: Observer) -> None:
    """Upload the model and its card. Where the Hub fails now, the training is not lost: it says how to go on."""
    names = [name for name in directory.manifest["files"] if _belongs(str(name))]
    observer.stage("Uploading", len(names), "files")
    try:
        files = {name: _without_places(directory.folder / name) for name in names}
        address = uploaded(repository, files, "A model tuned by geodesic")
    except ModelError as reason:
        observer.warn(
            f"The model could not be uploaded to {repository} ({reason.message}). It is whole in {directory.folder}; "
            f"upload it with: hf upload {repository} {directory.folder} . --exclude 'checkpoint-*/*'"
        )
        return
    observer.advance(len(names))
    directory.log(f"Uploaded to {address}")


def _belongs(name: str) -> bool:
    """Whether a file of a run is one of the model or of what shows it."""
    top, stroke, _ = name.partition("/")
    if stroke:
        return top.startswith(MODEL_FOLDERS)
    return name in (CARD, FILE, *SHOWN_ON_THE_HUB) or name.startswith(MODEL_FILES)


def _without_places(file: Path) -> Path | bytes:
    """A file, or what is in it where it says from which folder of this machine a part was read, as diffusers does."""
    if file.suffix != ".json":
        return file
    try:
        found = parsed_json(file.read_text("utf-8"))
    except ValueError:
        return file
    if not isinstance(found, dict) or "_name_or_path" not in found:
        return file
    found["_name_or_path"] = _public(str(found["_name_or_path"]))
    return (json.dumps(found, indent=2, sort_keys=True) + "\n").encode()


def _public(model: str) -> str:
    """A Hub id or an alias as it is; of a folder or a file of this machine the last part."""
    return Path(model).expanduser().resolve().name if _is_here(model) else model


def _is_here(name: str) -> bool:
    """Whether it is a file or a folder of this machine, and no name on the Hub."""
    path = Path(name).expanduser()
    return path.exists() or path.is_absolute() or name.count("/") > 1


def _data(s: FinetuneSettings) -> str:
    if s.dataset_name:
        return f"images of the folder {_public(s.dataset_name)}" if _is_here(s.dataset_name) else s.dataset_name
    some = "" if s.max_train_samples is None else f", {s.max_train_samples} of them"
    return "rendered scenes of geodesic" if s.data == SCENES else f"images of the folder {Path(s.data).name}{some}"
