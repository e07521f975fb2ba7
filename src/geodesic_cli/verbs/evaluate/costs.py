"""What the sequences of each method took to draw, as our own runs say: no part of the tables, as no two runs agree."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from geodesic_cli.verbs.evaluate.measuring import Sequenced

COSTS = ("evaluations", "seconds", "peak_gb")
"""The mean over sequences; of the memory the largest."""
COSTS_NOTE = (
    "Means over sequences; of memory the largest. Seconds are by the clock on the wall, from reading the images to the "
    "last frame, so they depend on the machine and on what else it does; memory is that of the process, or of the "
    "device."
)


@dataclass(frozen=True)
class MethodCosts:
    """What a method took: sequences that say it, and by the names of COSTS the numbers."""

    n: int
    numbers: Mapping[str, float]


def costs_of(measured: Sequence[Sequenced]) -> dict[str, MethodCosts]:
    """By method; without those of which no sequence says it."""
    found: dict[str, MethodCosts] = {}
    for method in dict.fromkeys(each.method for each in measured):
        own = [each.costs for each in measured if each.method == method and each.costs]
        numbers = {}
        for key in COSTS:
            values = [costs[key] for costs in own if key in costs]
            if values:
                numbers[key] = max(values) if key == "peak_gb" else sum(values) / len(values)
        if own:
            found[method] = MethodCosts(len(own), numbers)
    return found


def costs_metrics(costs: Mapping[str, MethodCosts]) -> dict[str, Any]:
    """As JSON holds it."""
    return {method: {"n": each.n, **each.numbers} for method, each in costs.items()}


def costs_table(costs: Mapping[str, MethodCosts]) -> str:
    """As Markdown; empty where nothing is known."""
    if not costs:
        return ""
    lines = ["| cost | " + " | ".join(costs) + " |", "|---|" + "---|" * len(costs)]
    for key in COSTS:
        cells = [f"{each.numbers[key]:.4g}" if key in each.numbers else "-" for each in costs.values()]
        lines.append(f"| {key} | " + " | ".join(cells) + " |")
    return "\n".join([*lines, "", COSTS_NOTE]) + "\n"
