"""Packages and weights that only some measures need: imported where they are used, with a sentence where they fail."""

import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import torch

from geodesic_cli.errors import InputError, ModelError, OutputError
from geodesic_cli.filing import digest_of_file, written_whole

NAMED_DIGEST = re.compile(r"-([0-9a-f]{8,64})\.[a-z]+$")
"""How the name of a file of weights ends: with the first digits of its SHA-256."""
SILENT_SECONDS = 60
"""So long may a server be silent."""


@contextmanager
def needed(package: str, extra: str) -> Iterator[None]:
    """Around the import of a package of an extra: what is wrong with it, and how to get it.

    Raises:
        InputError: it is not installed, or it does not fit the rest of the installation.
    """
    try:
        yield
    except ImportError as error:
        if _set_aside(package):
            raise _unfit(package, f"it was built for another torch than {torch.__version__}") from error
        raise InputError(
            f"This measure needs the package {package}, which is not installed ({error}).",
            f"Install the extra: pip install 'geodesic-cli[{extra}]'.",
        ) from error
    except RuntimeError as error:  # torchvision built for another kind of torch
        raise _unfit(package, str(error).splitlines()[0]) from error


def _set_aside(package: str) -> bool:
    """Whether a package is installed and was found not to work when a model was loaded."""
    try:
        return sys.modules.get(package, package) is None and bool(version(package))
    except PackageNotFoundError:
        return False


def _unfit(package: str, said: str) -> InputError:
    return InputError(
        f"This measure needs the package {package}, which does not work here ({said}).",
        f"Torch {torch.__version__} needs a {package} of the same build; install both from the same place.",
    )


def weights_of(what: str, url: str, folder: str | None, recipe: str) -> dict[str, Any]:
    """The state of a trained network, read from a folder, or from torch's cache and fetched into it if need be.

    Args:
        what: the measure that needs it.
        url: where the package that defines the network says its weights are.
        folder: where the file lies; None is torch's cache, below TORCH_HOME.
        recipe: Python that fetches the file into torch's cache.

    Raises:
        ModelError: the file is not there and cannot be fetched, or is damaged.
    """
    name = url.rpartition("/")[2]
    cache = Path(torch.hub.get_dir(), "checkpoints")
    place = cache if folder is None else Path(folder)
    hint = f'Where there is a network, python -c "{recipe}" fetches it into {cache}; copy it from there to {place}.'
    if folder is not None and not (place / name).is_file():
        raise ModelError(f"{what} needs the file {name}, and there is none in {place}.", hint)
    if not (place / name).is_file():
        fetch_file(what, url, place, hint)
    try:
        state = torch.hub.load_state_dict_from_url(
            url, str(place), map_location="cpu", progress=False, weights_only=True
        )
    except Exception as error:  # each way of being damaged has its own exception
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ModelError(f"{place / name} is damaged ({first}).", "Delete it and fetch it again.") from error
    return dict(state)


def fetch_file(what: str, url: str, place: Path, hint: str) -> Path:
    """Fetch a file whole or not at all: what is cut off, or is not the file that its name promises, is not kept.

    Args:
        what: the measure that needs it.
        url: of the file; its name ends with the first digits of its SHA-256.
        place: the folder into which it is put.
        hint: what to do where it cannot be fetched.

    Raises:
        ModelError: it cannot be fetched, ends early, or is another file.
        OutputError: it cannot be written.
    """
    name = url.rpartition("/")[2]
    there = place / name
    try:
        place.mkdir(parents=True, exist_ok=True)
        with written_whole(there) as part:
            with urlopen(url, timeout=SILENT_SECONDS) as answer, part.open("wb") as file:
                told = answer.headers.get("Content-Length") or ""
                shutil.copyfileobj(answer, file)
            size, found = part.stat().st_size, digest_of_file(part)
            if told.isdigit() and size != int(told):
                raise ModelError(
                    f"{what} needs the file {name}, and the connection ended after {size} of {told} bytes.",
                    "Run it again; nothing was kept.",
                )
            promised = NAMED_DIGEST.search(name)
            if promised and not found.startswith(promised[1]):
                raise ModelError(
                    f"{what} needs the file {name}, and {url} sent another one: its SHA-256 is {found[:16]}..., and "
                    f"begins with {promised[1]} where it is right.",
                    "Nothing was kept. Try again later, or copy the file from a machine that has it.",
                )
    except (URLError, HTTPException, TimeoutError, ConnectionError) as error:
        raise ModelError(
            f"{what} needs the file {name}, which is not in {place} and cannot be fetched ({error}).", hint
        ) from error
    except OSError as error:
        raise OutputError(f"{there} cannot be written ({error.strerror or error}).", "Free space there.") from error
    return there
