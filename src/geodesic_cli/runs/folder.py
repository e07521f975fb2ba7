"""The folder of one run: its files, how they were made, and what may be done to them.

    config.toml     every setting of the run, under the names of the options
    manifest.json   command, settings and their hash, versions, status, evaluations, wall time and the list of files
    log.txt         what happened, with the time of day
    metrics.json, frames/00000.png, report.html, ...         what the verb wrote, and all of it as one page

The manifest is the contract. A file belongs to the run exactly if the manifest lists it: a name is listed before its
file is written, and a file appears whole or not at all. So whatever moment a run is stopped at, `has` is true only of
whole files of this run, and a file that the manifest does not list is somebody else's and is never touched.

A run goes on (`resume`) only where the settings are the same, which is judged by the hash of their canonical JSON. The
settings that say where and how the files are written, and not what they hold, do not count: OPEN_SETTINGS.
"""

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path, PurePath
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from torch import Tensor

from geodesic_cli import media
from geodesic_cli.errors import InputError, OutputError, escaped
from geodesic_cli.runs.lock import LOCK, Lock, sweep
from geodesic_cli.runs.manifest import (
    MANIFEST,
    changed_since,
    count_of_files,
    deciding,
    keep_inputs,
    read_manifest,
    require_same_settings,
    settings_hash,
    versions_here,
)
from geodesic_cli.runs.plain import plain, to_json, to_toml
from geodesic_cli.runs.tensors import DAMAGED, read_tensors, write_tensors
from geodesic_cli.settings.evaluate import MADE
from geodesic_cli.version import __version__

if TYPE_CHECKING:
    from geodesic_cli.diffusion.batching import Chunks

CONFIG = "config.toml"
LOG = "log.txt"
METRICS = "metrics.json"
RUNNING = "running"


