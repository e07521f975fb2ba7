"""A solver's step as tensors and text, so that a run that was stopped goes on bit for bit.

The step and the state of the solver in it are frozen dataclasses of tensors, numbers and each other. They are taken
apart into a tree of plain values, where a tensor is its name in the file, and put together from it again. Only the
classes named here are ever made from a file.
"""

from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any, TypeVar

import torch
from torch import Tensor

from geodesic_cli.geometry import Curve, Euclidean, Link, MeanStep, Seen, Sphere, Status, Step
from geodesic_cli.geometry.kernel.surveyed import Surveyed
from geodesic_cli.geometry.solvers.gradient_flow import Descending
from geodesic_cli.geometry.solvers.relaxation import Relaxed

KINDS: dict[str, type] = {
    kind.__name__: kind
    for kind in (Step, Curve, Seen, Euclidean, Sphere, Relaxed, Surveyed, Descending, Link, MeanStep)
}
Packed = TypeVar("Packed", Step, Link, MeanStep)
"""What is kept of a search: the step of a solver, a link between two points, the step of a mean."""


def pack(step: Packed) -> tuple[dict[str, Tensor], object]:
    """Tensors by name, and the tree of plain values that refers to them."""
    tensors: dict[str, Tensor] = {}

    def apart(value: Any) -> object:
        if isinstance(value, Tensor):
            name = f"{len(tensors):04d}"
            tensors[name] = value
            return {"tensor": name, "device": value.device.type}
        if isinstance(value, Enum):
            return {"status": value.name}
        if is_dataclass(value):
            named = {field.name: apart(getattr(value, field.name)) for field in fields(value)}
            return {"kind": type(value).__name__, "fields": named}
        if isinstance(value, tuple):
            return {"tuple": [apart(part) for part in value]}
        assert value is None or isinstance(value, bool | int | float), f"a step must not hold {type(value)}"
        return value

    return tensors, apart(step)


def unpack(tensors: dict[str, Tensor], tree: Any, device: torch.device, kind: type[Packed]) -> Packed:
    """The step that was packed, of its kind; tensors that were not on the CPU come to the device."""

    def together(value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        if "tensor" in value:
            tensor = tensors[value["tensor"]]
            return tensor if value["device"] == "cpu" else tensor.to(device)
        if "status" in value:
            return Status[value["status"]]
        if "tuple" in value:
            return tuple(together(part) for part in value["tuple"])
        return KINDS[value["kind"]](**{name: together(part) for name, part in value["fields"].items()})

    step = together(tree)
    assert isinstance(step, kind)
    return step
