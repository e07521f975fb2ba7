"""What the folder of a run holds, whoever wrote it and with whatever version: what is missing or odd is left out."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from geodesic_cli.report.album import UNREADABLE, Shot


@dataclass(frozen=True)
class RunFiles:
    """A run that is over, or as far as it came.

    Args:
        folder: where it is.
        manifest: what manifest.json says; its files and settings are there.
        metrics: what metrics.json holds; empty for a run that did not end.
    """

    folder: Path
    manifest: Mapping[str, Any]
    metrics: Mapping[str, Any]

    @property
    def settings(self) -> Mapping[str, Any]:
        """Every setting by the name of its option."""
        return self.manifest["settings"]

    def named(self, pattern: str) -> list[str]:
        """The files of the run of these names, in order: whole files within its folder, and no links."""
        root, depth = self.folder.resolve(), len(Path(pattern).parts)

        def own(name: str) -> bool:
            path = self.folder / name
            whole = path.is_file() and not path.is_symlink() and path.resolve().is_relative_to(root)
            return whole and Path(name).match(pattern) and len(Path(name).parts) == depth

        return [name for name in sorted(map(str, self.manifest["files"])) if own(name)]

    def pictures(self, pattern: str) -> list[Shot]:
        """The pictures of these names that can be read."""
        return readable([self.folder / name for name in self.named(pattern)])

    def column(self, name: str, *heads: str) -> list[list[float | None]]:
        """Columns of a table of the run, None for what is no number; no columns where one of them is not there."""
        if not self.named(name):
            return []
        try:
            rows = list(csv.DictReader((self.folder / name).read_text("utf-8").splitlines()))
        except (OSError, UnicodeDecodeError, csv.Error):
            return []
        if not rows or not set(heads) <= rows[0].keys():
            return []
        return [[_number(row[head]) for row in rows] for head in heads]

    def number(self, *keys: str) -> float | None:
        """A number of the metrics, by the keys that lead to it; None where there is none."""
        return as_number(dig(self.metrics, *keys))

    def numbers(self, *keys: str) -> list[float]:
        """A list of numbers of the metrics; empty where there is none."""
        return as_numbers(dig(self.metrics, *keys))

    def table(self, *keys: str) -> dict[str, Any]:
        """A mapping of the metrics; empty where there is none."""
        found = dig(self.metrics, *keys) if keys else self.metrics
        return dict(found) if isinstance(found, Mapping) else {}

    def texts(self, setting: str) -> list[str]:
        """A setting that is one text or several."""
        value = self.settings.get(setting)
        return [value] if isinstance(value, str) else [str(each) for each in value] if isinstance(value, list) else []


def readable(paths: Sequence[Path]) -> list[Shot]:
    """These pictures; none where one of them cannot be read."""
    shots = [Shot(path) for path in paths]
    try:
        for shot in shots:
            shot.check()
    except UNREADABLE:
        return []
    return shots


def dig(value: Any, *keys: str) -> Any:
    """What lies below keys of nested mappings, or None."""
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def as_number(value: Any) -> float | None:
    """The value if it is a finite number."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def as_numbers(value: Any) -> list[float]:
    """The values if they are all numbers."""
    found = [as_number(each) for each in value] if isinstance(value, list) else []
    return [each for each in found if each is not None] if None not in found else []


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if value - value == 0 else None
