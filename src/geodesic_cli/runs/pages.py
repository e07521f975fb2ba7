"""The page of an earlier run, made again."""

from contextlib import suppress
from pathlib import Path
from typing import Any

from geodesic_cli import media
from geodesic_cli.errors import InputError, OutputError
from geodesic_cli.filing import parsed_json
from geodesic_cli.report import REPORT, page
from geodesic_cli.runs.folder import METRICS
from geodesic_cli.runs.lock import Lock
from geodesic_cli.runs.manifest import MANIFEST, read_manifest
from geodesic_cli.runs.plain import to_json

OURS = "<!doctype html>"
"""How a page begins; a file that begins otherwise is somebody else's."""


def write_page(folder: Path, out: Path | None = None) -> Path:
    """Write the page of a run that is over, also of one that an older version wrote.

    Args:
        folder: of the run.
        out: where to; without it report.html in that folder, which becomes a file of the run.

    Returns:
        Where it is.

    Raises:
        InputError: the folder is not that of a run.
        OutputError: the page cannot be written there, or would replace something that is no page.
    """
    try:
        manifest = read_manifest(folder)
    except (OutputError, OSError) as error:
        raise InputError(
            f"The folder of a run is needed, and {folder} holds no readable {MANIFEST}.",
            "Pass a folder that an earlier command wrote, such as runs/a-to-b.",
        ) from error
    text = page(folder, manifest, _metrics(folder)).encode("utf-8", "replace")
    if out is not None:
        _put(out, text)
        return out
    lock = Lock.take(folder)
    try:
        if REPORT not in manifest["files"]:  # listed before it is written: see `runs.folder`
            _refuse_foreign(folder / REPORT)
            listed = manifest | {"files": sorted([*manifest["files"], REPORT])}
            _replace(folder / MANIFEST, to_json(listed).encode())
        _put(folder / REPORT, text)
    finally:
        lock.release()
    return folder / REPORT


def _metrics(folder: Path) -> dict[str, Any]:
    """What metrics.json holds; nothing where the run did not come to its end."""
    with suppress(OSError, ValueError):
        found = parsed_json((folder / METRICS).read_text("utf-8"))
        if isinstance(found, dict):
            return found
    return {}


def _refuse_foreign(path: Path) -> None:
    if not path.exists():
        return
    try:
        with path.open("rb") as file:
            ours = file.read(len(OURS)) == OURS.encode()
    except OSError:  # a folder, or not to be read
        ours = False
    if not ours:
        raise OutputError(f"{path} is there already, and it is no page of a run.", "Pass another --out.")


def _put(path: Path, data: bytes) -> None:
    _refuse_foreign(path)
    _replace(path, data)


def _replace(path: Path, data: bytes) -> None:
    with media.replacing(path) as temporary:
        temporary.write_bytes(data)
