"""The table in four shapes: Markdown, LaTeX, CSV with a row for each sequence, and the mapping of metrics.json.

A number is bold where its method is better than every other by more than chance: where the interval of the paired
difference to each of them leaves out 0, on six sequences or more.
"""

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict

from geodesic_cli.evaluation.ruler.catalogue import ALL_NUMBERS, HIGH, LOW
from geodesic_cli.evaluation.ruler.protocols import PROTOCOLS, Protocol
from geodesic_cli.evaluation.ruler.published import published
from geodesic_cli.evaluation.ruler.set_numbers import SetNumber
from geodesic_cli.evaluation.ruler.statistics_over import Aggregate
from geodesic_cli.settings.vocabulary import listed
from geodesic_cli.verbs.evaluate.measuring import Sequenced
from geodesic_cli.verbs.evaluate.scoring import Scored

LATEX_ARROWS = {LOW: r" $\downarrow$", HIGH: r" $\uparrow$", "": ""}
TINY = 1e-3
"""Numbers below it are written with an exponent."""


def protocol_line(name: str) -> str:
    """What stands below every table: the protocol and its digest."""
    return f"Protocol {name} ({PROTOCOLS[name].digest}): {PROTOCOLS[name].title}."


def markdown_table(scores: Scored, name: str) -> str:
    """The table as Markdown: a row for each number, a column for each method."""
    protocol = PROTOCOLS[name]
    lines = [
        "| " + " | ".join(("number", "unit", "good", "n", *scores.methods)) + " |",
        "|" + "---|" * (4 + len(scores.methods)),
    ]
    for key in protocol.numbers:
        cells = _cells(scores, key, "**{}**")
        if cells is not None:
            about = ALL_NUMBERS[key]
            lines.append("| " + " | ".join((f"{about.name} `{key}`", about.unit, about.good, _n(scores, key), *cells)))
            lines[-1] += " |"
    notes = [
        "Means over sequences ± standard errors; in brackets the 95% bootstrap interval. Bold: better than every other "
        "method by more than chance, compared sequence by sequence.",
        protocol_line(name),
        *([protocol.notes] if protocol.notes else []),
        *dict.fromkeys(number.caution for row in scores.sets.values() for number in row.values() if number.caution),
        *not_measured(scores),
    ]
    return "\n".join([*lines, "", *notes]) + "\n"


def not_measured(scores: Scored) -> list[str]:
    """A line for each reason why numbers are not measured, with their keys."""
    keys: dict[str, list[str]] = {}
    for key, why in scores.lacking.items():
        keys.setdefault(why, []).append(f"`{key}`")
    return [f"Not measured: {why}. This concerns {listed(some)}." for why, some in keys.items()]


def latex(scores: Scored, name: str) -> str:
    """The table for a paper; it needs the package booktabs."""
    lines = [
        f"% {protocol_line(name)}",
        r"\begin{tabular}{l" + "r" * len(scores.methods) + "}",
        r"\toprule",
        " & ".join(("", *map(_escaped, scores.methods))) + r" \\",
        r"\midrule",
    ]
    for key in PROTOCOLS[name].numbers:
        cells = _cells(scores, key, r"\textbf{{{}}}", interval=False)
        if cells is not None:
            arrow = LATEX_ARROWS[ALL_NUMBERS[key].good]
            lines.append(" & ".join((_escaped(key) + arrow, *(cell.replace("±", r"$\pm$") for cell in cells))) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"]) + "\n"


def csv_of_sequences(measured: Sequence[Sequenced], protocol: Protocol) -> str:
    """One row for each sequence and method; empty where it has no such number."""
    keys = [key for key in protocol.numbers if any(key in each.numbers for each in measured)]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(("sequence", "method", "frames", "width", "height", "ends", *keys))
    for each in measured:
        cells = [f"{each.numbers[key]:.9g}" if key in each.numbers else "" for key in keys]
        writer.writerow((each.name, each.method, each.frames, *each.size, each.ends, *cells))
    return out.getvalue()


def score_metrics(scores: Scored, name: str) -> dict[str, object]:
    """What metrics.json holds of the numbers."""
    return {
        "protocol": {"name": name, "digest": PROTOCOLS[name].digest, **asdict(PROTOCOLS[name])},
        "methods": list(scores.methods),
        "means": {key: {method: asdict(value) for method, value in row.items()} for key, row in scores.means.items()},
        "sets": {key: {method: asdict(value) for method, value in row.items()} for key, row in scores.sets.items()},
        "paired": {
            key: [{"first": a, "second": b, **asdict(pair)} for (a, b), pair in row.items()]
            for key, row in scores.pairs.items()
        },
        "worst": {key: {method: list(names) for method, names in row.items()} for key, row in scores.worst.items()},
        "not_measured": dict(scores.lacking),
        "not_measured_in_words": not_measured(scores),
        "published": [asdict(row) for row in published(name)],
    }


def rounded_to(value: float, error: float | None) -> str:
    """A number with the digits that its error leaves it, two of the error, or with four digits."""
    if error is None or not error > 0 or (abs(value) < TINY and error < TINY):
        return f"{value:.4g}" if not error else f"{value:.2g}"
    digits = 1 - int(f"{error:e}".split("e")[1])
    return f"{value:.{max(0, digits)}f}"


def _cells(scores: Scored, key: str, bold: str, interval: bool = True) -> list[str] | None:
    """The cells of a row; None where no method has the number."""
    row: dict[str, Aggregate | SetNumber] = {**scores.means.get(key, {}), **scores.sets.get(key, {})}
    if not row:
        return None
    best = scores.best(key)
    cells = []
    for method in scores.methods:
        value = row.get(method)
        if isinstance(value, Aggregate):
            text = rounded_to(value.mean, value.se) + ("" if value.se is None else f" ± {value.se:.2g}")
            text = bold.format(text) if method == best else text
            if interval and value.se is not None:
                text += f" [{rounded_to(value.low, value.se)}, {rounded_to(value.high, value.se)}]"
        elif value is not None:
            text = rounded_to(value.value, value.spread) + ("" if value.spread is None else f" ± {value.spread:.2g}")
        else:
            text = "-"
        cells.append(text)
    return cells


def _n(scores: Scored, key: str) -> str:
    """How many sequences, or images against inputs, a number is of; a range where methods differ."""
    means, sets = scores.means.get(key), scores.sets.get(key)
    if means:
        counts = sorted({value.n for value in means.values()})
        return "-".join(map(str, (counts[0], counts[-1]) if len(counts) > 1 else counts))
    first = next(iter((sets or {}).values()))
    return f"{first.images} against {first.inputs} images"


def _escaped(text: str) -> str:
    return "".join(f"\\{each}" if each in "_&%#$" else each for each in text)
