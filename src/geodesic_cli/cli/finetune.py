"""`geodesic finetune`: options to settings, settings to the task, the numbers before and after to the screen."""

import math
import sys
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from geodesic_cli.cli.common import aligned, watched
from geodesic_cli.cli.config import config_option
from geodesic_cli.cli.options import (
    AsJson,
    Compile,
    Device,
    Dtype,
    Lora,
    LowMemory,
    Model,
    Overwrite,
    Resume,
    Revision,
    Variant,
    option,
)
from geodesic_cli.errors import InputError
from geodesic_cli.settings import LR_SCHEDULERS, MIXED_PRECISIONS, REGULARISERS, FinetuneSettings, from_command_line

if TYPE_CHECKING:
    from geodesic_cli.verbs.finetune.run import Finetuned

DEFAULT: dict[str, Any] = {field.name: field.default for field in fields(FinetuneSettings)}


def finetune(
    iso: Annotated[bool, option("--iso", help="Short for --regulariser iso.")] = False,
    data: Annotated[
        str,
        option("--data", "--train-data-dir", help="scenes, or a folder of images, captions in its metadata.jsonl."),
    ] = DEFAULT["data"],
    regulariser: Annotated[
        str | None, option(help=f"One of {', '.join(REGULARISERS)}. Default: none; iso under --iso.")
    ] = None,
    iso_lambda: Annotated[
        float | None,
        option(
            "--iso-lambda",
            "--lambda",
            help="Weight of the regulariser. Default: 0.1 for the embedded models, else 1e-3.",
        ),
    ] = DEFAULT["iso_lambda"],
    gamma: Annotated[
        float, option(help="Timesteps up to this fraction are trained without the regulariser.")
    ] = DEFAULT["gamma"],
    model: Model = DEFAULT["model"],
    lora_rank: Annotated[int, option(help="Train an adapter of this rank; 0 trains the whole network.")] = DEFAULT[
        "lora_rank"
    ],
    lora_alpha: Annotated[
        float | None, option(help="Scale of the adapter, over its rank. Default: the rank.")
    ] = DEFAULT["lora_alpha"],
    max_train_steps: Annotated[
        int | None, option(help="Steps. Default: 300 for the embedded models, else 5000.")
    ] = DEFAULT["max_train_steps"],
    train_batch_size: Annotated[
        int | None, option(help="Images a step and device. Default: 16 for the embedded models, else 4.")
    ] = DEFAULT["train_batch_size"],
    gradient_accumulation_steps: Annotated[int, option(help="Batches that make one step.")] = DEFAULT[
        "gradient_accumulation_steps"
    ],
    learning_rate: Annotated[
        float | None, option(help="Default: 5e-5 for the embedded models, else 1e-5; for an adapter 1e-3 and 1e-4.")
    ] = DEFAULT["learning_rate"],
    lr_scheduler: Annotated[str, option(help=f"One of {', '.join(LR_SCHEDULERS)}.")] = DEFAULT["lr_scheduler"],
    lr_warmup_steps: Annotated[int, option(help="Steps over which the rate rises.")] = DEFAULT["lr_warmup_steps"],
    adam_beta1: Annotated[float, option(help="Of AdamW.")] = DEFAULT["adam_beta1"],
    adam_beta2: Annotated[float, option(help="Of AdamW.")] = DEFAULT["adam_beta2"],
    adam_weight_decay: Annotated[float, option(help="Of AdamW.")] = DEFAULT["adam_weight_decay"],
    adam_epsilon: Annotated[float, option(help="Of AdamW.")] = DEFAULT["adam_epsilon"],
    max_grad_norm: Annotated[float, option(help="Longer gradients are cut to this.")] = DEFAULT["max_grad_norm"],
    ema_decay: Annotated[
        float, option(help="Most that the averaged weights keep in a step; 0 saves the last weights.")
    ] = DEFAULT["ema_decay"],
    ema_power: Annotated[float, option(help="The average of step k keeps 1 - k^(-power).")] = DEFAULT["ema_power"],
    resolution: Annotated[
        int | None, option(help="Side of the training images in pixels. Default: the model's own.")
    ] = DEFAULT["resolution"],
    random_flip: Annotated[bool, option("--random-flip", help="Mirror images of a folder at random.")] = DEFAULT[
        "random_flip"
    ],
    caption_column: Annotated[str, option(help="Key of the captions in metadata.jsonl.")] = DEFAULT["caption_column"],
    proportion_empty_prompts: Annotated[float, option(help="Share of captions left out.")] = DEFAULT[
        "proportion_empty_prompts"
    ],
    mixed_precision: Annotated[
        str, option(help=f"One of {', '.join(MIXED_PRECISIONS)}; the regulariser stays in fp32.")
    ] = DEFAULT["mixed_precision"],
    gradient_checkpointing: Annotated[
        bool, option("--gradient-checkpointing", help="Less memory, more time.")
    ] = DEFAULT["gradient_checkpointing"],
    checkpointing_steps: Annotated[int, option(help="Steps between checkpoints.")] = DEFAULT["checkpointing_steps"],
    checkpoints_total_limit: Annotated[int, option(help="Checkpoints kept.")] = DEFAULT["checkpoints_total_limit"],
    resume_from_checkpoint: Annotated[
        str | None, option(help="latest, or a checkpoint folder of another run to start from.")
    ] = DEFAULT["resume_from_checkpoint"],
    validation_steps: Annotated[
        int | None, option(help="Steps between previews; 0 draws none. Default: a quarter of the training.")
    ] = DEFAULT["validation_steps"],
    validation_prompt: Annotated[
        list[str] | None,
        option(help="What previews show; may be given several times. Default: captions.", allow_from_autoenv=False),
    ] = None,
    num_validation_images: Annotated[int, option(help="Images in a preview.")] = DEFAULT["num_validation_images"],
    revision: Revision = DEFAULT["revision"],
    variant: Variant = DEFAULT["variant"],
    lora: Lora = None,
    device: Device = DEFAULT["device"],
    dtype: Dtype = DEFAULT["dtype"],
    low_memory: LowMemory = DEFAULT["low_memory"],
    compile: Compile = DEFAULT["compile"],
    seed: Annotated[int, option(help="Of the data's order, the noise and the probes.")] = DEFAULT["seed"],
    out: Annotated[
        str | None, option("--out", "--output-dir", help="Folder for the model. Default: a free one below runs/.")
    ] = DEFAULT["out"],
    resume: Resume = DEFAULT["resume"],
    overwrite: Overwrite = DEFAULT["overwrite"],
    as_json: AsJson = False,
    config: Annotated[Path | None, config_option(FinetuneSettings)] = None,
) -> None:
    """Tune a model, with --iso towards a bottleneck that keeps lengths and angles.

    Without anything else it tunes clevr-mini on rendered scenes, offline, in some minutes on a CPU. It runs under
    accelerate launch on several GPUs, and under torchrun on several CPUs.

    \b
    Examples:
      geodesic finetune --iso
      geodesic finetune --iso --model path/to/stable-diffusion --data photos --lora-rank 8
      geodesic finetune --iso --resume-from-checkpoint latest --out runs/finetune-clevr-mini
      accelerate launch -m geodesic_cli finetune --iso --model sd15 --data photos --mixed-precision fp16

    Writes the tuned model (averaged weights) in the layout of the one given, or pytorch_lora_weights.safetensors, into
    the folder of the run: pass that to --model, or to --lora, of every other command. Beside it checkpoint-N/,
    previews/, sheet.png, loss.csv, loss.png, metrics.json, config.toml, manifest.json and log.txt.
    """
    if iso and regulariser not in (None, "iso"):
        raise InputError(f"--iso is --regulariser iso; got --regulariser {regulariser} as well.", "Pass one of them.")
    settings = from_command_line(
        FinetuneSettings, locals(), regulariser="iso" if iso else regulariser or DEFAULT["regulariser"]
    )
    if settings.out is None and (resume or resume_from_checkpoint == "latest"):
        raise InputError("Going on with a run needs its folder; got no --out.", "Pass --out runs/NAME.")
    from geodesic_cli.runs.folder import first_free, to_json
    from geodesic_cli.verbs.finetune.processes import launched, speaks
    from geodesic_cli.verbs.finetune.run import run, stem

    if speaks():  # the others are told of the folder in the task
        settings = replace(settings, out=settings.out or first_free(f"runs/{stem(settings)}"))
    result = watched(run, settings, settings.out, launched(), speaks())
    if result.main:
        typer.echo(to_json(result.metrics | {"folder": str(result.folder)}).rstrip() if as_json else _table(result))
        if settings.ema_decay > 0 and settings.max_train_steps < 10:
            sys.stderr.write("Warning: so few steps change little; see --max-train-steps.\n")


def _table(result: "Finetuned") -> str:
    metrics = result.metrics
    before, after = metrics["before"], metrics["after"]
    rows = [("denoising loss", *(f"{m['denoising']:.5f}" for m in (before, after)))]
    if math.isfinite(before["isometry"]):
        rows.append(("isometry loss L", *(f"{m['isometry']:.4f}" for m in (before, after))))
        rows.append(("directions used, 1 / L", *(f"{1 / m['isometry']:.1f}" for m in (before, after))))
    kind = "--lora" if metrics["adapter"] else "--model"
    if metrics["adapter"] and result.model.name != DEFAULT["model"]:
        kind = f"--model {result.model.name} --lora"
    drawn = "sheet.png, " if result.folder is not None and (result.folder / "sheet.png").is_file() else ""
    return "\n".join(
        [
            *aligned(("", "before", "after"), rows, str.rjust),
            f"on {metrics['measured_examples']} examples with the same noise; {result.status} "
            f"{metrics['trained_parameters']:,} weights, {metrics['seconds']:.0f} s",
            f"{result.folder}/{drawn}loss.png, loss.csv",
            f"Use it: geodesic interpolate A B {kind} {result.folder}",
        ]
    )
