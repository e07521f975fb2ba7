"""Where a model computes, in which numbers, and whether its network can be compiled there."""

import os
import shutil
from typing import Any

import torch

from geodesic_cli.diffusion.loading.offload import Offloaded
from geodesic_cli.errors import InputError, ModelError

DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


def pick_device(name: str) -> torch.device:
    """``auto`` is CUDA, then MPS, then the CPU; anything else is PyTorch's own name.

    Raises:
        InputError: the device is unknown or not on this machine.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError, ValueError) as reason:
        told = str(reason).splitlines()[0].partition(" device type at")[0]  # where in the word it stopped reading
        raise InputError(
            f"The device {name!r} is not available here ({told}).",
            "Pass --device auto, cpu, cuda, cuda:1 or mps.",
        ) from reason
    return device


def pick_dtype(name: str, device: torch.device, family: str = "sd") -> torch.dtype:
    """``auto`` is fp16 on CUDA and fp32 elsewhere, where half precision is slow or incomplete.

    The transformers of the families sd3 and flux get bf16 there: they and T5 leave the range of fp16.

    Raises:
        InputError: not one of auto, fp32, fp16, bf16.
    """
    if name == "auto":
        if device.type != "cuda":
            return torch.float32
        return torch.bfloat16 if family in ("sd3", "flux") else torch.float16
    if name not in DTYPES:
        raise InputError(f"The dtype is auto, fp32, fp16 or bf16; got {name!r}.")
    return DTYPES[name]


def compiled(module: Any, device: torch.device) -> Any:
    """The network, to be compiled at its first call.

    Raises:
        ModelError: this machine has no compiler for it.
    """
    missing = why_not_compile(device)
    if missing:
        raise ModelError(f"--compile on {device.type} needs {missing}.", "Install it, or drop --compile.")
    if isinstance(module, Offloaded):
        return Offloaded(torch.compile(module.module), module.seat)
    return torch.compile(module)


def why_not_compile(device: torch.device) -> str:
    """What torch.compile lacks on a device, in words; empty where nothing is missing."""
    from torch.utils._triton import has_triton

    if device.type == "cuda" and not has_triton():
        return "Triton, which is not installed"
    compilers = (os.environ.get("CXX", "g++"), "clang++", "cl")
    if device.type == "cpu" and not any(shutil.which(tool) for tool in compilers):
        return "a C++ compiler such as g++, and none was found"
    return ""
