"""The manifest of a run: what it says, and whether an earlier run is the one to go on with."""

import hashlib
import json
import platform
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from geodesic_cli.errors import InputError, OutputError
from geodesic_cli.filing import parsed_json
from geodesic_cli.runs.lock import LOCK
from geodesic_cli.runs.plain import plain
from geodesic_cli.version import __version__

MANIFEST = "manifest.json"
OPEN_SETTINGS = frozenset({"out", "resume", "overwrite"})
MANY = 1000  # files are counted up to here


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of the run in a folder that is not empty.

    Raises:
        OutputError: there is none that can be read.
    """
    with suppress(FileNotFoundError, ValueError):  # ValueError: not JSON, or not even text
        manifest = parsed_json((folder / MANIFEST).read_text("utf-8"))
        kinds = {"files": list, "settings": dict, "settings_hash": str, "wall_seconds": int | float}
        if isinstance(manifest, dict) and all(isinstance(manifest.get(key), kind) for key, kind in kinds.items()):
            return {**manifest, "files": [str(name) for name in manifest["files"]]}
    raise OutputError(
        f"{folder} is not empty ({count_of_files(folder)}) and holds no readable {MANIFEST} of an earlier run.",
        "Pass another --out.",
    )


def require_same_settings(folder: Path, earlier: dict[str, Any], values: dict[str, Any]) -> None:
    """Refuse to go on with a run of other settings, naming those that differ."""
    if digest_of(deciding(values)) == earlier["settings_hash"]:
        return
    old, new = ({name: json.dumps(value) for name, value in deciding(a).items()} for a in (earlier["settings"], values))
    names = [name for name in sorted(old.keys() | new.keys()) if old.get(name) != new.get(name)]
    changes = ", ".join(f"{name} {old.get(name, 'absent')} -> {new.get(name, 'absent')}" for name in names)
    raise OutputError(
        f"To go on with a run its settings must be the same, and those in {folder} differ: {changes or 'their hash'}.",
        "Pass the earlier settings, --overwrite to replace the files of the earlier run, or another --out.",
    )


def keep_inputs(folder: Path, files: Sequence[str], values: Mapping[str, object]) -> None:
    """Refuse to replace the files of an earlier run where one of them is what the new run is made from.

    Args:
        folder: of the run.
        files: that would be replaced, relative to it.
        values: the settings of the new run; a text that is a path to something there counts as an input.
    """
    replaced = {(folder / name).resolve() for name in files}
    texts = [text for value in deciding(values).values() for text in (value if isinstance(value, list) else [value])]
    for text in texts:
        for place in {text, text.rpartition(":")[0]} - {""} if isinstance(text, str) else ():  # PATH or PATH:WEIGHT
            with suppress(OSError, ValueError):
                path = Path(place).resolve(strict=True)
                within = path.is_dir() and path.is_relative_to(folder.resolve())
                if path in replaced or (within and any(file.is_relative_to(path) for file in replaced)):
                    raise OutputError(
                        f"--overwrite would delete {place}, from which the new run is made.", "Pass another --out."
                    )


def count_of_files(folder: Path) -> str:
    """How many files lie below a folder, in words."""
    count = 0
    for count, _ in enumerate((path for path in folder.rglob("*") if not path.is_dir() and path.name != LOCK), 1):
        if count > MANY:
            return f"more than {MANY} files"
    return f"{count} file{'' if count == 1 else 's'}"


def settings_hash(settings: Mapping[str, object]) -> str:
    """SHA-256 of the settings that decide what is computed, in canonical JSON."""
    return digest_of(deciding(plain(settings)))


def deciding(values: Mapping[str, object]) -> dict[str, Any]:
    """The settings that decide what is computed."""
    return {name: value for name, value in values.items() if name not in OPEN_SETTINGS}


def digest_of(values: Mapping[str, object]) -> str:
    """SHA-256 of plain values, in canonical JSON."""
    return hashlib.sha256(json.dumps(values, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def versions_here() -> dict[str, str]:
    """What decides bits beside the settings: this program, Python, the platform, libraries, threads and kernels."""
    import torch

    versions = {"geodesic-cli": __version__, "python": platform.python_version(), "platform": platform.platform()}
    for package in ("torch", "diffusers"):
        with suppress(PackageNotFoundError):
            versions[package] = version(package)
    return versions | {"threads": str(torch.get_num_threads()), "kernels": torch.backends.cpu.get_cpu_capability()}


def changed_since(earlier: Mapping[str, Any], now: Mapping[str, str]) -> str:
    """What of `versions_here` is not as it was when a run was begun, in words; empty where all is."""
    names = [name for name in now if earlier.get(name, now[name]) != now[name]]
    return ", ".join(f"{name} {earlier[name]} -> {now[name]}" for name in names)


BEGUN_WITH = {
    "images": "images are",
    "digest": "frames are",
    "data": "training images or their captions are",
    "model": "model's weights, dtype or kind of device are",
    "prompts": "prompts that the captions give are",
}
"""What a checkpoint knows about the run that wrote it, in words."""


def require_same(saved: Mapping[str, str], about: Mapping[str, str]) -> None:
    """Refuse a checkpoint of other images or another model; both are mappings of `BEGUN_WITH` keys to digests.

    Raises:
        InputError: it is one.
    """
    for key, now in about.items():
        if saved.get(key, now) != now:
            raise InputError(
                f"The {BEGUN_WITH[key]} not those that this run was begun with.", "Pass another --out, or --overwrite."
            )
