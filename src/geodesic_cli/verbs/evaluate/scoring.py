"""All sequences together: means with their errors, distances of sets, and methods compared sequence by sequence."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import torch
from torch import Tensor

from geodesic_cli.errors import InputError
from geodesic_cli.evaluation.ruler.catalogue import ALL_NUMBERS, SEQUENCE_NUMBERS, SET_NUMBERS
from geodesic_cli.evaluation.ruler.protocols import Protocol
from geodesic_cli.evaluation.ruler.set_numbers import (
    SetNumber,
    frechet_number,
    frechet_of_draws,
    inner_rows,
    kernel_number,
    middle,
)
from geodesic_cli.evaluation.ruler.statistics_over import Aggregate, Comparison, aggregate, compared
from geodesic_cli.verbs.evaluate.measuring import Sequenced
from geodesic_cli.verbs.evaluate.networks import LITE

WORST = 5
CLEAN = "inception, clean"


@dataclass(frozen=True)
class Scored:
    """What came out.

    Args:
        methods: in natural order.
        means: by key and method.
        sets: numbers of sets of images, by key and method.
        pairs: comparisons, by key and the two methods.
        worst: names of the sequences that fare worst, by key and method.
        lacking: why a number is not measured, by key, in the order of the protocol.
    """

    methods: tuple[str, ...]
    means: Mapping[str, Mapping[str, Aggregate]]
    sets: Mapping[str, Mapping[str, SetNumber]]
    pairs: Mapping[str, Mapping[tuple[str, str], Comparison]]
    worst: Mapping[str, Mapping[str, tuple[str, ...]]]
    lacking: Mapping[str, str]

    def best(self, key: str) -> str | None:
        """The method that is better than every other by more than chance; None where there is none."""
        good, means = ALL_NUMBERS[key].good, self.means.get(key, {})
        if not good or len(means) < 2:
            return None
        first = (min if good.startswith("lower") else max)(means, key=lambda method: means[method].mean)
        rivals = [pair for names, pair in self.pairs.get(key, {}).items() if first in names]
        return first if len(rivals) == len(means) - 1 and all(pair.decided for pair in rivals) else None


def scores_of(measured: Sequence[Sequenced], protocol: Protocol, lacking: Mapping[str, str], seed: int) -> Scored:
    """Everything that is said of these sequences.

    Args:
        measured: one sequence or more.
        protocol: which numbers are said, in which order.
        lacking: why a number was not measured, by key.
        seed: of draws and subsets.
    """
    methods = tuple(dict.fromkeys(each.method for each in measured))
    by_key: dict[str, dict[str, dict[str, float]]] = {}
    for each in measured:
        for key, value in each.numbers.items():
            by_key.setdefault(key, {}).setdefault(each.method, {})[each.name] = value
    keys = [key for key in protocol.numbers if key in SEQUENCE_NUMBERS and key in by_key]
    means = {key: {m: aggregate(list(by_key[key][m].values())) for m in methods if m in by_key[key]} for key in keys}
    pairs: dict[str, dict[tuple[str, str], Comparison]] = {}
    for key in keys:
        for a, b in combinations(methods, 2):
            found = compared(by_key[key].get(a, {}), by_key[key].get(b, {}), SEQUENCE_NUMBERS[key].good)
            if found is not None:
                pairs.setdefault(key, {})[a, b] = found
    worst = {key: {m: _worst(by_key[key][m], SEQUENCE_NUMBERS[key].good) for m in by_key[key]} for key in keys}
    sets, refused = _sets(measured, methods, protocol, seed)
    why = dict(lacking) | refused
    return Scored(methods, means, sets, pairs, worst, {key: why[key] for key in protocol.numbers if key in why})


def _worst(values: Mapping[str, float], good: str) -> tuple[str, ...]:
    if not good:
        return ()
    order = sorted(values, key=lambda name: (values[name], name), reverse=good.startswith("lower"))
    return tuple(order[:WORST])


def _sets(
    measured: Sequence[Sequenced], methods: Sequence[str], protocol: Protocol, seed: int
) -> tuple[dict[str, dict[str, SetNumber]], dict[str, str]]:
    """The numbers of sets, and why one could not be computed."""
    found: dict[str, dict[str, SetNumber]] = {}
    refused: dict[str, str] = {}
    for method in methods:
        own = [each for each in measured if each.method == method]
        for key in (key for key in protocol.numbers if key in SET_NUMBERS):
            word = LITE if key.endswith("lite0") else CLEAN if key == "fid_clean" else "inception"
            if word in own[0].features:
                try:
                    made = set_number(key, [each.features[word] for each in own], _inputs(own, word), seed)
                    found.setdefault(key, {})[method] = made
                except InputError as error:
                    refused[key] = error.message
    return found, refused


def set_number(key: str, sequences: Sequence[Tensor], inputs: Tensor, seed: int) -> SetNumber:
    """One number of sets of features.

    Args:
        key: of SET_NUMBERS.
        sequences: features (frames, d) of each sequence.
        inputs: features (m, d) of the images that they go between.
        seed: of draws and subsets.
    """
    if key == "fid_diffmorpher":
        return frechet_of_draws(sequences, inputs, seed)
    if key == "fid_mid":
        return frechet_number(middle(sequences), inputs)
    if key in ("kid", "kernel_efficientnet_lite0"):
        return kernel_number(inner_rows(sequences), inputs, seed)
    return frechet_number(inner_rows(sequences), inputs)


def _inputs(own: Sequence[Sequenced], word: str) -> Tensor:
    """The features of all inputs of a method, each image once."""
    rows: dict[str, Tensor] = {}
    for each in own:
        rows |= dict(zip(each.inputs, each.features[f"{word}, inputs"], strict=True))
    return torch.stack([rows[digest] for digest in sorted(rows)])
