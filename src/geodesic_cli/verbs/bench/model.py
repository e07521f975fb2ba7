"""`geodesic bench model`: what the way from the geometry's score to the network costs beside the network itself.

The same points go through two doors in turn: the score of `diffusion.densities`, as the solvers call it, and the bare
network, whose arguments are on its device in its dtype already. The two are measured one after the other, in changing
order, and the overhead is the median over the rounds of the ratio of their times, minus 1; so a machine that slows down
or has other work to do slows both. The batch is the same for both, and so are the chunks that it goes through in.
"""

import gc
import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch

from geodesic_cli.diffusion import LatentDiffusion
from geodesic_cli.diffusion.batching import free_memory, item_cost
from geodesic_cli.diffusion.densities import density_score
from geodesic_cli.diffusion.room import require_size
from geodesic_cli.frames.keyframes import widest
from geodesic_cli.media import parse_size
from geodesic_cli.runs.job import Job
from geodesic_cli.runs.observer import Observer
from geodesic_cli.runs.opening import open_model
from geodesic_cli.runs.room import require_room
from geodesic_cli.settings import BenchModelSettings
from geodesic_cli.verbs.bench.table import Bench, BenchTable, benched

LEAST_ROUNDS = 5
"""Rounds of a row at least."""
MOST_ROUNDS = 400
TAU = 0.4


@dataclass(frozen=True)
class SpeedRow:
    """One batch on one device in one dtype.

    Args:
        device: of the network.
        dtype: of the network.
        batch: points evaluated at once.
        chunk: how many of them the network sees at once.
        rounds: of measuring.
        raw: seconds of the bare network, the median.
        score: seconds of the score, the median.
        overhead: the median over the rounds of score / raw, minus 1.
        evaluations: of the score, a second.
        peak: bytes at most in use: of the process on the CPU, of tensors on CUDA, of the driver on MPS. None where the
            system does not say.
    """

    device: str
    dtype: str
    batch: int
    chunk: int
    rounds: int
    raw: float
    score: float
    overhead: float
    evaluations: float
    peak: int | None

    @property
    def spent(self) -> int:
        """Evaluations through both doors."""
        return 2 * self.rounds * self.batch

    @property
    def cells(self) -> tuple[str, ...]:
        """The row as texts."""
        return (
            self.device,
            self.dtype,
            str(self.batch),
            str(self.chunk),
            f"{1e3 * self.raw:.2f}",
            f"{1e3 * self.score:.2f}",
            f"{100 * self.overhead:+.1f} %",
            f"{self.evaluations:.1f}",
            "-" if self.peak is None else f"{self.peak / 1e6:.0f}",
        )


def run(job: Job[BenchModelSettings]) -> Bench:
    """Measure every batch on every device in every dtype."""
    about = {"model": job.settings.model, "size": job.settings.size, "tau": TAU}
    measure = partial(_all_rows, job.settings, job.observer)
    return benched(job, measure, BenchTable(SPEED_HEADS, (), SPEED_LEGEND), about, surcharge)


def surcharge(rows: Sequence[SpeedRow]) -> str:
    """What the score costs above the bare network, at most."""
    most = max((row.overhead for row in rows), default=0.0)
    was = "batch was" if len(rows) == 1 else "batches were"
    return f"{len(rows)} {was} measured. The score costs at most {most:.1%} more than the bare network."


def _all_rows(settings: BenchModelSettings, observer: Observer) -> list[SpeedRow]:
    kinds = [(device, dtype) for device in settings.devices for dtype in settings.dtypes]
    observer.stage(f"Measuring {settings.model}", len(kinds) * len(settings.batches), "batches")
    rows: list[SpeedRow] = []
    for device, dtype in kinds:
        model = open_model(replace(settings, device=device, dtype=dtype), observer)
        height, width = (model.image_size,) * 2 if settings.size is None else parse_size(settings.size)
        shape = model.latent_shape(height, width)
        require_size(model.codec, model.predict, height, width)
        cost = item_cost(model.predict.unet, shape, model.predict.place[1])
        require_room({"batches": (max(settings.batches), cost)}, free_memory(model.device))
        for batch in settings.batches:
            rows.append(measure_speed(model, shape, batch, settings.seconds))
            observer.advance(1, f"{rows[-1].device} {rows[-1].dtype}, batch {batch}")
        del model  # before the next one is loaded
        gc.collect()
    return rows


