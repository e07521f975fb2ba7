"""The tables of `geodesic bench`, as they are written and shown."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class BenchTable:
    """A table of texts, and a sentence on what its columns mean."""

    heads: tuple[str, ...]
    lines: Sequence[tuple[str, ...]]
    legend: str

    @property
    def markdown(self) -> str:
        """The table in Markdown, and the sentence below it."""
        lines = [self.heads, ("---",) * len(self.heads), *self.lines]
        return "\n".join([*(f"| {' | '.join(line)} |" for line in lines), "", self.legend, ""])
