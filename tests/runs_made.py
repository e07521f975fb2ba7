"""Folders of runs as a verb writes them, without a model."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from geodesic_cli.media import write_png
from geodesic_cli.runs.plain import plain, to_json
from geodesic_cli.settings import InterpolateSettings

HOSTILE = """"><script>alert(1)</script>'&{{ 7 * 7 }}</script><!--"""
"""A text that would break out of a page that does not escape it."""


def picture(side: int, seed: int) -> torch.Tensor:
    """Colours that are another picture for every seed, (3, side, side)."""
    ramp = torch.linspace(0, 1, side)
    return torch.stack(
        [ramp.expand(side, side), ramp[:, None].expand(side, side), torch.full((side, side), seed % 17 / 16)]
    )


def write_run(
    folder: Path, settings: Any, metrics: dict[str, Any], pictures: dict[str, torch.Tensor], **more: Any
) -> Path:
    """A folder with a manifest that lists what is in it."""
    for name, image in pictures.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        write_png(image, folder / name, {"u": int(Path(name).stem) / 8} if Path(name).stem.isdigit() else {})
    (folder / "metrics.json").write_text(to_json(metrics))
    manifest = {
        "command": "geodesic interpolate",
        "settings": plain(asdict(settings)),
        "settings_hash": "0" * 64,
        "seed": 0,
        "versions": {"geodesic-cli": "0.1.0", "torch": "2", "platform": "Linux"},
        "status": "The path satisfies the geodesic equation.",
        "evaluations": 12,
        "wall_seconds": 1.5,
        "files": ["metrics.json", *pictures],
    }
    (folder / "manifest.json").write_text(json.dumps(manifest | more))
    return folder


def interpolation(folder: Path, frames: int = 9, side: int = 16, **more: Any) -> Path:
    """A comparison of two methods, of whose frames the first and the last are given and the fifth is doubtful."""
    folder.mkdir(parents=True, exist_ok=True)
    u = [k / 8 for k in range(9)]
    path = {"u": u, "log_density": [-3.0 * v for v in u], "speed": [1.0 + v for v in u], "node_u": u[1:-1]}
    path |= {"residual": [0.1 + v for v in u[1:-1]], "relative_residual": 0.2, "log_length": 1.0, "length": 2.7}
    path |= {"euclidean_length": 9.0, "mean_log_density": -1.5, "min_log_density": -3.0}
    metrics = {
        "method": "global",
        "keyframes": [0, frames - 1],
        "positions": [k / max(1, frames - 1) for k in range(frames)],
        "reconstruction_psnr": [38.0, 39.0],
        "global": {"marked_frames": [4]},
        "paths": {"global": path, "slerp": path | {"relative_residual": 1.0, "log_length": float("nan")}},
        "seconds": 12.3,
    }
    settings = more.pop("settings", None) or InterpolateSettings(
        images=("a.png", "b.png"), compare=True, out=str(folder)
    )
    pictures = {f"frames/{k:05d}.png": picture(side, k) for k in range(frames)}
    pictures |= {f"compare/slerp/{k:05d}.png": picture(side, 3 * k + 1) for k in range(frames)}
    pictures |= {"sheet.png": picture(2 * side, 5)}
    return write_run(folder, settings, metrics, pictures, **more)