def measure_speed(model: LatentDiffusion, shape: tuple[int, int, int], batch: int, seconds: float) -> SpeedRow:
    """One row: the score against the bare network on `batch` points, for about so many seconds.

    Args:
        shape: (C, H, W) of its latents.
        batch: points evaluated at once.
        seconds: to spend, warming up aside; at least `LEAST_ROUNDS` rounds are made.
    """
    device, predict = model.device, model.predict
    network = predict.unet
    dtype = predict.place[1]
    d = torch.Size(shape).numel()
    x = widest(torch.randn(batch, d, generator=torch.Generator().manual_seed(0)).to(device))  # as the geometry has it
    u = torch.linspace(0, 1, batch, dtype=x.dtype, device=device)
    conditioning = model.prompts.along(())
    score = density_score(model, shape, TAU, conditioning)
    timestep = predict.schedule.level(TAU)[2]
    chunk = min(batch, predict.chunks.size(item_cost(network, shape, dtype), device))
    latents = x.reshape(-1, *shape).to(device, dtype).split(chunk)
    told = conditioning(u).to(device, dtype).split(chunk)
    times = [torch.full((len(part),), timestep, device=device) for part in latents]

    @torch.no_grad()
    def bare() -> None:
        for part, when, condition in zip(latents, times, told, strict=True):
            predict.ask(network, part, when, condition)

    def ours() -> None:
        score(x, u)

    forget = _forget_peak(device)
    for door in (bare, ours):
        door()
    doors: list[tuple[float, float]] = []
    began = time.perf_counter()
    while len(doors) < LEAST_ROUNDS or (time.perf_counter() - began < seconds and len(doors) < MOST_ROUNDS):
        if len(doors) % 2:
            second = _timed(ours, device)
            doors.append((_timed(bare, device), second))
        else:
            first = _timed(bare, device)
            doors.append((first, _timed(ours, device)))
    raw, whole = (statistics.median(column) for column in zip(*doors, strict=True))
    return SpeedRow(
        device=str(device),
        dtype=str(dtype).removeprefix("torch."),
        batch=batch,
        chunk=chunk,
        rounds=len(doors),
        raw=raw,
        score=whole,
        overhead=statistics.median(b / a for a, b in doors) - 1,
        evaluations=batch / whole,
        peak=forget(),
    )


def _timed(door: Callable[[], None], device: torch.device) -> float:
    _wait(device)
    began = time.perf_counter()
    door()
    _wait(device)
    return time.perf_counter() - began


def _wait(device: torch.device) -> None:
    if device.type != "cpu":
        torch.accelerator.synchronize(device)


def _forget_peak(device: torch.device) -> Callable[[], int | None]:
    """Begin a new peak; the answer reads it."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return lambda: int(torch.cuda.max_memory_allocated(device))
    if device.type == "mps":
        return lambda: int(torch.mps.driver_allocated_memory())
    with suppress(OSError):  # Linux: the process's own high-water mark of resident memory starts anew
        Path("/proc/self/clear_refs").write_text("5")
    return _resident


def _resident() -> int | None:
    """The high-water mark of this process's resident memory, bytes."""
    with suppress(OSError, StopIteration, ValueError):
        lines = Path("/proc/self/status").read_text("ascii").splitlines()
        return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) * 1024
    with suppress(ImportError, ValueError):
        import resource
        import sys

        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most if sys.platform == "darwin" else most * 1024  # macOS counts bytes, others kilobytes
    return None


SPEED_HEADS = ("device", "dtype", "batch", "chunk", "network ms", "score ms", "overhead", "evaluations/s", "peak MB")
SPEED_LEGEND = (
    "network: bare, at equal batch and chunk; score: as the solvers call it, from float64 points to float64 scores. "
    "overhead: median of the ratio over interleaved rounds. peak: of the process on the CPU, of tensors on CUDA. "
    "evaluations/s: high is good; all others: low is good."
)
