"""Settings and numbers as plain text: JSON and TOML that read back as the same values, and tables."""

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePath
from typing import Any


def plain(value: Any) -> Any:
    """The value in terms of JSON: a path is its text, a number that is not finite is null."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return str(value) if isinstance(value, PurePath) else value


def to_json(value: object) -> str:
    """Indented JSON with sorted keys; numbers that are not finite, which JSON does not know, are null."""
    return json.dumps(plain(value), indent=2, sort_keys=True, allow_nan=False) + "\n"


def to_toml(settings: Mapping[str, object]) -> str:
    """Settings as one table of TOML that `tomllib` reads back. None is left out: TOML has no word for it."""
    return "".join(f"{_key(name)} = {_toml(value)}\n" for name, value in settings.items() if value is not None)


def _key(name: str) -> str:
    return name if re.fullmatch("[A-Za-z0-9_-]+", name) else _toml(name)


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return int.__repr__(value)
    if isinstance(value, float):
        return float.__repr__(value)
    if isinstance(value, str | PurePath):  # JSON's escapes are TOML's, but for DEL
        return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, list | tuple):
        return f"[{', '.join(_toml(item) for item in value)}]"
    raise TypeError(f"a setting is text, a number, a truth value, a path or a list of these, not {value!r}")


def aligned(heads: Sequence[str], rows: Sequence[Sequence[str]], align: Callable[[str, int], str]) -> list[str]:
    """Lines of a table with columns of equal width; `align` is `str.ljust` or `str.rjust`."""
    lines = [heads, *rows]
    widths = [max(len(row[k]) for row in lines) for k in range(len(heads))]
    return ["  ".join(align(cell, width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in lines]
