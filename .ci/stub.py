"""Writes src/geodesic_cli/__init__.pyi, what editors and type checkers see of the package: python .ci/stub.py

The functions and their options are those of the running package, so that the stub says what the functions take. A test
compares the two.
"""

import inspect
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin

import geodesic_cli
from geodesic_cli.diffusion import LatentDiffusion
from geodesic_cli.frames.clip import ClipSource
from geodesic_cli.media import Picture
from geodesic_cli.runs.opening import AnyModel
from geodesic_cli.verbs.finetune.data import Data

STUB = Path(__file__).resolve().parents[1] / "src" / "geodesic_cli" / "__init__.pyi"
HEAD = '''"""Written by .ci/stub.py from the records in `geodesic_cli.settings`; do not edit."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

'''
KNOWN = {
    "Picture": Picture,
    "ClipSource": ClipSource,
    "AnyModel": AnyModel,
    "Data": Data,
    "LatentDiffusion": LatentDiffusion,
}
"""Names of types that are written by name: of unions, which know none, and of what stands in the signatures."""
HOMES = {
    "Picture": "geodesic_cli.media",
    "ClipSource": "geodesic_cli.frames.clip",
    "AnyModel": "geodesic_cli.runs.opening",
    "Observer": "geodesic_cli.runs.observer",
    "Data": "geodesic_cli.verbs.finetune.data",
}
"""Modules of those that do not say it themselves."""


def text() -> str:
    """The stub."""
    homes = {"GeodesicError": "geodesic_cli.errors", "__version__": "geodesic_cli.version"}
    blocks = [function(name, homes) for name in geodesic_cli.__all__ if name not in homes]
    imports: dict[str, list[str]] = {}
    for name, module in homes.items():
        imports.setdefault(module, []).append(name)
    lines = [f"from {module} import {', '.join(sorted(names))}" for module, names in sorted(imports.items())]
    listed = [f'    "{name}",' for name in geodesic_cli.__all__]
    return HEAD + "\n".join([*lines, "", "__all__ = [", *listed, "]", "", *blocks, ""])


WIDTH = 120
"""Of a line, as in pyproject.toml."""


def function(name: str, homes: dict[str, str]) -> str:
    """One function; the modules of the names in it are added to `homes`."""
    signature = inspect.signature(getattr(geodesic_cli, name))
    lines, keywords = [], False
    for each in signature.parameters.values():
        star = "*" if each.kind is each.VAR_POSITIONAL else ""
        if each.kind is each.KEYWORD_ONLY and not keywords and not any(line.startswith("    *") for line in lines):
            lines.append("    *,")
        keywords = keywords or each.kind is each.KEYWORD_ONLY
        default = "" if each.default is each.empty else f" = {each.default!r}".replace("'", '"')
        lines += folded(f"    {star}{each.name}: {written(each.annotation, homes)}{default},")
    return "\n".join([f"def {name}(", *lines, f") -> {written(signature.return_annotation, homes)}: ..."])


def folded(line: str) -> list[str]:
    """A parameter as the formatter has it: a long list of choices has a line for each."""
    before, bracket, rest = line.partition("Literal[")
    if len(line) <= WIDTH or not bracket:
        return [line]
    inside, _, after = rest.partition("]")
    end = ["    ]", f"    {after.strip()}"] if after.startswith(" |") else [f"    ]{after}"]
    return [before + bracket, *(f"        {choice}," for choice in inside.split(", ")), *end]


def written(annotation: Any, homes: dict[str, str]) -> str:
    """A type as a stub has it."""
    for name, known in KNOWN.items():
        if annotation == known:
            homes[name] = HOMES.get(name) or known.__module__
            return name
    if annotation is type(None):
        return "None"
    if get_origin(annotation) in (Union, UnionType):
        parts = unfolded(annotation)
        return " | ".join(written(part, homes) for part in parts)
    if get_origin(annotation) is Sequence:
        return f"Sequence[{written(get_args(annotation)[0], homes)}]"
    shown = inspect.formatannotation(annotation)
    found = re.fullmatch(r"(geodesic_cli[\w.]*)\.(\w+)", shown)
    if found:
        homes[found[2]] = HOMES.get(found[2], found[1])
        return found[2]
    for module in ("typing.", "collections.abc.", "pathlib."):
        shown = shown.replace(module, "")
    return shown.replace("'", '"')


def unfolded(annotation: Any) -> list[Any]:
    """The parts of a union, those of a known one together."""
    parts, found = list(get_args(annotation)), []
    for name in ("Picture", "ClipSource", "AnyModel"):
        members = get_args(KNOWN[name])
        if members and all(member in parts for member in members):
            found.append(KNOWN[name])
            parts = [part for part in parts if part not in members]
    return [*found, *parts]


if __name__ == "__main__":
    STUB.write_text(text(), "utf-8")
    sys.stdout.write(f"{STUB}\n")
