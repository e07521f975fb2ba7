"""`geodesic latent`: options to settings, settings to the task, the result to the screen."""

from typing import TYPE_CHECKING, Any

import typer

from geodesic_cli.cli.command import AS_JSON, add, options_of
from geodesic_cli.cli.common import ran
from geodesic_cli.runs.plain import aligned
from geodesic_cli.settings import DirectionSettings, SlerpSettings, from_command_line

if TYPE_CHECKING:
    from geodesic_cli.verbs.latent.direction import LatentDirection
    from geodesic_cli.verbs.latent.slerp import LatentPaths


latent = typer.Typer(
    help="Paths through noise, and directions that change one thing.", no_args_is_help=True, rich_markup_mode=None
)


@latent.callback()
def _group() -> None:
    pass


@options_of(SlerpSettings, as_json=AS_JSON)
def slerp(options: dict[str, Any]) -> None:
    """Go from one noise to another and see how the images change.

    \b
    Examples:
      geodesic latent slerp
      geodesic latent slerp --pairs 8 --prompt "a red rubber cube" --guidance 2 --compare
      geodesic latent slerp a.png b.png --frames 17

    Writes report.html, sheet.png, video.gif, frames/, path.safetensors, metrics.json, config.toml, manifest.json and
    log.txt. Every option but --prompt can also be set by a variable such as GEODESIC_LATENT_SLERP_PAIRS.
    """
    ran("latent.slerp", from_command_line(SlerpSettings, options), options["as_json"], _paths_table)


@options_of(DirectionSettings, as_json=AS_JSON)
def direction(options: dict[str, Any]) -> None:
    """Find the direction in noise from one label to another and try it on images it was not found with.

    Scenes have the labels of their colour, shape and material, and left, right, near, far, small, large.

    \b
    Examples:
      geodesic latent direction red blue
      geodesic latent direction left right --tau 0.6 --strengths 0,1,2
      geodesic latent direction young old --labels faces.csv --model path/to/ldm

    Writes report.html, sheet.png, direction.safetensors, metrics.json, config.toml, manifest.json and log.txt. Every
    option can also be set by a variable such as GEODESIC_LATENT_DIRECTION_TAU.
    """
    ran("latent.direction", from_command_line(DirectionSettings, options), options["as_json"], _direction_table)


for each in (slerp, direction):
    add(latent, each, "GEODESIC_LATENT")


def _paths_table(result: "LatentPaths") -> str:
    metrics = result.metrics
    fitted = any("fit_error_mean" in found for found in metrics["paths"].values())
    columns = {"path_ppl": "path ppl", "std": "deviation", "largest_share": "largest share"}
    columns |= {"relative_length": "relative length"}
    columns |= {"fit_error_mean": "fit error", "fit_error_worst": "worst"} if fitted else {}
    rows = [
        (method, *(_with_spread(found["summary"][name]) for name in columns))
        for method, found in metrics["paths"].items()
    ]
    return "\n".join(
        [
            *aligned(("", *columns.values()), rows, str.rjust),
            f"path ppl: sum of the distances of neighbouring frames, and their deviation; {metrics['perceptual']}",
            "largest share: largest distance over the mean one; relative length: of the path in clean latents, 1 is "
            "straight"
            + ("; fit error: of the scene that explains a frame best, 1 is an empty table" if fitted else ""),
            f"{metrics['evaluations']} network evaluations; {metrics['seconds']:.1f} s",
            result.status,
            f"{result.folder}/sheet.png, video.gif, frames/, metrics.json",
        ]
    )


def _with_spread(value: dict[str, float | None]) -> str:
    return f"{value['mean']:.3g}" + (f" +- {value['std']:.2g}" if value["std"] is not None else "")


def _direction_table(result: "LatentDirection") -> str:
    metrics = result.metrics
    judged = metrics["attribute"] is not None
    columns = {"strength": "g", "flipped": ".0%", "kept": ".0%", "both": ".0%", "fit_error": ".2f", "distance": ".3f"}
    shown = {key: form for key, form in columns.items() if judged or key in ("strength", "distance")}
    heads = ("", *(key.replace("_", " ") for key in shown))
    rows = [
        (name, *(format(row[key], form) for key, form in shown.items()))
        for name, table in metrics["strengths"].items()
        for row in table
    ]
    split = metrics["separability"]
    told = f"the direction is {metrics['length']:.2f} of the noise's norm"
    if metrics["agreement"] is not None:
        told += f", and a pair's own difference has the cosine {metrics['agreement']:.2f} with it"
    if split is not None:
        told += f"; linear separability {split['ls']:.2f} (guessing {split['guessing']:.2f}, perfect 1)"
    shares, before = ("shares of ", f"; fit error before: {metrics['fit_error_before']:.2f}") if judged else ("", "")
    return "\n".join(
        [
            *aligned(heads, rows, str.rjust),
            f"{shares}{metrics['held_out']} held-out images; distance: {metrics['perceptual']}{before}",
            told,
            f"{metrics['evaluations']} network evaluations; {metrics['seconds']:.1f} s",
            result.status,
            f"{result.folder}/sheet.png, direction.safetensors, metrics.json",
        ]
    )
