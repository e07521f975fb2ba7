"""`geodesic interpolate`: options to settings, settings to the task, the result to the screen."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from geodesic_cli.cli.command import METRICS_AS_JSON, STRICT, flag, options_of, text_flag
from geodesic_cli.cli.common import VERBOSE, Closing, planned, ran
from geodesic_cli.cli.many_pairs import many
from geodesic_cli.cli.saying import say
from geodesic_cli.errors import InputError
from geodesic_cli.runs.plain import aligned
from geodesic_cli.settings import InterpolateSettings, from_command_line
from geodesic_cli.settings.methods import method_reason
from geodesic_cli.settings.option import COMMON, RUN
from geodesic_cli.settings.vocabulary import FLAT_METHODS

if TYPE_CHECKING:
    from geodesic_cli.verbs.interpolate.run import Interpolation


@options_of(
    InterpolateSettings,
    sweeps=True,
    globally=flag("--global", "The same as --method global.", COMMON, False),
    many_pairs=text_flag("--pairs", "A table a,b,prompt_a,prompt_b, a folder, scenes:N.", "PLACE"),
    many_part=text_flag("--part", "With --pairs: the K-th of N parts.", "K/N", RUN),
    dry=flag("--dry-run", "Print what each stage would cost; run nothing.", COMMON),
    strict=STRICT,
    verbose=VERBOSE,
    as_json=METRICS_AS_JSON,
)
def interpolate(options: dict[str, Any]) -> None:
    """Interpolate between images: two, several, or a whole clip.

    The frames follow a geodesic of the model's density. --global, the default of the embedded model, searches among
    samples of the model for the path on which things move; --method geodesic solves from the great circle.

    \b
    Examples:
      geodesic interpolate a.png b.png
      geodesic interpolate a.png b.png --prompt "a red cube" --prompt "a blue sphere" --compare blend,slerp
      geodesic interpolate a.png b.png --tau 0.2,0.4 --bend 2,8 --out runs/sweep
      geodesic interpolate a.png b.png c.png --between 7 --loop
      geodesic interpolate --pairs pairs.csv --out runs/all

    Writes report.html (a page of all of it), frames/ (with --compare the other methods' into compare/), sheet.png,
    films (--formats), density.png, convergence.png (graph.png for a search), metrics.json, path.safetensors,
    config.toml, manifest.json and log.txt. Every option but --prompt can also be set by a variable such as
    GEODESIC_INTERPOLATE_TAU.
    """
    method = options["method"]
    if options["many_pairs"] or options["sweep"]:
        many(options)
        return
    if options["globally"] and method not in (None, "global"):
        raise InputError(f"--global means --method global; got --method {method} too.", "Leave one of them out.")
    settings = from_command_line(InterpolateSettings, options, method="global" if options["globally"] else method)
    if options["dry"]:
        planned("interpolate.run", settings, options["as_json"])
        return
    if not options["globally"] and method is None and settings.method in ("geodesic", "global"):
        say(method_reason(settings.method, settings.model, len(settings.images)), err=True)
    result = ran(
        "interpolate.run", settings, options["as_json"], lambda made: _closing(made, settings, options["verbose"])
    )
    if options["strict"] and not result.converged:
        raise typer.Exit(3)


def _closing(result: "Interpolation", settings: InterpolateSettings, verbose: bool) -> Closing:
    metrics = result.metrics
    count, keyframes = metrics["frames"], len(metrics["keyframes"])
    first, last = Path(settings.images[0]).stem, Path(settings.images[-1]).stem
    several = f"through {keyframes} images" if len(settings.images) == 1 or keyframes > 2 else f"from {first} to {last}"
    film = "".join(f" {name} (the film)," for name in metrics["films"][:1])
    numbers = _table(metrics) if verbose or len(metrics["paths"]) > 1 else []
    return Closing(
        made=f"{count} frames {several} along the {metrics['names'][metrics['method']].partition(',')[0]}."
        + (f" Prompts read from the images: {'; '.join(metrics['prompts'])}." if settings.captions else ""),
        verdict=result.status,
        files=f"sheet.png (all frames),{film} density.png (how plausible the path is).",
        fine=result.converged,
        numbers=[*numbers, *(_costs(metrics) if verbose else [])],
    )


def _table(metrics: dict[str, Any]) -> list[str]:
    heads = ("path", "length", "mean log p", "least log p", "residual")
    units = ("", "short is good", "nats, high is good", "nats, high is good", "0 is a geodesic")
    rows = [
        (
            metrics["names"][method].partition(",")[0] + (" *" if method == metrics["method"] else ""),
            f"{path['length']:.3g}" if method not in FLAT_METHODS else "-",
            f"{path['mean_excess']:+.1f}",
            f"{path['min_excess']:+.1f}",
            f"{path['relative_residual']:.2g}" if method not in FLAT_METHODS else "-",
        )
        for method, path in metrics["paths"].items()
    ]
    return [
        *aligned(heads, [units, *rows], str.rjust),
        "* is the path of frames/ and the films. log p is counted from the line between its values at the two ends: "
        "above 0 the path is more plausible than they are.",
    ]


def _costs(metrics: dict[str, Any]) -> list[str]:
    spent = metrics["evaluations"]
    return [
        f"alpha {metrics['alpha']:.3g} (bend {metrics['bend']:.2f}) at tau {metrics['tau']:g}; network evaluations: "
        f"{spent['path']} for the path, {spent['pacing']} for the spacing of frames, {spent['frames']} for drawing "
        f"them; {metrics['seconds']:.1f} s"
    ]
