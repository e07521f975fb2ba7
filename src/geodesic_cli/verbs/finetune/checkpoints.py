"""Checkpoints of a training as files: `checkpoint-N/state.safetensors` below the folder of the run, whole or absent."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from torch import Tensor

from geodesic_cli.errors import InputError
from geodesic_cli.runs.tensors import DAMAGED, read_shapes, read_tensors

STATE = "state.safetensors"


def name(step: int) -> str:
    """Of the checkpoint at a step, relative to the folder of the run."""
    return f"checkpoint-{step}/{STATE}"


def saved(folder: Path) -> list[int]:
    """Steps of the checkpoints in the folder of a run, in order."""
    return sorted(
        int(path.parent.name.removeprefix("checkpoint-")) for path in folder.glob(f"checkpoint-[0-9]*/{STATE}")
    )


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
    with _opened(place) as file:
        return read_tensors(file)


def shapes(place: Path) -> dict[str, tuple[int, ...]]:
    """The shapes of the tensors that `read` reads, by name; it refuses what `read` refuses."""
    with _opened(place) as file:
        return read_shapes(file)


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


@contextmanager
def _opened(place: Path) -> Iterator[Path]:
    """The file of a checkpoint, with the sentence for one that is damaged."""
    last = [place / name(step) for step in saved(place)[-1:]] if place.is_dir() else []
    file = next((path for path in (place, place / STATE, *last) if path.is_file()), None)
    if file is None:
        raise InputError(
            f"A checkpoint is a folder with {STATE}; {place} is none.",
            "Pass a folder such as runs/finetune-clevr-mini/checkpoint-100, or latest.",
        )
    try:
        yield file
    except DAMAGED as error:
        raise InputError(f"The checkpoint {file} is damaged ({error}).", "Pass an earlier one.") from error
