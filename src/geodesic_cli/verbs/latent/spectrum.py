"""Along what a line through a noise goes: the spectrum of the bottleneck's Jacobian there, chance, or a file."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from geodesic_cli.diffusion.tuning.trainee import Trainee
from geodesic_cli.distortion.measures import top_directions
from geodesic_cli.errors import InputError
from geodesic_cli.runs.observer import Observer
from geodesic_cli.runs.tensors import DAMAGED, read_tensors
from geodesic_cli.settings import LineSettings
from geodesic_cli.settings.latent import RANDOM, SPECTRUM
from geodesic_cli.settings.option import did_you_mean
from geodesic_cli.verbs.latent.noises import Noises

BESIDE = "random, for comparison"
"""The line along a random direction beside those that were asked for."""


def direction_of(file: str) -> Tensor:
    """The direction (d,) in a file that `geodesic latent direction` has written.

    Raises:
        InputError: there is none.
    """
    path = Path(file)
    try:
        found = read_tensors(path)[0].get("direction") if path.is_file() else None
    except DAMAGED as error:
        raise InputError(f"The direction {file} is damaged ({error}).", "Make it anew.") from error
    if found is None or found.ndim != 1 or not bool(found.isfinite().all()) or not bool(found.any()):
        raise InputError(
            f"--along takes {SPECTRUM}, {RANDOM}, or a file with a direction; {file!r} is none.",
            did_you_mean(file, (SPECTRUM, RANDOM), "Pass the direction.safetensors of geodesic latent direction."),
        )
    return found.float()


def line_vectors(
    s: LineSettings, noises: Noises, along: Tensor | None, observer: Observer
) -> tuple[Tensor, tuple[str, ...], dict[str, Any]]:
    """Vectors (n, lines, d) as long as a unit of strength, the names of the lines, and what the spectrum is."""
    x, chance = noises.points, torch.Generator().manual_seed(s.seed + 1)
    length = x.norm(dim=1)[:, None, None]
    lines = s.directions if along is None else 1
    random = _tangent(x, torch.randn(len(x), lines + 1, x.shape[1], generator=chance))
    if along is not None:
        own = along.expand(len(x), 1, -1)
        beside = random[:, :1] * along.norm()
        return torch.cat([own, beside], 1), (Path(s.along).stem, BESIDE), {}
    if s.along == RANDOM:
        return random[:, :lines] * length, tuple(f"random {k + 1}" for k in range(lines)), {}
    observer.stage("Looking at the bottleneck", len(x), "noises")
    values, errors, found = [], [], []
    for k in range(len(x)):
        one = _spectrum_at(noises, k, lines)
        values.append(one[0].tolist())
        errors.append(one[2].tolist())
        found.append(one[1].float().cpu())
        observer.advance(1)
    names = tuple(f"direction {k + 1}" for k in range(lines))
    told = {"singular_values": values, "singular_value_errors": errors}
    return torch.cat([torch.stack(found), random[:, :1]], 1) * length, (*names, BESIDE), told


def _spectrum_at(noises: Noises, k: int, lines: int) -> tuple[Tensor, Tensor, Tensor]:
    """The largest singular values of J at one of the noises, their directions, and the errors of the values."""
    journey = noises.journey
    model = journey.model
    timestep = torch.full((1,), model.predict.schedule.level(journey.tau)[2], dtype=torch.float32)
    unet = model.predict.unet
    f = Trainee(model, {}, False, unet).bottleneck(torch.empty(0, *journey.shape), timestep, noises.condition[k])
    x = noises.points[k : k + 1].reshape(1, *journey.shape).to(model.device, torch.float32)
    return top_directions(f, x, lines, torch.Generator().manual_seed(0), at_once=16)


def _tangent(x: Tensor, rows: Tensor) -> Tensor:
    """Rows (n, m, d) as unit vectors at right angles to the points x (n, d)."""
    unit = (x / x.norm(dim=1, keepdim=True))[:, None]
    rows = rows - (rows * unit).sum(-1, keepdim=True) * unit
    return rows / rows.norm(dim=-1, keepdim=True)
