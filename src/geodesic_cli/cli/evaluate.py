"""`geodesic evaluate`: options to settings, settings to the task, the table to the screen."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import typer

from geodesic_cli.cli.command import METRICS_AS_JSON, flag, options_of
from geodesic_cli.cli.common import VERBOSE, Closing, planned, ran
from geodesic_cli.cli.saying import say
from geodesic_cli.runs.plain import aligned, to_json
from geodesic_cli.settings import EvaluateSettings, from_command_line

if TYPE_CHECKING:
    from geodesic_cli.verbs.evaluate.run import Evaluation

MOST_COLUMNS = 6


@options_of(
    EvaluateSettings,
    list_weights=flag("--weights", "List the trained weights: what is here, what is missing."),
    fetch=flag("--fetch", "With --weights: fetch what is missing."),
    dry=flag("--dry-run", "Print pairs, methods, costs and weights; run nothing."),
    strict=flag("--strict", "Exit with code 3 if a number could not be measured."),
    verbose=VERBOSE,
    as_json=METRICS_AS_JSON,
)
def evaluate(options: dict[str, Any]) -> None:
    """Measure sequences of frames: ours, those of other tools, films.

    Every number has its full name, its standard error and its interval over sequences; methods are compared sequence
    by sequence. A protocol says which numbers belong together. What needs trained weights that are not here is named
    as not measured, and nothing takes its place.

    \b
    Examples:
      geodesic evaluate runs/a-to-b
      geodesic evaluate results/ours results/theirs --protocol diffmorpher
      geodesic evaluate --pairs scenes:20
      geodesic evaluate --pairs MorphBench/ --methods slerp,geodesic --model sd15 --out runs/morphbench
      geodesic evaluate --weights

    Writes report.html, table.md, table.tex, sequences.csv (one row a sequence), metrics.json, sheet.png, config.toml,
    manifest.json, log.txt. Every option can also be set by a variable such as GEODESIC_EVALUATE_PROTOCOL.
    """
    if options["list_weights"] or options["fetch"]:
        _show_weights(options)
        return
    settings = from_command_line(EvaluateSettings, options)
    if options["dry"]:
        planned("many.planning", settings, options["as_json"])
        return
    result = ran("many.evaluating", settings, options["as_json"], lambda made: _closing(made, options["verbose"]))
    if options["strict"] and not result.complete:
        raise typer.Exit(3)


def _show_weights(options: dict[str, Any]) -> None:
    from geodesic_cli.verbs.evaluate.weights import fetch_weights, weights_rows

    if options["fetch"]:
        say("\n".join(fetch_weights(options["metric_weights"])), err=True)
    rows = weights_rows(options["metric_weights"])
    if options["as_json"]:
        typer.echo(to_json({"weights": [asdict(row) for row in rows]}).rstrip())
    else:
        say("\n".join(row.text for row in rows))


def _closing(result: "Evaluation", verbose: bool) -> Closing:
    metrics = result.metrics
    methods = list(result.scores.methods)[:MOST_COLUMNS]
    rows = []
    for key in metrics["protocol"]["numbers"]:
        means, sets = result.scores.means.get(key, {}), result.scores.sets.get(key, {})
        cells = [
            f"{means[name].mean:.4g}" if name in means else f"{sets[name].value:.4g}" if name in sets else "-"
            for name in methods
        ]
        best = result.scores.best(key)
        cells = [f"{cell} *" if name == best else cell for name, cell in zip(methods, cells, strict=True)]
        rows += [(key, *cells)] if any(cell != "-" for cell in cells) else []
    costs = metrics.get("costs", {})
    for key in ("seconds", "peak_gb"):
        cells = [f"{costs[name][key]:.4g}" if key in costs.get(name, {}) else "-" for name in methods]
        rows += [(key, *cells)] if any(cell != "-" for cell in cells) else []
    table = aligned(("number", *methods), rows, str.rjust) if rows else []
    numbers = [*table, "* is better than every other method by more than chance."] if len(methods) > 1 else table
    if verbose:
        numbers += metrics["not_measured_in_words"]
    layout = f"Read as: {metrics['layout']}." if "layout" in metrics else ""
    return Closing(
        made=result.status,
        verdict=layout,
        files="table.md and table.tex (the table), sequences.csv (a row for each sequence).",
        numbers=numbers,
    )
