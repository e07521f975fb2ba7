"""The table of many runs, made from what each has written: the same whoever makes it, and in which order they ended."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from geodesic_cli import media
from geodesic_cli.many.batch import metrics_of
from geodesic_cli.many.rows import Row
from geodesic_cli.settings.vocabulary import PATH_NAMES

PAIR_COLUMNS = (
    "pair", "folder", "method", "path", "converged", "residual", "length", "mean_log_p", "least_log_p", "alpha",
    "frames", "evaluations", "status",
)  # fmt: skip
PAIRS_TABLE = "table.csv"


def write_table(root: Path, rows: Sequence[Row], swept: Sequence[str] = ()) -> int:
    """Write table.csv of all runs that are complete, with a column for each swept option; how many are missing."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow((*PAIR_COLUMNS[:2], *swept, *PAIR_COLUMNS[2:]))
    missing = 0
    for row in rows:
        metrics = metrics_of(root, row)
        if metrics is None:
            missing += 1
            continue
        method = metrics["method"]
        path = metrics["paths"][method]
        numbers = (path["relative_residual"], path["length"], path["mean_excess"], path["min_excess"], metrics["alpha"])
        writer.writerow(
            [
                row.name,
                row.folder,
                *(f"{row.options[name]:.12g}" for name in swept),
                method,
                metrics["names"].get(method, PATH_NAMES.get(method, method)),
                {True: "yes", False: "no"}[metrics["status"] in ("CONVERGED", "NOT_NEEDED", "SEARCHED")],
                *("" if number is None else f"{number:.6g}" for number in numbers),
                metrics["frames"],
                sum(metrics["evaluations"].values()),
                metrics["status"],
            ]
        )
    with media.replacing(root / PAIRS_TABLE) as part:
        part.write_text(out.getvalue(), "utf-8")
    return missing
