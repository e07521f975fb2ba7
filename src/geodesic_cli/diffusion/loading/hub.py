"""The Hub and its cache on this machine: the only place where anything is fetched for a model.

HF_HOME, HF_HUB_CACHE, HF_HUB_OFFLINE and HF_TOKEN mean what they mean to every tool of the Hub.
"""

from collections.abc import Callable, Sequence
from fnmatch import fnmatch
from pathlib import Path

from geodesic_cli.errors import ModelError, first_line

HUB_PATIENCE = 5.0
"""Seconds after which the Hub counts as out of reach."""


class HubUnreachable(ModelError):
    """The Hub does not answer, or not in a way that is known."""


def cached(source: str, revision: str | None) -> Path | None:
    """The folder of a Hub id in the local cache, complete or not; None where there is none."""
    from huggingface_hub import snapshot_download

    try:
        # Of all files only one is asked for: copies hold no more than `wanted`, and newer tools mind what is missing.
        index = ["model_index.json"]
        return Path(snapshot_download(source, revision=revision, local_files_only=True, allow_patterns=index))
    except (OSError, ValueError):
        return None


def part_of_any(
    candidates: Sequence[str], files: Sequence[str], found: Callable[[Path], Path | None]
) -> tuple[Path | None, str]:
    """A part that several models hold: of the first that has it here, or else of the first that the Hub gives it from.

    Args:
        candidates: folders and Hub ids.
        files: patterns of the files to fetch.
        found: the folder of the part in that of a model; None where it is not there.

    Returns:
        The folder of the part. Where there is none, why the Hub could not give it.
    """
    for source in candidates:
        here = Path(source) if Path(source).is_dir() else cached(source, None)
        place = None if here is None else found(here)
        if place is not None:
            return place, ""
    if offline():
        return None, "HF_HUB_OFFLINE is set"

    def matching(names: list[str]) -> list[str]:
        return [name for name in names if any(fnmatch(name, pattern) for pattern in files)]

    reasons = []
    for source in candidates:
        try:
            place = found(fetched(source, None, matching))
        except HubUnreachable as reason:  # nor will the next one be
            reasons.append(reason.message)
            break
        except ModelError as reason:
            reasons.append(reason.message)
            continue
        if place is not None:
            return place, ""
        reasons.append(f"{source} does not hold it")
    return None, "; ".join(reasons)


def hub_cache() -> Path:
    """The cache of the Hub on this machine, which may not exist."""
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE)


def offline() -> bool:
    """Whether the environment forbids to ask the Hub."""
    from huggingface_hub import constants

    return bool(constants.HF_HUB_OFFLINE)


def fetched(source: str, revision: str | None, chosen: Callable[[list[str]], list[str]]) -> Path:
    """The copy in the cache of a Hub id, fetched where it has to be.

    Args:
        source: the Hub id.
        revision: branch, tag or commit.
        chosen: which of the names of its files are needed.

    Raises:
        ModelError: the Hub does not give it; the message is the reason and no sentence.
    """
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError

    try:
        listed = HfApi().model_info(source, revision=revision, timeout=HUB_PATIENCE)
        names = chosen([file.rfilename for file in listed.siblings or []])
        return Path(snapshot_download(source, revision=revision, allow_patterns=names, etag_timeout=HUB_PATIENCE))
    except GatedRepoError as reason:
        raise ModelError(f"{source} wants its licence accepted and HF_TOKEN set") from reason
    except RepositoryNotFoundError as reason:
        raise ModelError(f"there is no {source}, or it is private") from reason
    except RevisionNotFoundError as reason:
        raise ModelError(f"{source} has no revision {revision}") from reason
    except Exception as reason:  # whatever a network may throw, through any HTTP library
        raise HubUnreachable(f"{source} cannot be reached ({first_line(reason)[:200]})") from reason
