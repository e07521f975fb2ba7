"""`geodesic latent`: options to settings, settings to the task, the result to the screen."""

from typing import TYPE_CHECKING, Any

import typer

from geodesic_cli.cli.command import AS_JSON, add, options_of
from geodesic_cli.cli.common import VERBOSE, Closing, of_each_model, ran
from geodesic_cli.runs.plain import aligned
from geodesic_cli.settings import CombineSettings, DirectionSettings, LineSettings, SlerpSettings, from_command_line
from geodesic_cli.settings.vocabulary import PATH_NAMES

if TYPE_CHECKING:
    from geodesic_cli.verbs.latent.combine import LatentSum
    from geodesic_cli.verbs.latent.direction import LatentDirection
    from geodesic_cli.verbs.latent.line import LatentLines
    from geodesic_cli.verbs.latent.slerp import LatentPaths


latent = typer.Typer(
    help="Paths through noise, and directions that change one thing.", no_args_is_help=True, rich_markup_mode=None
)


@latent.callback()
def _group() -> None:
    pass


@options_of(SlerpSettings, verbose=VERBOSE, as_json=AS_JSON)
def slerp(options: dict[str, Any]) -> None:
    """Go from one noise to another and see how the images change.

    \b
    Examples:
      geodesic latent slerp
      geodesic latent slerp --pairs 8 --prompt "a red rubber cube" --guidance 2 --compare
      geodesic latent slerp a.png b.png --frames 17
      geodesic latent slerp a.png b.png --against runs/finetune-clevr-mini

    Writes report.html, sheet.png, video.gif, frames/, path.safetensors, metrics.json, config.toml, manifest.json and
    log.txt; what is of a second model begins with against-. Every option but --prompt can also be set by a variable
    such as GEODESIC_LATENT_SLERP_PAIRS.
    """
    settings = from_command_line(SlerpSettings, options)
    ran("latent.slerp", settings, options["as_json"], lambda result: _of_paths(result, options["verbose"]))


@options_of(DirectionSettings, verbose=VERBOSE, as_json=AS_JSON)
def direction(options: dict[str, Any]) -> None:
    """Find the direction in noise from one label to another and try it on images it was not found with.

    Scenes have the labels of their colour, shape and material, and left, right, near, far, small, large.

    \b
    Examples:
      geodesic latent direction red blue
      geodesic latent direction left right --tau 0.6 --strengths 0,1,2
      geodesic latent direction young old --labels faces.csv --model path/to/ldm
      geodesic latent direction red blue --against runs/finetune-clevr-mini

    Writes report.html, sheet.png, direction.safetensors, metrics.json, config.toml, manifest.json and log.txt; what is
    of a second model begins with against-. Every option can also be set by a variable such as
    GEODESIC_LATENT_DIRECTION_TAU.
    """
    settings = from_command_line(DirectionSettings, options)
    ran("latent.direction", settings, options["as_json"], lambda result: _of_direction(result, options["verbose"]))


@options_of(LineSettings, verbose=VERBOSE, as_json=AS_JSON)
def line(options: dict[str, Any]) -> None:
    """Go along a line through one noise, -2 to 2 times its length, and see what changes.

    The lines follow the spectrum of the model's bottleneck: along the first one the encoder sees the most change. A
    random direction is drawn beside them.

    \b
    Examples:
      geodesic latent line
      geodesic latent line a.png --directions 5 --against runs/finetune-clevr-mini
      geodesic latent line a.png --along runs/red-to-blue/direction.safetensors

    Writes report.html, sheet.png, frames/, lines.safetensors, metrics.json, config.toml, manifest.json and log.txt;
    what is of a second model begins with against-. Every option but --prompt can also be set by a variable such as
    GEODESIC_LATENT_LINE_REACH.
    """
    settings = from_command_line(LineSettings, options)
    ran("latent.line", settings, options["as_json"], lambda result: _of_lines(result, options["verbose"]))


@options_of(CombineSettings, verbose=VERBOSE, as_json=AS_JSON)
def combine(options: dict[str, Any]) -> None:
    """Add up the noises of images, A + B - C, and draw what the sum stands for.

    \b
    Examples:
      geodesic latent combine
      geodesic latent combine a.png b.png c.png
      geodesic latent combine a.png b.png --weights 0.5,0.5 --against runs/finetune-clevr-mini

    Writes report.html, sheet.png, parts/, result.png, noise.safetensors, metrics.json, config.toml, manifest.json and
    log.txt; what is of a second model begins with against-. Every option can also be set by a variable such as
    GEODESIC_LATENT_COMBINE_WEIGHTS.
    """
    settings = from_command_line(CombineSettings, options)
    ran("latent.combine", settings, options["as_json"], lambda result: _of_sum(result, options["verbose"]))


for each in (slerp, direction, line, combine):
    add(latent, each, "GEODESIC_LATENT")


def _of_paths(result: "LatentPaths", verbose: bool) -> Closing:
    metrics = result.metrics
    pairs, name = metrics["pairs"], PATH_NAMES[metrics["method"]]
    return Closing(
        made=f"{pairs} path{'s' if pairs > 1 else ''} of {metrics['frames']} frames through noise, along the {name}.",
        verdict=result.status,
        files="sheet.png (all frames), video.gif (the film), frames/.",
        numbers=of_each_model(metrics, _path_numbers)
        if verbose or len(metrics["paths"]) > 1 or "against" in metrics
        else [],
    )


