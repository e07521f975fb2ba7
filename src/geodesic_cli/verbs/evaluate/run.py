"""`geodesic evaluate`: sequences of frames, every number of a protocol with its error, and methods compared in pairs.

    (draw the pairs) -> find the sequences -> check the weights -> measure each -> means, sets, comparisons -> tables

What needs a network that is not here is a row "not measured". Each sequence is on disk as soon as it is measured, so a
run that was stopped goes on there and ends in the same bytes; nothing in the tables depends on the time it took.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from geodesic_cli import media
from geodesic_cli.diffusion import LatentDiffusion
from geodesic_cli.errors import InputError
from geodesic_cli.evaluation.ruler.catalogue import SET_NUMBERS
from geodesic_cli.evaluation.ruler.protocols import DENSITY_NUMBERS, INPUT_NUMBERS, PROTOCOLS, Protocol
from geodesic_cli.evaluation.ruler.set_numbers import SetNumber
from geodesic_cli.runs.calling import called_from_python
from geodesic_cli.runs.folder import RunDirectory
from geodesic_cli.runs.job import Job, RunResult, in_memory
from geodesic_cli.runs.observer import Observer
from geodesic_cli.runs.opening import AnyModel
from geodesic_cli.settings import EvaluateSettings
from geodesic_cli.settings.evaluate import MADE
from geodesic_cli.settings.methods import SOURCES
from geodesic_cli.verbs.evaluate.costs import costs_metrics, costs_of, costs_table
from geodesic_cli.verbs.evaluate.measuring import Measurer, Sequenced, features_of_set, images_of_set, thumbnails
from geodesic_cli.verbs.evaluate.networks import LITE, Networks, networks_for
from geodesic_cli.verbs.evaluate.reading import ToMeasure, sequences_to_measure
from geodesic_cli.verbs.evaluate.scoring import CLEAN, Scored, scores_of, set_number
from geodesic_cli.verbs.evaluate.table import csv_of_sequences, latex, markdown_table, protocol_line, score_metrics

Maker = Callable[[EvaluateSettings, Path, Observer], tuple[str, frozenset[str]]]
"""Draws the pairs of the settings into a folder of runs; says in words what they are, and gives their names."""
SHOWN, COLUMNS, SIDE = 4, 7, 96
"""Sequences of each method on the sheet, frames of each, and their side in pixels."""
STRIPS = 500
"""Pairs of which the page has a strip."""


@dataclass(frozen=True, eq=False, repr=False)
class Evaluation(RunResult):
    """What was measured.

    Args:
        scores: means, numbers of sets, comparisons; of two sets of images alone, only those.
        sequences: each with its numbers.
        protocol: the name of the protocol.
    """

    scores: Scored
    sequences: tuple[Sequenced, ...]
    protocol: str

    @property
    def complete(self) -> bool:
        """Whether every number of the protocol was measured that these sequences can have."""
        return not self.scores.lacking

    def to_markdown(self) -> str:
        """The table, with the protocol and what is not measured below it."""
        return markdown_table(self.scores, self.protocol)

    def to_latex(self) -> str:
        """The table for a paper."""
        return latex(self.scores, self.protocol)


@called_from_python(EvaluateSettings)
def evaluate(
    *sources: media.Picture | Sequence[media.Picture],
    model: AnyModel = "",
    observer: Observer | None = None,
    **options: Any,
) -> Evaluation:
    """Measure finished sequences in memory; nothing is written.

    Args:
        sources: folders of runs or of frames, films, or frames in memory (n, 3, h, w); each further one is another
            method.
        model: whose density is measured along each; none without it.
        options: any setting of `settings.EvaluateSettings` but sources, out, resume and overwrite.
    """
    given = tuple(each if isinstance(each, Tensor) else str(each) for each in sources)
    names = tuple(each if isinstance(each, str) else f"sequence {k}" for k, each in enumerate(given, 1))
    return run(in_memory(EvaluateSettings, "evaluate", model, options, observer, sources=names), given=given)


def run(
    job: Job[EvaluateSettings], make: Maker | None = None, given: Sequence[str | Tensor] | None = None
) -> Evaluation:
    """Measure the sequences of the settings, or those given in their place.

    Args:
        job: what is asked.
        make: draws pairs; without it --pairs is refused.
        given: sequences that take the place of the settings' sources.
    """
    s, protocol = job.settings, PROTOCOLS[job.settings.protocol]
    networks = networks_for(protocol, s.metric_weights, "cpu" if s.device == "auto" else s.device)
    if s.pairs is None and s.samples is None:
        ready = sequences_to_measure(s, s.sources if given is None else given)
    elif s.pairs is not None and (make is None or job.command is None):
        raise InputError(
            "Pairs are drawn by the command line, into a folder.", f"Run geodesic evaluate --pairs {s.pairs}."
        )
    else:
        ready = ("", ())
    sets = [images_of_set(Path(folder)) for folder in (s.samples, s.real) if folder is not None]
    with job.in_folder(stem(s)) as job:
        if s.samples is not None:
            return _two_sets(job, networks, sets)
        said = ""
        if s.pairs is not None and make is not None and job.directory is not None:
            folder = job.directory.folder
            said, names = make(s, folder / MADE, job.observer)
            there = sequences_to_measure(replace(s, layout="ours", limit=None), [str(folder)])
            # An earlier session may have drawn more.
            ready = there[0], tuple(each for each in there[1] if each.name in names)
        return _Work(**vars(job)).measure(ready[1], said or f"layout {ready[0]}", protocol, networks)


def stem(settings: EvaluateSettings) -> str:
    """What the folder of a run is called below runs/."""
    s = settings
    place = s.sources[0] if s.sources else s.pairs or s.samples or ""
    return f"evaluate-{place.replace(':', '-') if s.scenes else Path(place).resolve().stem}"


@dataclass(frozen=True, eq=False)
class _Work(Job[EvaluateSettings]):
    def measure(
        self, sequences: Sequence[ToMeasure], layout: str, protocol: Protocol, networks: Networks
    ) -> Evaluation:
        s = self.settings
        model = self._model()
        if model is None:
            lacking = dict.fromkeys(DENSITY_NUMBERS, "needs --model, whose density it is")
            networks = replace(networks, lacking={**lacking, **networks.lacking})
        measurer = Measurer(protocol, networks, model, self.directory)
        self.observer.stage(f"Measuring ({layout})", len(sequences), "sequences")
        measured = []
        for sequence in sequences:
            measured.append(measurer.kept(sequence))
            self.observer.advance(1, sequence.name)
        lacking = {key: why for key, why in networks.lacking.items() if key in protocol.numbers}
        if all(each.ends == "not known" for each in measured):
            lacking |= dict.fromkeys(
                [key for key in (*INPUT_NUMBERS, "re_lpips") if key in protocol.numbers and key not in lacking],
                "needs --inputs, a folder of the images that the sequences go between",
            )
        scores, costs = scores_of(measured, protocol, lacking, s.seed), costs_of(measured)
        self._warn_of_frames(measured, protocol)
        status = sentence(scores, measured, s.protocol)
        metrics: dict[str, Any] = {
            "status": status,
            "layout": layout,
            "sequences": len(measured),
            "frames": sorted({each.frames for each in measured}),
            "ends": {word: sum(each.ends == word for each in measured) for word in ("given", "drawn", "not known")},
            "weights": dict(networks.digests),
            "costs": costs_metrics(costs),
            "sources": _sources(sequences, scores.methods),
            **score_metrics(scores, s.protocol),
        }
        result = Evaluation(scores, tuple(measured), s.protocol, metrics=metrics, status=status)
        if self.directory is not None:
            self.directory.write_text("table.md", result.to_markdown())
            self.directory.write_text("table.tex", result.to_latex())
            self.directory.write_text("sequences.csv", csv_of_sequences(measured, protocol))
            if costs:
                self.directory.write_text("costs.md", costs_table(costs))
            self.directory.write_png("sheet.png", _sheet(sequences))
            metrics["strips"] = self._strips(self.directory, sequences)
        return self.done(result)

    def _strips(self, directory: RunDirectory, sequences: Sequence[ToMeasure]) -> list[str]:
        """A picture for each pair with the frames of every method, as strips/; the names of the pairs."""
        names = list(dict.fromkeys(each.name for each in sequences))[:STRIPS]
        self.observer.stage("Writing strips", len(names), "pairs")
        for number, name in enumerate(names):
            # Always anew: an earlier session may have had another --limit, and so another pair in this place.
            directory.write_png(f"strips/{number:05d}.png", _rows_of([each for each in sequences if each.name == name]))
            self.observer.advance(1, name)
        return names

    def _model(self) -> LatentDiffusion | None:
        return self.load_model() if self.settings.model else None

    def _warn_of_frames(self, measured: Sequence[Sequenced], protocol: Protocol) -> None:
        counts = sorted({each.frames for each in measured})
        if len(counts) > 1:
            self.observer.warn(
                f"The sequences have between {counts[0]} and {counts[-1]} frames: sums and sizes of steps depend on "
                "their number, and compare only where it is the same."
            )
        elif protocol.frames is not None and counts[0] != protocol.frames:
            self.observer.warn(
                f"The protocol has sequences of {protocol.frames} frames, and these have {counts[0]}: do not compare "
                "them with published numbers."
            )


def sentence(scores: Scored, measured: Sequence[Sequenced], protocol: str) -> str:
    """What was measured, in one or two sentences."""
    count, methods = len(measured), len(scores.methods)
    numbers = len(scores.means) + len(scores.sets)
    made = (
        f"{numbers} number{'' if numbers == 1 else 's'} of {count} sequence{'' if count == 1 else 's'} by "
        f"{methods} method{'' if methods == 1 else 's'}. {protocol_line(protocol)}"
    )
    return made if not scores.lacking else f"{made} Not measured: {len(scores.lacking)}; table.md says what they need."


def _sources(sequences: Sequence[ToMeasure], methods: Sequence[str]) -> dict[str, str]:
    """Where the methods are from whose sequences all are of our runs: others may mean another thing by a name."""
    others = {each.method for each in sequences if each.found is None or each.found.run is None}
    return {method: SOURCES[method] for method in methods if method in SOURCES and method not in others}


def _sheet(sequences: Sequence[ToMeasure]) -> Tensor:
    """A few sequences of every method, those of one name one above the other."""
    names = list(dict.fromkeys(each.name for each in sequences))[:SHOWN]
    return _rows_of([each for name in names for each in sequences if each.name == name])


def _rows_of(shown: Sequence[ToMeasure]) -> Tensor:
    """Sequences one above the other, each with its names."""
    rows = [thumbnails(each, COLUMNS, SIDE) for each in shown]
    labels = [f"{each.name.rpartition('/')[2][:24]}\n{each.method[:24]}" for each in shown]
    return media.sheet(rows, labels)


def _two_sets(job: Job[EvaluateSettings], networks: Networks, sets_of_files: Sequence[Sequence[Path]]) -> Evaluation:
    """The distances of two folders of images."""
    s, protocol = job.settings, PROTOCOLS[job.settings.protocol]
    assert s.samples is not None and s.real is not None
    keys = [key for key in protocol.numbers if key in SET_NUMBERS and key not in ("fid_diffmorpher", "fid_mid")]
    job.observer.stage("Measuring two sets of images", 2, "folders")
    found = []
    for files in sets_of_files:
        found.append(features_of_set(files, networks))
        job.observer.advance(1)
    sets: dict[str, dict[str, SetNumber]] = {}
    for key in keys:
        word = LITE if key.endswith("lite0") else CLEAN if key == "fid_clean" else "inception"
        if word in found[0]:
            whole = torch.cat([found[0][word][:1], found[0][word], found[0][word][-1:]])  # ends are left out again
            sets[key] = {Path(s.samples).name: set_number(key, [whole], found[1][word], s.seed)}
    lacking = {key: networks.lacking[key] for key in keys if key in networks.lacking}
    scores = Scored((Path(s.samples).name,), {}, sets, {}, {}, lacking)
    status = f"{len(sets)} distances between the images of {s.samples} and {s.real}."
    metrics: dict[str, Any] = {"status": status, "layout": "two folders of images", **score_metrics(scores, s.protocol)}
    result = Evaluation(scores, (), s.protocol, metrics=metrics, status=status)
    if job.directory is not None:
        job.directory.write_text("table.md", result.to_markdown())
        job.directory.write_text("table.tex", result.to_latex())
    return job.done(result)
