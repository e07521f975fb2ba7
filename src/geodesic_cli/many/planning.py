"""What many runs, or an evaluation, will cost: evaluations by method, time, memory, and the weights that are sought.

Nothing is drawn and nothing is written. One call of the model is timed, on the first pair; the others are counted.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from geodesic_cli.errors import InputError
from geodesic_cli.evaluation.ruler.protocols import DENSITY_NUMBERS, PROTOCOLS
from geodesic_cli.many.evaluating import runs_to_measure
from geodesic_cli.many.rows import Row
from geodesic_cli.runs.job import Job
from geodesic_cli.runs.observer import Observer
from geodesic_cli.runs.plain import aligned
from geodesic_cli.settings import EvaluateSettings
from geodesic_cli.verbs.evaluate.measuring import images_of_set
from geodesic_cli.verbs.evaluate.reading import sequences_to_measure
from geodesic_cli.verbs.evaluate.weights import WeightsRow, needed_rows
from geodesic_cli.verbs.interpolate.plan import Plan, in_words
from geodesic_cli.verbs.interpolate.run import dry_run as plan_of_one
from geodesic_cli.verbs.interpolate.stages import score_evaluations, stages

DONE_HEADS = ("method", "sequences", "evaluations", "about")


@dataclass(frozen=True)
class MethodPlan:
    """The sequences of one method: how many, the evaluations of the network at most, and seconds, about."""

    method: str
    sequences: int
    evaluations: int
    seconds: float


@dataclass(frozen=True)
class ManyPlan:
    """What is asked, in words, and what it will cost.

    Args:
        what: a sentence.
        methods: what is drawn by each.
        model: the plan of the first run, with device and memory; None where nothing is drawn.
        weights: files that numbers need; None where nothing is measured.
        density: evaluations for the density of the model along what was drawn.
    """

    what: str
    methods: tuple[MethodPlan, ...] = ()
    model: Plan | None = None
    weights: tuple[WeightsRow, ...] | None = None
    density: int = 0

    @property
    def metrics(self) -> dict[str, Any]:
        """As JSON holds it."""
        told: dict[str, Any] = {"what": self.what, "methods": [asdict(each) for each in self.methods]}
        told |= {} if self.model is None else {"memory": self.model.metrics["memory"]}
        told |= {"density_evaluations": self.density} if self.density else {}
        return told if self.weights is None else told | {"weights": [asdict(row) for row in self.weights]}

    @property
    def text(self) -> str:
        """For a person."""
        lines = [self.what]
        rows = [(m.method, str(m.sequences), f"up to {m.evaluations}", in_words(m.seconds)) for m in self.methods]
        if len(rows) > 1:
            sums = [sum(getattr(m, key) for m in self.methods) for key in ("sequences", "evaluations")]
            rows.append(("in all", str(sums[0]), f"up to {sums[1]}", in_words(sum(m.seconds for m in self.methods))))
        lines += aligned(DONE_HEADS, rows, str.ljust) if rows else []
        lines += [self.model.legend] if self.model is not None else []
        lines += [f"The density of the model along them: {self.density} evaluations more."] if self.density else []
        if self.weights is not None:
            lines += [row.text for row in self.weights] or ["The protocol needs no trained weights."]
        return "\n".join(lines)


def dry_run(job: Job[EvaluateSettings]) -> ManyPlan:
    """What an evaluation will draw and measure, and which weights it will look for.

    Raises:
        GeodesicError: what the evaluation itself would refuse.
    """
    s = job.settings
    protocol = PROTOCOLS[s.protocol]
    weights = tuple(needed_rows(protocol, s.metric_weights))
    numbers = f"{len(protocol.numbers)} numbers of the protocol {s.protocol}"
    if s.samples is not None and s.real is not None:
        counts = [len(images_of_set(Path(folder))) for folder in (s.samples, s.real)]
        return ManyPlan(f"Distances between {counts[0]} images and {counts[1]}; {numbers}.", weights=weights)
    measured = bool(s.model) and bool(set(DENSITY_NUMBERS) & set(protocol.numbers))
    if s.pairs is None:
        _, found = sequences_to_measure(s, s.sources)
        methods = list(dict.fromkeys(each.method for each in found))
        frames = sum(len(each.frames()) for each in found) if measured else 0
        what = f"{len(found)} sequences by {len(methods)} methods ({', '.join(methods)}) are there; {numbers}."
        return ManyPlan(what, weights=weights, density=frames)
    with TemporaryDirectory() as folder:
        words, rows = runs_to_measure(s, Path(folder))
        made = planned_runs(rows, Path(folder), job.observer)
    frames = int(rows[0].options["frames"])
    return ManyPlan(
        f"{words}; {len(s.chosen)} methods ({', '.join(s.chosen)}), {frames} frames each; {numbers}.",
        made.methods,
        made.model,
        weights,
        frames * sum(each.sequences for each in made.methods) if measured else 0,
    )


def planned_runs(rows: Sequence[Row], root: Path, observer: Observer, words: str = "") -> ManyPlan:
    """What runs will cost; of those that cannot be drawn it is told.

    Raises:
        GeodesicError: none of them can be drawn.
    """
    good = [row.settings(root, False) for row in rows if not row.wrong]
    for row in rows:
        if row.wrong:
            observer.warn(f"{row.folder} cannot be drawn. {row.wrong}")
    if not good:
        raise InputError("None of the pairs can be drawn.")
    first = plan_of_one(Job(good[0], observer))
    found: dict[str, list[tuple[int, float]]] = {}
    for settings in good:
        images = max(2, len(settings.images))
        parts = stages(settings, images, score_evaluations(settings), first.per_evaluation)
        spent = sum(part.evaluations or 0 for part in parts), sum(part.seconds for part in parts)
        found.setdefault(settings.method, []).append(spent)
    methods = [
        MethodPlan(method, len(spent), sum(count for count, _ in spent), sum(seconds for _, seconds in spent))
        for method, spent in found.items()
    ]
    return ManyPlan(words, tuple(methods), first)
