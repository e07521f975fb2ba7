"""`geodesic finetune`: options to settings, settings to the task, the numbers before and after to the screen."""

import math
import sys
from typing import TYPE_CHECKING, Any

from geodesic_cli.cli.command import AS_JSON, flag, options_of
from geodesic_cli.cli.common import VERBOSE, Closing, begun, show, watched
from geodesic_cli.cli.resuming import stop_if_complete
from geodesic_cli.errors import InputError
from geodesic_cli.runs.plain import aligned
from geodesic_cli.settings import FinetuneSettings, from_command_line
from geodesic_cli.settings.option import COMMON

if TYPE_CHECKING:
    from geodesic_cli.verbs.finetune.run import Finetuned


@options_of(
    FinetuneSettings,
    iso=flag("--iso", "Short for --regulariser iso.", COMMON),
    verbose=VERBOSE,
    as_json=AS_JSON,
)
def finetune(options: dict[str, Any]) -> None:
    """Tune a model; with --iso, to keep lengths and angles.

    Without anything else it tunes clevr-mini on rendered scenes, offline, in some minutes on a CPU. A command line of
    the training scripts of diffusers works, too.

    \b
    Examples:
      geodesic finetune --iso
      geodesic finetune --iso --model path/to/stable-diffusion --data photos --lora-rank 8
      geodesic finetune --iso --resume-from-checkpoint latest --out runs/finetune-clevr-mini
      accelerate launch -m geodesic_cli finetune --iso --model sd15 --data photos --mixed-precision fp16

    Writes the tuned model (averaged weights) in the layout of the one given, or pytorch_lora_weights.safetensors, into
    the folder of the run: pass that to --model, or to --lora, of every other command. Beside it README.md,
    checkpoint-N/, previews/, report.html, sheet.png, loss.csv, loss.png, metrics.json, config.toml, manifest.json and
    log.txt.
    """
    iso, regulariser = options["iso"], options["regulariser"]
    if iso and regulariser not in (None, "iso"):
        raise InputError(f"--iso is --regulariser iso; got --regulariser {regulariser} as well.", "Pass one of them.")
    settings = from_command_line(FinetuneSettings, options, regulariser="iso" if iso else regulariser)
    if settings.out is None and (settings.resume or settings.resume_from_checkpoint == "latest"):
        raise InputError("Going on with a run needs its folder; got no --out.", "Pass --out runs/NAME.")
    stop_if_complete(settings, options["as_json"])
    from geodesic_cli.verbs.finetune.processes import launched, speaks

    if speaks():
        begun()
    from geodesic_cli.verbs.finetune.run import run

    result = watched(run, settings, True, launched(), speaks())
    if result.main:
        show(result, options["as_json"], lambda made: _closing(made, options["verbose"]))
        if settings.ema_decay > 0 and result.metrics["steps"] < 10:
            sys.stderr.write("Warning: so few steps change little; see --max-train-steps.\n")


def _closing(result: "Finetuned", verbose: bool) -> Closing:
    metrics, folder = result.metrics, result.folder
    kind = "--lora" if metrics["adapter"] else "--model"
    if metrics["adapter"] and result.model.name != FinetuneSettings.model:
        kind = f"--model {result.model.name} --lora"
    drawn = folder is not None and (folder / "sheet.png").is_file()
    what = "An adapter of" if metrics["adapter"] else "A tuned"
    return Closing(
        made=f"{what} {result.model.name} after {metrics['steps']} steps.",
        verdict=result.status,
        files=("sheet.png (pictures on the way), " if drawn else "")
        + f"loss.png (the losses). Use it: geodesic interpolate A B {kind} {folder}",
        numbers=_numbers(metrics) if verbose else [],
    )


def _numbers(metrics: dict[str, Any]) -> list[str]:
    before, after = metrics["before"], metrics["after"]
    rows = [("denoising loss (low is good)", *(f"{m['denoising']:.5f}" for m in (before, after)))]
    if math.isfinite(before["isometry"]):
        rows.append(("isometry loss L (low is good)", *(f"{m['isometry']:.4f}" for m in (before, after))))
        rows.append(("directions used, 1/L (high is good)", *(f"{1 / m['isometry']:.1f}" for m in (before, after))))
    return [
        *aligned(("", "before", "after"), rows, str.rjust),
        f"on {metrics['measured_examples']} examples with the same noise; {metrics['trained_parameters']:,} weights, "
        f"{metrics['seconds']:.0f} s",
    ]