def _path_numbers(metrics: dict[str, Any]) -> list[str]:
    fitted = any("fit_error_mean" in found for found in metrics["paths"].values())
    columns = {
        "path_ppl": ("change in all", "short is good"),
        "std": ("deviation of steps", "0 is even"),
        "largest_share": ("largest step", "1 is even"),
        "relative_length": ("length", "1 is straight"),
    }
    if fitted:
        columns |= {"fit_error_mean": ("fit error", "0 is a scene"), "fit_error_worst": ("worst", "0 is a scene")}
    rows = [
        (PATH_NAMES[method], *(_with_spread(found["summary"][name]) for name in columns))
        for method, found in metrics["paths"].items()
    ]
    heads, units = (("", *words) for words in zip(*columns.values(), strict=True))
    return [
        *aligned(("path", *heads[1:]), [units, *rows], str.rjust),
        "The change in all is the sum of the distances of neighbouring frames, and the largest step is over the mean "
        f"one; distance: {metrics['perceptual']}.",
        "The length is that of the path in clean latents"
        + ("; the fit error that of the scene that explains a frame best, 1 is an empty table." if fitted else "."),
        f"{metrics['evaluations']} network evaluations; {metrics['seconds']:.1f} s",
    ]


def _of_lines(result: "LatentLines", verbose: bool) -> Closing:
    metrics = result.metrics
    count = metrics["noises"]
    return Closing(
        made=f"{len(metrics['lines'])} lines of {len(metrics['strengths'])} pictures through "
        f"{f'{count} noises' if count > 1 else 'one noise'}.",
        verdict=result.status,
        files="sheet.png (all lines), frames/, lines.safetensors (noises and directions).",
        numbers=of_each_model(metrics, _line_numbers) if verbose else [],
    )


def _line_numbers(metrics: dict[str, Any]) -> list[str]:
    strengths = metrics["strengths"]
    heads = ("line", *(f"{strength:+.2g}" if strength else "0" for strength in strengths))
    rows = [(name, *(f"{value:.3f}" for value in change)) for name, change in metrics["change"].items()]
    told = [f"change seen from the middle picture: {metrics['perceptual']}"]
    if "singular_values" in metrics:
        values = ", ".join(f"{value:.3g}" for value in metrics["singular_values"][0])
        told.append(f"singular values of the bottleneck at the first noise: {values}")
    told.append(f"{metrics['evaluations']} network evaluations; {metrics['seconds']:.1f} s")
    return [*aligned(heads, rows, str.rjust), *told]


def _of_sum(result: "LatentSum", verbose: bool) -> Closing:
    metrics = result.metrics
    return Closing(
        made=f"The sum of {len(metrics['weights'])} noises with the weights "
        f"{', '.join(f'{weight:g}' for weight in metrics['weights'])}.",
        verdict=result.status,
        files="sheet.png (what was added up, and the result), parts/, result.png, noise.safetensors (the noises).",
        numbers=of_each_model(metrics, _sum_numbers) if verbose else [],
    )


def _sum_numbers(metrics: dict[str, Any]) -> list[str]:
    letters = [chr(65 + k) if k < 26 else str(k + 1) for k in range(len(metrics["weights"]))]
    rows = [
        (letter, f"{weight:g}", f"{distance:.3f}")
        for letter, weight, distance in zip(letters, metrics["weights"], metrics["distances"], strict=True)
    ]
    return [
        *aligned(("", "weight", "distance of the result"), rows, str.rjust),
        f"the sum was {metrics['norm_of_the_sum']:.2f} times as long as noise; distance: {metrics['perceptual']}",
        f"{metrics['evaluations']} network evaluations; {metrics['seconds']:.1f} s",
    ]


def _with_spread(value: dict[str, float | None]) -> str:
    return f"{value['mean']:.3g}" + (f" +- {value['std']:.2g}" if value["std"] is not None else "")


def _of_direction(result: "LatentDirection", verbose: bool) -> Closing:
    metrics = result.metrics
    return Closing(
        made=f"A direction in noise from {metrics['source']} to {metrics['target']}, tried on {metrics['held_out']} "
        "other images.",
        verdict=result.status,
        files="sheet.png (the images), direction.safetensors (the direction).",
        numbers=of_each_model(metrics, _direction_numbers) if verbose or "against" in metrics else [],
    )


def _cell(row: dict[str, float], key: str, form: str) -> str:
    """A number, and the interval of a share that holds it with 95%."""
    shown = format(row[key], form)
    if f"{key}_low" not in row:
        return shown
    return f"{shown} ({100 * row[f'{key}_low']:.0f}-{100 * row[f'{key}_high']:.0f})"


def _direction_numbers(metrics: dict[str, Any]) -> list[str]:
    judged = metrics["attribute"] is not None
    columns = {
        "strength": ("g", "strength", ""),
        "flipped": (".0%", "turned", "high is good"),
        "kept": (".0%", "all else kept", "high is good"),
        "both": (".0%", "both", "high is good"),
        "fit_error": (".2f", "fit error", "0 is a scene"),
        "distance": (".3f", "change seen", "low is good"),
    }
    shown = {key: form for key, form in columns.items() if judged or key in ("strength", "distance")}
    rows = [
        (name, *(_cell(row, key, form) for key, (form, _, _) in shown.items()))
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
    heads, units = (("", *(form[k] for form in shown.values())) for k in (1, 2))
    return [
        *aligned(heads, [units, *rows], str.rjust),
        f"{shares}{metrics['held_out']} other images; change seen: {metrics['perceptual']}{before}",
        told,
        f"{metrics['evaluations']} network evaluations; {metrics['seconds']:.1f} s",
    ]
