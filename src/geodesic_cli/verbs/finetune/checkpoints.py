"""Checkpoints of a training as files: `checkpoint-N/state.safetensors` below the folder of the run, whole or absent."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from torch import Tensor

from geodesic_cli.errors import InputError, OutputError

STATE = "state.safetensors"


def name(step: int) -> str:
    """Of the checkpoint at a step, relative to the folder of the run."""
    return f"checkpoint-{step}/{STATE}"


def saved(folder: Path) -> list[int]:
    """Steps of the checkpoints in the folder of a run, in order."""
    return sorted(
        int(path.parent.name.removeprefix("checkpoint-")) for path in folder.glob(f"checkpoint-[0-9]*/{STATE}")
    )


def write(path: Path, tensors: Mapping[str, Tensor], about: dict[str, str]) -> None:
    """Write a checkpoint; what was there before stays until the new one is whole.

    Raises:
        OutputError: it cannot be written, for example because the disk is full.
    """
    from safetensors.torch import save_file

    temporary = path.with_name(f".{path.name}.tmp")
    with telling(path):
        try:
            save_file({key: tensor.detach().cpu().contiguous() for key, tensor in tensors.items()}, temporary, about)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


def remove(folder: Path, step: int) -> None:
    """Remove one checkpoint, and its folder if nothing else is in it."""
    path = folder / name(step)
    path.unlink()
    if not any(path.parent.iterdir()):
        path.parent.rmdir()


def read(place: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors and the text of a checkpoint: its file, its folder, or the folder of a run, which may have several.

    Raises:
        InputError: there is none, or it is damaged.
    """
    from safetensors import SafetensorError, safe_open

    file = _find(place)
    try:
        with safe_open(file, framework="pt") as opened:
            return {key: opened.get_tensor(key) for key in opened.keys()}, dict(opened.metadata() or {})  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise _damaged(file, error) from error


def shapes(place: Path) -> dict[str, tuple[int, ...]]:
    """The shapes of the tensors that `read` reads; quick whatever their size.

    Raises:
        InputError: there is no checkpoint, or it is damaged.
    """
    from safetensors import SafetensorError, safe_open

    file = _find(place)
    try:
        with safe_open(file, framework="pt") as opened:
            return {key: tuple(opened.get_slice(key).get_shape()) for key in opened.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise _damaged(file, error) from error


def require_shapes(found: Mapping[str, tuple[int, ...]], weights: Mapping[str, Tensor]) -> None:
    """Refuse a checkpoint, by the shapes in it, that is of another network or of an adapter of another rank.

    Raises:
        InputError: it is.
    """
    for key, weight in weights.items():
        shape = found.get(f"weights.{key}")
        if shape != tuple(weight.shape):
            fault = "missing" if shape is None else "of another shape"
            raise InputError(
                f"The checkpoint is of other weights: {key} is {fault}.",
                "Pass the model, and the --lora-rank, that it was made with.",
            )


def _find(place: Path) -> Path:
    last = [place / name(step) for step in saved(place)[-1:]] if place.is_dir() else []
    file = next((path for path in (place, place / STATE, *last) if path.is_file()), None)
    if file is None:
        raise InputError(
            f"A checkpoint is a folder with {STATE}; {place} is none.",
            "Pass a folder such as runs/finetune-clevr-mini/checkpoint-100, or latest.",
        )
    return file


def _damaged(file: Path, error: Exception) -> InputError:
    return InputError(f"The checkpoint {file} is damaged ({error}).", "Pass an earlier one.")


@contextmanager
def telling(place: Path) -> Iterator[None]:
    """What the library of the file format says of a full disk, as an error that tells what to do."""
    from safetensors import SafetensorError

    try:
        yield
    except (OSError, SafetensorError) as error:
        words = (error.strerror if isinstance(error, OSError) else None) or str(error)
        full = any(word in words.lower() for word in ("storagefull", "no space", "quota"))
        raise OutputError(
            f"{place} cannot be written ({'no space left on the device' if full else words}).",
            "The last checkpoint is kept; free some space and pass --resume." if full else "Choose another place.",
        ) from error
