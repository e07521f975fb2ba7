"""Numbers that other papers report, each under the protocol that it was made with: `published.json`."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Reported:
    """A row of a table of a paper.

    Args:
        data: what it was measured on.
        method: as the paper calls it.
        values: by what the paper calls them, which need not be what we mean by the word.
        source: the paper and its table.
        second_hand: whether it was read elsewhere than in the paper itself.
    """

    data: str
    method: str
    values: Mapping[str, float]
    source: str
    second_hand: bool


def published(protocol: str) -> tuple[Reported, ...]:
    """The rows of a protocol, and of no other."""
    found: dict[str, Any] = json.loads(Path(__file__).with_name("published.json").read_text("utf-8"))
    return tuple(
        Reported(**{key: value for key, value in row.items() if key != "protocol"})
        for row in found["rows"]
        if row["protocol"] == protocol
    )
