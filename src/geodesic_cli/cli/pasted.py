"""A command line of diffusers' training scripts with our name in front: their words become ours, before they are read.

Underscores are dashes, on every verb. `finetune` knows the scripts for text-to-image, its LoRA and the unconditional
one: what is called otherwise is renamed, what is always so here is dropped, what has no meaning here is dropped with a
notice, and what would give another training than the one that was asked for is refused.
"""

import sys
from collections.abc import Sequence

from geodesic_cli.errors import InputError

RENAMED = {
    "--pretrained-model-name-or-path": "--model",
    "--model-config-name-or-path": "--model",
    "--validation-prompts": "--validation-prompt",
    "--rank": "--lora-rank",
    "--num-epochs": "--num-train-epochs",
    "--save-images-epochs": "--validation-epochs",
    "--ema-max-decay": "--ema-decay",
    "--overwrite-output-dir": "--overwrite",
    "--logger": "--report-to",
}
"""Their word -> ours."""
SEVERAL = ("--validation-prompt",)
"""Words that take several values there, and are given once for each here."""
ALWAYS = ("--use-ema", "--center-crop", "--foreach-ema", "--cache-latents")
"""What is so without being asked for."""
WITHOUT_VALUE = {
    "--allow-tf32": "it is PyTorch's own choice",
    "--enable-xformers-memory-efficient-attention": "attention is PyTorch's own, which is as fast",
    "--offload-ema": "the average stays where the weights are",
}
WITH_VALUE = {
    "--cache-dir": "models and data lie where the variables of huggingface_hub say",
    "--dataloader-num-workers": "pictures are read by threads, one step ahead",
    "--hub-token": "log in with the command of huggingface_hub",
    "--image-interpolation-mode": "images are averaged down",
    "--local-rank": "the launcher says it",
    "--logging-dir": "logs are in the folder of the run",
    "--tracker-project-name": "a tracker is told the name of the folder",
    "--eval-batch-size": "previews are drawn together",
    "--save-model-epochs": "checkpoints come every --checkpointing-steps",
    "--ddpm-num-inference-steps": "previews take 20 steps",
    "--ema-inv-gamma": "the average has no such number",
}
"""What has no meaning here -> why."""
REFUSED = {
    "--dataset-config-name": "Pass --dataset-name NAME:CONFIG.",
    "--scale-lr": "Multiply --learning-rate by batches, accumulation and processes yourself.",
    "--input-perturbation": "Leave it out, or pass --noise-offset.",
    "--dream-training": "Leave it out.",
    "--dream-detail-preservation": "Leave it out.",
    "--prediction-type": "Leave it out: a model goes on predicting what it predicts.",
    "--non-ema-revision": "Leave it out: one set of weights is trained.",
    "--ddpm-num-steps": "Leave it out: a model keeps its own schedule.",
    "--ddpm-beta-schedule": "Leave it out: a model keeps its own schedule.",
}
"""What would be another training -> what to do."""


def translated(verb: str, words: Sequence[str], known: Sequence[str]) -> list[str]:
    """The words of a command line as the verb reads them.

    Args:
        verb: the name of the command.
        words: after it.
        known: the options of the command.

    Raises:
        InputError: an option of those scripts that means another training.
    """
    made: list[str] = []
    here = _dashed(words, known)
    if verb != "finetune":
        return here
    place = 0
    while place < len(here):
        name, equals, value = here[place].partition("=")
        place += 1
        if name in known and name not in SEVERAL:
            made.append(name + equals + value)
            continue
        name = RENAMED.get(name, name)
        if name in REFUSED:
            raise InputError(f"geodesic finetune has no {name}.", REFUSED[name])
        if name in WITHOUT_VALUE or name in WITH_VALUE:
            reason = (WITHOUT_VALUE | WITH_VALUE)[name]
            sys.stderr.write(f"Note: {name} changes nothing here: {reason}.\n")
            place += name in WITH_VALUE and not equals
        elif name in SEVERAL:
            values = [value] if equals else []
            while not equals and place < len(here) and (not values or not here[place].startswith("-")):
                values.append(here[place])
                place += 1
            made += [part for value in values for part in (name, value)]
        elif name not in ALWAYS:
            made.append(name + equals + value)
    return made


def _dashed(words: Sequence[str], known: Sequence[str]) -> list[str]:
    """Long options with dashes where they have underscores; all that follows a lone `--` is left as it is."""
    made: list[str] = []
    for place, word in enumerate(words):
        if word == "--":
            return [*made, *words[place:]]
        name, equals, value = word.partition("=")
        if name.startswith("--") and "_" in name and name not in known:
            name = name.replace("_", "-")
        made.append(name + equals + value)
    return made
