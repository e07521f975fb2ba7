"""`geodesic evaluate --pairs`: draw pairs by several methods, then measure what was drawn."""

from pathlib import Path
from typing import Any

from geodesic_cli.errors import InputError
from geodesic_cli.evaluation.ruler.protocols import PROTOCOLS
from geodesic_cli.layouts import pairs_of
from geodesic_cli.many.batch import MODEL_FIELDS, begin, metrics_of, run_rows, typed
from geodesic_cli.many.nearness import near_for
from geodesic_cli.many.rows import Row, row_of
from geodesic_cli.many.scene_pairs import draw_scenes, scene_pairs
from geodesic_cli.many.share import my_share
from geodesic_cli.runs.job import Job
from geodesic_cli.runs.observer import Observer
from geodesic_cli.settings import EvaluateSettings
from geodesic_cli.settings.evaluate import MADE, MADE_FRAMES, SCENES_FRAMES
from geodesic_cli.verbs.evaluate.run import Evaluation
from geodesic_cli.verbs.evaluate.run import run as evaluate_run

OWN_MODEL = "clevr-mini"


def run(job: Job[EvaluateSettings]) -> Evaluation:
    """Measure, after the pairs were drawn where there are any; of several processes the last one to end measures.

    Raises:
        GeodesicError: nothing to measure; pairs that other processes have not drawn yet.
    """
    s = job.settings
    if s.pairs is not None and s.scenes is None:
        pairs_of(Path(s.pairs), s.captions, s.seed, near_for(s))  # refused before any folder is made
    if s.pairs is None or my_share(s.part)[1] == 1:
        return evaluate_run(job, make)
    if s.out is None:
        raise InputError("Several processes need one folder for all pairs.", "Pass --out.")
    missing = _missing(s, Path(s.out, MADE), job.observer)
    if missing:
        raise InputError(
            f"This part is drawn; {missing} sequences of other parts are not there yet, so nothing is measured.",
            "The part that ends last measures all; or run it again when the others are done.",
        )
    return evaluate_run(job, make)


def make(settings: EvaluateSettings, root: Path, observer: Observer) -> tuple[str, frozenset[str]]:
    """Draw all pairs that are not there yet; in words what they are, and their names.

    Raises:
        GeodesicError: none of them could be drawn.
    """
    words, rows = runs_to_measure(settings, root)
    begin(root, rows, True)
    ended = run_rows(root, rows, observer, "geodesic evaluate")
    if len(ended.failed) == len(rows):
        raise InputError(f"None of the pairs could be drawn. {next(iter(ended.failed.values()))}")
    said = words if not ended.failed else f"{words}, of which {len(ended.failed)} could not be drawn"
    return said, frozenset(row.name for row in rows)


def _missing(settings: EvaluateSettings, root: Path, observer: Observer) -> int:
    """Draw the part of this process; how many of the others' are not there yet."""
    number, count = my_share(settings.part)
    _, rows = runs_to_measure(settings, root)
    begin(root, rows, True)
    run_rows(root, rows[number::count], observer, "geodesic evaluate")
    return sum(metrics_of(root, row) is None for row in rows if not row.wrong)


def runs_to_measure(settings: EvaluateSettings, root: Path) -> tuple[str, list[Row]]:
    """What the pairs are, in words, and a row for each pair and method; the list is on disk."""
    s = settings
    if s.scenes is None:
        found = pairs_of(Path(str(s.pairs)), s.captions, s.seed, near_for(s))
    else:
        found = scene_pairs(s.scenes, s.seed, root)
        draw_scenes(found, s.seed)
    chosen = found.pairs[: s.limit]
    given: dict[str, Any] = {name: getattr(s, name) for name in MODEL_FIELDS}
    given |= {"model": s.model or OWN_MODEL, "formats": "none", "tau": s.tau}
    usual = SCENES_FRAMES if s.scenes is not None else MADE_FRAMES
    given |= {"frames": s.frames or PROTOCOLS[s.protocol].frames or usual}
    rows = [
        row_of(pair, typed(given | {"method": method}), f"{pair.name}/{method}")
        for pair in chosen
        for method in s.chosen
    ]
    said = f", captions from {found.captions}" if found.captions else ""
    return f"{len(chosen)} {'pair' if len(chosen) == 1 else 'pairs'}, {found.layout}{said}", rows
