"""`geodesic check`: what this machine has, what would be chosen, and what to do about what is missing."""

import os
import platform
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from geodesic_cli.diffusion.batching import free_memory
from geodesic_cli.diffusion.loading import hub
from geodesic_cli.diffusion.loading.devices import DTYPES, pick_device, pick_dtype, why_not_compile
from geodesic_cli.diffusion.loading.libraries import set_aside
from geodesic_cli.errors import GeodesicError
from geodesic_cli.media.films import video_encoder
from geodesic_cli.verbs.about.models import IN_PACKAGE, Listed, models
from geodesic_cli.version import __version__

LIBRARIES = ("torch", "diffusers", "transformers", "peft", "accelerate", "safetensors", "av", "scipy")
EXTRAS = {"torchvision": "metrics", "lpips": "metrics", "pyiqa": "metrics"}
"""Libraries of the extras, and what wants them."""
VARIABLES = ("HF_HOME", "HF_HUB_CACHE", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_TOKEN", "CUDA_VISIBLE_DEVICES")
SECRET = ("HF_TOKEN",)


@dataclass(frozen=True)
class Findings:
    """What was found.

    Args:
        facts: every finding by its name, ready for JSON.
        advice: sentences on what could be better, and how.
    """

    facts: dict[str, Any]
    advice: tuple[str, ...]


def check(device: str = "auto") -> Findings:
    """Look at this machine. It never fails: what cannot be found out is said to be so.

    Args:
        device: the one to look at, as for --device.
    """
    advice: list[str] = []
    listed = models()
    facts: dict[str, Any] = {
        "geodesic": __version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "libraries": {name: _version(name) for name in LIBRARIES},
        "extras": {name: _version(name) for name in EXTRAS},
        **_device(device, advice),
        "threads": torch.get_num_threads(),
        "processors": os.cpu_count(),
        "memory_free": _gigabytes(lambda: free_memory(torch.device("cpu"))),
        "disk_free": _gigabytes(lambda: shutil.disk_usage(Path.cwd()).free),
        "video_encoder": _tried(video_encoder),
        "compile": _compile(device),
        "cache": str(hub.hub_cache()),
        "cache_exists": hub.hub_cache().is_dir(),
        "offline": hub.offline(),
        "variables": {name: "set" if name in SECRET else os.environ[name] for name in VARIABLES if name in os.environ},
        "models": {model.name: model.folder for model in listed},
    }
    return Findings(facts, (*advice, *_unfit(), *_missing(facts, listed)))


def _device(asked: str, advice: list[str]) -> dict[str, Any]:
    try:
        device = pick_device(asked)
    except GeodesicError as reason:
        advice.append(str(reason))
        device = torch.device("cpu")
    found: dict[str, Any] = {"device": str(device), "device_name": platform.processor() or platform.machine()}
    if device.type == "cuda":
        free, total = torch.cuda.mem_get_info(device)
        found |= {"device_name": torch.cuda.get_device_name(device), "device_memory": round(total / 2**30, 1)}
        found |= {"device_memory_free": round(free / 2**30, 1)}
    elif device.type == "mps":
        found |= {"device_name": "Apple", "device_memory": round(torch.mps.recommended_max_memory() / 2**30, 1)}
    else:
        found["device_name"] = _of_processor("model name") or found["device_name"]
        built = "has no CUDA" if torch.version.cuda is None else f"has CUDA {torch.version.cuda}, which finds no device"
        advice.append(
            f"There is no GPU for PyTorch (this build {built}): clevr-mini needs none, larger models are slow without."
        )
        flags = _of_processor("flags")
        if "amx_bf16" in flags or "avx512_bf16" in flags:
            advice.append("This processor has instructions for bf16: large models are faster with --dtype bf16.")
    chosen = pick_dtype("auto", device)
    return found | {"dtype": next(name for name, dtype in DTYPES.items() if dtype == chosen)}


def _unfit() -> list[str]:
    return [
        f"{package} {_version(package)} does not work beside torch {torch.__version__} ({said}). Models load without "
        "it; a measure that needs it fails. Install both from the same place."
        for package, said in set_aside().items()
    ]


def _compile(asked: str) -> str:
    device = _tried(lambda: pick_device(asked))
    missing = why_not_compile(device if isinstance(device, torch.device) else torch.device("cpu"))
    return f"needs {missing}" if missing else "ready"


def _missing(facts: dict[str, Any], listed: tuple[Listed, ...]) -> list[str]:
    advice = []
    if all(model.sources == (IN_PACKAGE,) for model in listed if model.folder is not None):
        how = (
            "HF_HUB_OFFLINE is set, so nothing will be downloaded: unset it, or copy a model here and pass its folder"
            if facts["offline"]
            else "the first use of --model sd15 downloads it"
        )
        advice.append(f"Only the models of this package are here, which know no photographs; {how}.")
    advice += [
        f"The copy of {model.name} in the cache is {model.note}." for model in listed if "not comp" in model.note
    ]
    if facts["video_encoder"] not in ("libx264", "libopenh264"):
        advice.append("Films are written as MPEG-4, which not every browser plays: install PyAV from its wheels.")
    return advice


def _tried(ask: Callable[[], Any]) -> Any:
    try:
        return ask()
    except Exception as reason:  # a report has no use for a traceback
        return f"cannot be told ({reason})"


def _gigabytes(ask: Callable[[], int]) -> Any:
    value = _tried(ask)
    return round(value / 2**30, 1) if isinstance(value, int) else value


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _of_processor(key: str) -> str:
    """What Linux says of the first processor under a key; empty elsewhere."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(key)), "")
