"""To the Hub: whether one may write there, asked before the work, and the files of a model as one commit after it."""

from collections.abc import Mapping
from pathlib import Path

from geodesic_cli.diffusion.loading.hub import HUB_PATIENCE, offline
from geodesic_cli.errors import InputError, ModelError, first_line

LATER = "Or leave --push-to-hub out, and upload the folder later."


def ready_repository(name: str, private: bool) -> str:
    """The full id of a repository of one's own on the Hub, which is made where it is not there.

    Args:
        name: OWNER/NAME, or NAME alone in the account of the token.
        private: whether a new one is.

    Raises:
        InputError: the Hub may not be asked or does not answer, there is no token, or it may not write there.
    """
    from huggingface_hub import HfApi, get_token
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, RepositoryNotFoundError
    from huggingface_hub.utils import validate_repo_id

    try:
        validate_repo_id(name)
    except HFValidationError as reason:
        raise InputError(
            f"--hub-model-id takes OWNER/NAME, of letters, digits, dashes and dots; got {name!r}.", "Pass another id."
        ) from reason
    if offline():
        raise InputError("--push-to-hub needs the Hub, and HF_HUB_OFFLINE is set.", f"Unset it. {LATER}")
    token = get_token()
    if not token:
        raise InputError(
            "--push-to-hub needs a token of the Hub, and there is none here.",
            f"Run hf auth login, or set HF_TOKEN. {LATER}",
        )
    api = HfApi(token=token)
    try:
        api.model_info(name, timeout=HUB_PATIENCE)  # the one question that has a time limit
    except RepositoryNotFoundError:
        pass  # it answers
    except HfHubHTTPError as reason:
        if reason.response is None or reason.response.status_code >= 500:
            raise _unreachable(reason) from reason
    except Exception as reason:  # whatever a network may throw, through any HTTP library
        raise _unreachable(reason) from reason
    try:
        account = str(api.whoami()["name"])
    except Exception as reason:  # as above
        raise InputError(
            f"The Hub does not accept the token that is set here ({first_line(reason)[:200]}).",
            f"Run hf auth login, or set HF_TOKEN to one that may write. {LATER}",
        ) from reason
    full = name if "/" in name else f"{account}/{name}"
    try:
        return str(api.create_repo(full, private=private, exist_ok=True).repo_id)
    except Exception as reason:  # as above
        raise InputError(
            f"The account {account} may not write to {full} on the Hub ({first_line(reason)[:200]}).",
            f"Pass --hub-model-id {account}/NAME, or a token that may write. {LATER}",
        ) from reason


def uploaded(repository: str, files: Mapping[str, Path | bytes], message: str) -> str:
    """The address of a commit of files, or of what is in them, by their names in a repository.

    Raises:
        ModelError: the Hub did not take them; the message is the reason and no sentence.
    """
    from huggingface_hub import CommitOperationAdd, HfApi, get_token

    operations = [CommitOperationAdd(path_in_repo=name, path_or_fileobj=path) for name, path in files.items()]
    try:
        made = HfApi(token=get_token()).create_commit(repository, operations, commit_message=message)
    except Exception as reason:  # whatever a network may throw, through any HTTP library
        raise ModelError(first_line(reason)[:200]) from reason
    return str(made.commit_url)


def _unreachable(reason: Exception) -> InputError:
    return InputError(f"--push-to-hub needs the Hub, which cannot be reached ({first_line(reason)[:200]}).", LATER)