class RunDirectory:
    """The folder of one run. Made by `open`; as a context it notes in the manifest how a failed run ended.

    The class holds the one piece of state that a run has, the manifest; each method leaves it on disk as in memory.
    """

    def __init__(self, folder: Path, manifest: dict[str, Any], lock: Lock) -> None:
        self.folder = folder
        self._lock = lock
        self._manifest = manifest
        self._files = set(manifest["files"])
        self._start = time.monotonic() - manifest["wall_seconds"]
        self.changed = ""  # what decides bits, and is not as it was when the run was begun

    @classmethod
    def open(
        cls,
        path: str | Path,
        settings: Mapping[str, object],
        *,
        command: str,
        resume: bool = False,
        overwrite: bool = False,
        free: Sequence[str] = (),
    ) -> Self:
        """The folder, made if need be, with the manifest and the settings written.

        Args:
            path: the folder. If it holds anything, one of the two flags is needed.
            settings: every setting by the name of its option; text, numbers, truth values, paths, lists of these, None.
            command: the command line, for the manifest.
            resume: go on with a run of the same settings; starts one where there is none.
            overwrite: replace an earlier run: the files that its manifest lists are deleted, and no others.
            free: settings that may be others than those that the run was begun with.
        """
        folder = Path(path)
        values = plain(settings)
        config = to_toml(settings)
        if resume and overwrite:
            raise InputError("Either --resume or --overwrite is needed, not both.", "Pass one of them.")
        _make(folder)
        lock = Lock.take(folder)
        try:
            earlier = _prepare(folder, values, resume=resume, overwrite=overwrite, free=free)
        except BaseException:
            lock.release()
            raise
        manifest = {
            "command": earlier.get("command", command),  # the one that says it all
            "settings": values,
            "settings_hash": settings_hash(settings),
            "seed": values.get("seed"),
            "begun_in": earlier.get("begun_in", str(Path.cwd())),
            "versions": versions_here(),
            "latents_at_once": begun if isinstance(begun := earlier.get("latents_at_once"), dict) else {},
            "status": RUNNING,
            "evaluations": None,
            "wall_seconds": earlier.get("wall_seconds", 0.0),
            "files": earlier.get("files", []),
        }
        run = cls(folder, manifest, lock)
        run.changed = changed_since(earlier.get("versions") or {}, manifest["versions"])
        try:
            run._update()
            run.write_text(CONFIG, config)
            run.log(f"{'Resumed' if earlier else 'Started'}: {command}")
        except BaseException as error:
            run.__exit__(type(error), error, None)
            raise
        return run

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is not None and self._manifest["status"] == RUNNING:
            reason = "Interrupted." if isinstance(error, KeyboardInterrupt) else f"Stopped: {str(error) or repr(error)}"
            with suppress(OutputError):  # the first failure is the one to report
                self._update(status=reason)
                self.log(reason)
        if isinstance(error, KeyboardInterrupt | OutputError):
            error.add_note(str(self.folder))  # where to go on
        self._lock.release()

    # --- the files of the run

    def has(self, name: str) -> bool:
        """Whether this run has written `name`, in this or an earlier session."""
        return name in self._files and (self.folder / name).is_file()

    def path(self, name: str) -> Path:
        """Where `name` lies, for a writer other than this class. The name is the run's from now on.

        A file of that name that is not the run's is refused, so that it is not lost.
        """
        target = self._target(name)
        inside = target.parent.resolve().is_relative_to(self.folder.resolve())
        if not inside or (target.is_symlink() and name in self._files):
            raise OutputError(
                f"{target} leads out of the folder of the run through a link.",
                "Replace the link by a folder or a file, or pass another --out.",
            )
        if name not in self._files and name != MANIFEST:
            if target.exists() or target.is_symlink():
                raise OutputError(
                    f"{target} is in the way: it is not a file of this run.", "Move it, or pass another --out."
                )
            self._files.add(name)
            self._update()
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise media.cannot_write(target.parent, error) from error
        return target

    def write_text(self, name: str, text: str) -> None:
        """A text file in UTF-8."""
        self._write(name, text.encode("utf-8", "replace"))

    def write_json(self, name: str, value: object) -> None:
        """Indented JSON with sorted keys. JSON has no infinities and no NaN: they become null."""
        self._write(name, to_json(value).encode())

    def write_png(self, name: str, image: Tensor, metadata: Mapping[str, object] | None = None) -> None:
        """A frame, with the settings of the run, the program's version and `metadata` inside.

        Neither the time nor the place of the run is in it, so the same run gives the same bytes anywhere.
        """
        about = {"settings": deciding(self._manifest["settings"]), "version": __version__, **plain(metadata or {})}
        media.write_png(image, self.path(name), about)

    def write_tensors(
        self, name: str, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None
    ) -> None:
        """Tensors and text by name, as safetensors."""
        write_tensors(self.path(name), tensors, metadata)

    def read_tensors(self, name: str) -> tuple[dict[str, Tensor], dict[str, str]]:
        """The tensors and the text that `write_tensors` wrote."""
        path = self.folder / name
        try:
            return read_tensors(path)
        except FileNotFoundError as error:
            raise InputError(f"The tensors of a run are needed, and {path} does not exist.", "Run it again.") from error
        except DAMAGED as error:
            raise InputError(
                f"A safetensors file is needed, and {path} is damaged ({error}).", "Run it again."
            ) from error

    def log(self, line: str) -> None:
        """A line of log.txt, after the time of day. This file grows, so it alone is not replaced as a whole."""
        path = self.path(LOG)
        try:
            with path.open("a", encoding="utf-8", errors="replace") as file:
                file.write(f"{datetime.now().astimezone().isoformat(timespec='seconds')}  {escaped(line)}\n")
        except OSError as error:
            raise media.cannot_write(path, error) from error

    def finish(self, status: str, metrics: Mapping[str, object], *, evaluations: int | None = None) -> None:
        """The end of the run: metrics.json, and the manifest with its last sentence and the files that are there."""
        self.write_json(METRICS, metrics)
        self.log(status)
        self._files = {name for name in self._files if self.has(name)}
        self._update(status=status, evaluations=evaluations)
        self._lock.release()

    # --- the manifest

    def follow(self, chunks: "Chunks") -> None:
        """Let a network's batches be of the size that the manifest tells, and keep their sizes there."""
        chunks.follow(self._manifest["latents_at_once"], self._keep_sizes)

    @property
    def manifest(self) -> dict[str, Any]:
        """What it says."""
        return {**self._manifest, "files": sorted(self._files)}

    def _target(self, name: str) -> Path:
        place = PurePath(name)
        if place.is_absolute() or ".." in place.parts or not place.parts or place.as_posix() != name:
            raise ValueError(f"a file of a run is named by a path below its folder, not {name!r}")
        return self.folder / place

    def _keep_sizes(self, sizes: Mapping[str, int]) -> None:
        both = {**self._manifest["latents_at_once"], **sizes}
        if both != self._manifest["latents_at_once"]:
            self._update(latents_at_once=both)

    def _write(self, name: str, data: bytes) -> None:
        with media.replacing(self.path(name)) as temporary:
            temporary.write_bytes(data)

    def _update(self, **changes: object) -> None:
        self._manifest = {
            **self._manifest,
            **changes,
            "wall_seconds": round(time.monotonic() - self._start, 3),
            "files": sorted(self._files),
        }
        self._write(MANIFEST, to_json(self._manifest).encode())


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise OutputError(f"A folder is needed, and {folder} is a file.", "Pass another --out.") from error
    except OSError as error:
        raise media.cannot_write(folder, error) from error


def _prepare(
    folder: Path, values: dict[str, Any], *, resume: bool, overwrite: bool, free: Sequence[str] = ()
) -> dict[str, Any]:
    """Make the folder, which is locked, ready or refuse it. Returns the manifest of the run to go on with, or none."""
    try:
        sweep(folder)
        if all(path.name in (LOCK, MADE) for path in folder.iterdir()):  # what was made has runs of its own
            return {}
        if not (resume or overwrite):
            raise OutputError(
                f"{folder} is not empty ({count_of_files(folder)}).",
                "Pass --overwrite to replace the files of the earlier run, --resume to go on with it, "
                "or another --out.",
            )
        earlier = read_manifest(folder)
        if resume:
            begun = earlier["settings"]
            require_same_settings(folder, earlier, values | {name: begun[name] for name in free if name in begun})
            return earlier
        keep_inputs(folder, earlier["files"], values)
        for name in earlier["files"]:
            target = folder / name
            inside = target.parent.resolve().is_relative_to(folder.resolve())  # a manifest may come from anywhere
            if inside and (target.is_file() or target.is_symlink()):
                target.unlink()
        (folder / MANIFEST).unlink(missing_ok=True)  # last, so that a broken-off overwrite can be repeated
    except OSError as error:
        raise media.cannot_write(folder, error) from error
    return {}
