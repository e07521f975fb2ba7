"""`geodesic models`: the short names, what each needs, and what is on this machine."""

from dataclasses import dataclass
from pathlib import Path

from geodesic_cli.diffusion.loading import hub, locate
from geodesic_cli.diffusion.loading.aliases import MODELS, Alias

IN_PACKAGE = "part of this package"


@dataclass(frozen=True)
class Listed:
    """A model that can be named.

    Args:
        name: what to pass to --model.
        about: what it is.
        image_size: side of the images that it was trained on, pixels; 0 where nobody has said.
        download: its weights as they are fetched, gigabytes in fp32; None where nothing has to be fetched.
        memory_fp32: its weights in memory, gigabytes; None where nobody has said.
        memory_fp16: the same in fp16 or bf16.
        sources: where it is looked for.
        folder: where it is on this machine, complete; None where it is not.
        note: what is wrong with a copy that is here and cannot be used.
    """

    name: str
    about: str
    image_size: int
    download: float | None
    memory_fp32: float | None
    memory_fp16: float | None
    sources: tuple[str, ...]
    folder: str | None
    note: str = ""


def models() -> tuple[Listed, ...]:
    """The short names, and after them the other models in the cache of the Hub."""
    named = tuple(_of_alias(alias) for alias in MODELS)
    known = {source for alias in MODELS for source in alias.sources}
    return named + tuple(_of_cache(source, folder) for source, folder in _in_cache() if source not in known)


def _of_alias(alias: Alias) -> Listed:
    folder, note = _found(alias)
    return Listed(
        name=alias.name,
        about=alias.about,
        image_size=alias.image_size,
        download=None if alias.embedded else round(alias.gigabytes(4), 1),
        memory_fp32=round(alias.gigabytes(4), 2),
        memory_fp16=round(alias.gigabytes(2), 2),
        sources=(IN_PACKAGE,) if alias.embedded else alias.sources,
        folder=None if folder is None else str(folder),
        note=note,
    )


def _found(alias: Alias) -> tuple[Path | None, str]:
    """The first complete copy, or what is wrong with the last one that is not."""
    if alias.embedded:
        return Path(alias.sources[0]), ""
    note = ""
    for source in alias.sources:
        folder = hub.cached(source, None)
        if folder is None:
            continue
        wrong = locate.lacks(folder, "fp16")
        if not wrong:
            return folder, "with --variant fp16" if locate.lacks(folder, None) else ""
        note = f"not complete: {wrong}"
    return None, note


def _in_cache() -> list[tuple[str, Path]]:
    """Hub ids of whole models in the cache, with their newest folders."""
    found = []
    for repository in sorted(hub.hub_cache().glob("models--*")):
        indices = sorted(repository.glob("snapshots/*/model_index.json"), key=lambda path: path.stat().st_mtime)
        if indices:
            found.append((repository.name.removeprefix("models--").replace("--", "/"), indices[-1].parent))
    return found


def _of_cache(source: str, folder: Path) -> Listed:
    wrong = locate.lacks(folder, "fp16")
    about = f"in the cache, of the kind {locate.family(folder)}"
    note = f"not complete: {wrong}" if wrong else ""
    return Listed(source, about, 0, None, None, None, (source,), None if wrong else str(folder), note)
