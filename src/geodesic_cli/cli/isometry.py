"""`geodesic isometry`: options to settings, settings to the task, the table to the screen."""

from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from geodesic_cli.cli.common import aligned, watched
from geodesic_cli.cli.config import config_option
from geodesic_cli.cli.options import AsJson, Device, Lora, Out, Overwrite, Revision, Variant, option
from geodesic_cli.settings import from_command_line
from geodesic_cli.settings.isometry import JACOBIANS, IsometrySettings

if TYPE_CHECKING:
    from geodesic_cli.verbs.isometry.run import Isometry

DEFAULT: dict[str, Any] = {field.name: field.default for field in fields(IsometrySettings)}


def isometry(
    model: Annotated[
        str, typer.Argument(help="An alias, a folder in diffusers' layout, or a Hub id; with text or without.")
    ] = DEFAULT["model"],
    against: Annotated[str | None, option(help="A second model, measured at the same points.", metavar="MODEL")] = None,
    data: Annotated[
        str | None,
        option(
            help="scenes, samples (of the model) or a folder of images. Default: scenes for clevr-mini, or samples."
        ),
    ] = DEFAULT["data"],
    prompt: Annotated[
        list[str] | None,
        option(help="For points that are no scenes; several take turns.", allow_from_autoenv=False),
    ] = None,
    taus: Annotated[str, option(help="Noise levels, 0 (clean) to 1 (noise).", metavar="A,B,...")] = DEFAULT["taus"],
    points: Annotated[int, option(help="Points at each noise level.")] = DEFAULT["points"],
    jacobian: Annotated[
        str, option(help=f"One of {', '.join(JACOBIANS)}; auto takes whole Jacobians where they are affordable.")
    ] = DEFAULT["jacobian"],
    directions: Annotated[int, option(help="Random directions, where the Jacobian is projected.")] = DEFAULT[
        "directions"
    ],
    probes: Annotated[int, option(help="Random directions a point for L, where it is projected.")] = DEFAULT["probes"],
    pairs: Annotated[int, option(help="Trajectories for mRTL at each noise level.")] = DEFAULT["pairs"],
    segments: Annotated[int, option(help="Segments of a trajectory.")] = DEFAULT["segments"],
    ppl_pairs: Annotated[int, option(help="Pairs of images for PPL; 0 leaves it out.")] = DEFAULT["ppl_pairs"],
    ppl_eps: Annotated[float, option(help="Step of PPL along the great circle.")] = DEFAULT["ppl_eps"],
    labelled: Annotated[int, option(help="Scenes for LS; 0 leaves it out.")] = DEFAULT["labelled"],
    steps: Annotated[int, option(help="Network evaluations between clean data and noise.")] = DEFAULT["steps"],
    lpips: Annotated[
        bool, option("--lpips", help="PPL with LPIPS. Needs pip install 'geodesic-cli[metrics]' and trained weights.")
    ] = DEFAULT["lpips"],
    metric_weights: Annotated[
        str | None, option(help="Folder with the weights of LPIPS. Default: the cache of torch.", metavar="FOLDER")
    ] = DEFAULT["metric_weights"],
    revision: Revision = DEFAULT["revision"],
    variant: Variant = DEFAULT["variant"],
    lora: Lora = None,
    against_lora: Annotated[
        list[str] | None,
        option(help="An adapter of the second model; may be given several times.", allow_from_autoenv=False),
    ] = None,
    device: Device = DEFAULT["device"],
    seed: Annotated[int, option(help="Of points, noise, directions and pairs.")] = DEFAULT["seed"],
    out: Out = DEFAULT["out"],
    overwrite: Overwrite = DEFAULT["overwrite"],
    as_json: AsJson = False,
    config: Annotated[Path | None, config_option(IsometrySettings)] = None,
) -> None:
    """Measure how far a model's encoder is from an isometry.

    The encoder carries noisy latents x to the output h of the network's mid block. An isometry, up to scale, carries
    directions in x to directions in h without preferring any: the isometry loss is small, the condition number MCN 1,
    the metric the same everywhere (VoR 0), and great circles are carried to straight lines (mRTL 1). Images then
    change evenly along noise (small PPL), and planes in it tell what they show (small LS).

    \b
    Examples:
      geodesic isometry
      geodesic isometry clevr-mini --against runs/finetune
      geodesic isometry path/to/ddpm-celebahq-256 --taus 1 --points 4 --json

    Writes table.md, spectrum.png, metrics.json, config.toml, manifest.json and log.txt. Every option but --prompt and
    --lora can also be set by a variable such as GEODESIC_ISOMETRY_POINTS.
    """
    settings = from_command_line(IsometrySettings, locals())
    from geodesic_cli.runs.folder import first_free, to_json
    from geodesic_cli.verbs.isometry.run import run, stem

    folder = out or first_free(f"runs/{stem(settings)}")
    result = watched(run, replace(settings, out=folder))
    typer.echo(to_json(result.metrics | {"folder": str(result.folder)}).rstrip() if as_json else _table(result))


def _table(result: "Isometry") -> str:
    from geodesic_cli.verbs.isometry.table import notes, rows

    heads, lines = rows(result.metrics)
    return "\n".join(
        [
            *aligned(heads, lines, str.ljust),
            *notes(result.metrics),
            result.status,
            f"{result.folder}/table.md, spectrum.png, metrics.json",
        ]
    )
