"""`geodesic models NAME`: one model, how to fetch it, which files an offline machine needs, and what to expect."""

import re
from dataclasses import dataclass
from pathlib import Path

from geodesic_cli.diffusion.loading import hub, locate
from geodesic_cli.diffusion.loading.aliases import MODELS, Alias, sources

FILES = {
    "scheduler": ("scheduler_config.json",),
    "tokenizer": ("merges.txt", "vocab.json", "tokenizer_config.json", "special_tokens_map.json"),
    "text_encoder": ("config.json", "model{}.safetensors"),
    "": ("config.json", "diffusion_pytorch_model{}.safetensors"),
}
"""Part of a model by the beginning of its name -> its files; the last line is for the others."""
ALL_KINDS = ("model_index.json", "*/*.json", "*/*.txt", "*/*.model", "*/*.safetensors")
"""Patterns for a model whose kind is not known before its index is here."""


@dataclass(frozen=True)
class OneModel:
    """What there is to know of one model.

    Args:
        name: what was asked for.
        about: what it is.
        licence: of its weights, or where to read it.
        here: the folder or file where it is on this machine; None where it is not.
        fetch: the command that brings it into a folder; None where nothing has to be fetched.
        fetch_half: the same with weights in half precision; None where nobody has said that there are some.
        files: what an offline machine needs, below one folder.
        folder: what that folder is called in the commands.
        gigabytes: of the weights, in fp32 or as they are on disk; None where that is not known.
        expect: what a first run is like.
    """

    name: str
    about: str
    licence: str
    here: str | None
    fetch: str | None
    fetch_half: str | None
    files: tuple[str, ...]
    folder: str
    gigabytes: float | None
    expect: str


def one_model(name: str) -> OneModel:
    """A model by its alias, folder, file or Hub id.

    Raises:
        ModelError: it is none of these.
    """
    alias = next((alias for alias in MODELS if alias.name == name), None)
    here = _here(name)
    if alias is not None:
        return _of_alias(alias, here)
    path = None if here is None else Path(here)
    family = locate.family(path) if path is not None and path.is_dir() else ""
    fetch = None
    if path is None:
        patterns = " ".join(f'--include "{pattern}"' for pattern in ALL_KINDS)
        fetch = f"hf download {name} --local-dir {_folder(name)} {patterns}"
    return OneModel(
        name=name,
        about=f"a model of the kind {family}" if family else "a model of a kind that shows when it is here",
        licence=_licence(path) or "its page or its README says it",
        here=here,
        fetch=fetch,
        fetch_half=None,
        files=_files(family, "") if family else ALL_KINDS,
        folder=_folder(name),
        gigabytes=None if path is None else _gigabytes(path),
        expect="geodesic check --model tells what it is worth on this machine.",
    )


def _of_alias(alias: Alias, here: str | None) -> OneModel:
    files = _files(alias.family, "")

    def command(half: bool) -> str | None:
        if alias.embedded:
            return None
        chosen = _files(alias.family, ".fp16") if half else files
        return f"hf download {alias.sources[0]} --local-dir {alias.name} {' '.join(chosen)}"

    return OneModel(
        name=alias.name,
        about=f"{alias.about}; trained on images of {alias.image_size} pixels",
        licence=alias.licence,
        here=here,
        fetch=command(False),
        fetch_half=command(True),
        files=() if alias.embedded else files,
        folder=alias.name,
        gigabytes=round(alias.gigabytes(4), 2),
        expect=alias.expect,
    )


def _here(name: str) -> str | None:
    alias = next((alias for alias in MODELS if alias.name == name), None)
    if alias is not None and alias.embedded:
        return alias.sources[0]
    path = Path(sources(name)[0]).expanduser()
    if path.exists() and (path.is_file() or not any((path / part).is_dir() for part in ("vae", "transformer"))):
        return str(path)  # a single file, or a model without text
    found = locate.local(name)
    if found is not None:
        return str(found.path)
    for source in sources(name):
        folder = hub.cached(source, None)
        if folder is not None and not locate.lacks(folder, "fp16"):
            return str(folder)
    return None


def _files(family: str, variant: str) -> tuple[str, ...]:
    found = ["model_index.json"] if family else []
    for part in locate.FAMILIES.get(family, ()):
        names = next(names for begin, names in FILES.items() if part.startswith(begin))
        found += [f"{part}/{name.format(variant)}" for name in names]
    return tuple(found)


def _folder(name: str) -> str:
    return Path(name).name


def _licence(path: Path | None) -> str:
    """What the card in a folder says."""
    try:
        text = (Path() if path is None else path / "README.md").read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        return ""
    found = re.search(r"^license:\s*(.+)$", text, re.MULTILINE)
    return found[1].strip() if found else ""


def _gigabytes(path: Path) -> float:
    """Of the weights on disk; copies in half precision beside others are not counted."""
    files = [path] if path.is_file() else [file for file in path.rglob("*.safetensors") if "." not in file.stem]
    return round(1e-9 * sum(file.stat().st_size for file in files), 2)
