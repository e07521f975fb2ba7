"""`geodesic check --model NAME`: a model loaded and tested on this machine, as a report that can be pasted anywhere.

Four things are tried, each of which another mistake would spoil: the parts load and fit; the autoencoder brings a
picture back; the network finds the noise that was added to it, of the right size (|score| sigma / sqrt(d) is near 1 for
Gaussian noise) and in the right direction; a geodesic between two pictures is solved. The pictures are rendered scenes.
"""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from torch import Tensor

from geodesic_cli.diffusion import Embedding, LatentDiffusion
from geodesic_cli.errors import GeodesicError, first_line
from geodesic_cli.frames.keyframes import coded, conditions_for, embed
from geodesic_cli.frames.paths import Problem
from geodesic_cli.geometry import solve_bvp
from geodesic_cli.runs.job import Job
from geodesic_cli.runs.observer import Observer
from geodesic_cli.scenes import render, sample
from geodesic_cli.settings.about import CheckSettings

ON_A_CPU = 256
"""Pixels of a test picture's side, at most, where there is no GPU."""
TAUS = (0.2, 0.5, 0.8)
"""Noise levels that the network is asked at; it is judged by the middle one."""
LEAST_PSNR, SIZES, LEAST_MATCH = 20.0, (0.7, 1.3), 0.5
"""What is right: decibels of the autoencoder, the size of the predicted noise, its cosine with the noise."""
OWN_PSNR, OWN_STEPS = 25.0, 12
"""Decibels with which a model of one kind of pictures brings back what it draws itself, in so many steps."""
TAU, STEPS, NODES, MOST_STEPS = 0.4, 4, 9, 12
"""Of the small pair."""


@dataclass
class ModelReport:
    """What came out.

    Args:
        model: what was loaded, without the folders of this machine.
        facts: every finding by its name, ready for JSON.
        wrong: sentences on what is not as it should be.
    """

    model: str
    facts: dict[str, Any] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)

    @property
    def verdict(self) -> str:
        """The one sentence."""
        if not self.wrong:
            return f"{self.model} works on this machine."
        return f"{self.model} does not work as it should on this machine."


def try_model(settings: CheckSettings, observer: Observer) -> ModelReport:
    """Load the model of the settings and test it; what fails is a sentence of the report."""
    report = ModelReport(Path(settings.model).name if Path(settings.model).exists() else settings.model)
    with _timed(report, "load"):
        observer.stage("Loading the model", 1, "models")
        try:
            model = Job(settings, observer).load_model()
        except GeodesicError as reason:
            report.wrong.append(str(reason))
            return report
        observer.advance(1)
    report.facts |= {"parts": _parts(model), **_noise(model), "device": str(model.device)}
    side = _side(model, settings.side)
    report.facts |= {"side": side, "latent": list(model.latent_shape(side, side))}
    if model.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(model.device)
    images = render(sample(2, torch.Generator().manual_seed(0)), side)
    for name, part in (("autoencoder", _autoencoder), ("score", _score), ("pair", _pair)):
        observer.stage(f"Testing the {name}", 1, "tests")
        with _timed(report, name):
            try:
                part(report, model, images, settings.prompt[:1])
            except (GeodesicError, torch.OutOfMemoryError) as reason:
                report.wrong.append(f"The test of the {name} failed: {first_line(reason)}")
        observer.advance(1)
    report.facts["peak_gigabytes"] = _peak(model.device)
    return report


@contextmanager
def _timed(report: ModelReport, name: str) -> Iterator[None]:
    began = time.monotonic()
    try:
        yield
    finally:
        report.facts.setdefault("seconds", {})[name] = round(time.monotonic() - began, 2)


def _parts(model: LatentDiffusion) -> dict[str, str]:
    found = {"network": model.predict.unet, "autoencoder": model.codec.vae}
    found |= {f"text encoder {k}": encoder for k, encoder in enumerate(model.prompts.encoders, 1)}

    def said(part: Any) -> str:
        module = getattr(part, "module", getattr(part, "_orig_mod", part))
        weights = sum(weight.numel() for weight in part.parameters())
        dtype = next((str(weight.dtype).removeprefix("torch.") for weight in part.parameters()), "no weights")
        return f"{type(module).__name__}, {weights / 1e6:.1f} million weights, {dtype}"

    return {name: said(part) for name, part in found.items() if hasattr(part, "parameters")}


def _noise(model: LatentDiffusion) -> dict[str, Any]:
    levels = [model.predict.schedule.level(tau) for tau in TAUS]
    return {
        "predicts": model.predict.prediction,
        "schedule": type(model.predict.schedule).__name__,
        "levels": {f"{tau:g}": [round(a, 4), round(sigma, 4)] for tau, (a, sigma, _) in zip(TAUS, levels, strict=True)},
        "tokens": [reader.tokens for reader in model.prompts.readers],
        "words": len(model.prompts.words),
    }


def _side(model: LatentDiffusion, asked: int | None) -> int:
    side = asked or (min(model.image_size, ON_A_CPU) if model.device.type == "cpu" else model.image_size)
    return max(model.codec.step, round(side / model.codec.step) * model.codec.step)


def _autoencoder(report: ModelReport, model: LatentDiffusion, images: Tensor, prompts: tuple[str, ...]) -> None:
    of = coded(model, images)
    decibels = fmean(of.psnr)
    report.facts["roundtrip_db"] = round(decibels, 1) if math.isfinite(decibels) else "exact"
    report.facts["latent_spread"] = round(float(of.z.float().std()), 3)
    if decibels >= LEAST_PSNR:
        return
    own = _own_pictures(model, prompts)  # a model of one kind of pictures knows no rendered scenes
    report.facts["own_roundtrip_db"] = round(own, 1)
    if own < OWN_PSNR:
        report.wrong.append(
            f"The autoencoder brings the test pictures back with {decibels:.1f} dB, and {LEAST_PSNR:g} dB or more are "
            f"usual; what the model draws itself comes back with {own:.1f} dB, and a model of one kind of pictures has "
            f"{OWN_PSNR:g} dB or more. The autoencoder is another model's, or its files are damaged."
        )


def _own_pictures(model: LatentDiffusion, prompts: tuple[str, ...]) -> float:
    """Decibels with which the autoencoder brings back two pictures that the model draws."""
    drawn = model.sample(list(prompts or ("",)) * 2, torch.Generator().manual_seed(0), OWN_STEPS, 1.0).cpu()
    return fmean(coded(model, drawn).psnr)


def _score(report: ModelReport, model: LatentDiffusion, images: Tensor, prompts: tuple[str, ...]) -> None:
    condition = Embedding.cat(conditions_for(model, prompts, len(images)))
    shape = model.latent_shape(*images.shape[2:])
    z = model.encode(images).reshape(-1, *shape).cpu()
    noise = torch.randn(z.shape, generator=torch.Generator().manual_seed(0))
    sizes, matches = {}, {}
    for tau in TAUS:
        a, sigma, timestep = model.predict.schedule.level(tau)
        noisy = (a * z + sigma * noise).to(model.device)
        eps = model.predict(noisy, timestep, condition).float().cpu()
        sizes[tau] = float(eps.norm() / math.sqrt(eps.numel()))
        matches[tau] = float((eps * noise).sum() / (eps.norm() * noise.norm()))
    report.facts["score_size"] = {f"{tau:g}": round(size, 3) for tau, size in sizes.items()}
    report.facts["noise_match"] = {f"{tau:g}": round(match, 3) for tau, match in matches.items()}
    size, match = sizes[TAUS[1]], matches[TAUS[1]]
    if not SIZES[0] <= size <= SIZES[1] or not match >= LEAST_MATCH:
        report.wrong.append(
            f"The network does not find the noise: at tau {TAUS[1]} its answer has {size:.2f} of the noise's size and "
            f"a cosine of {match:.2f} with it, where 1 is right. Its scheduler's configuration (prediction_type, "
            "betas) may be that of another model."
        )


def _pair(report: ModelReport, model: LatentDiffusion, images: Tensor, prompts: tuple[str, ...]) -> None:
    ends = embed(model, images, prompts, TAU, STEPS)
    problem = Problem.between(model, ends, bend=1.0, alpha=None, nodes=NODES, seed=0)
    solution = solve_bvp(problem.metric, problem.guess, max_steps=MOST_STEPS)
    report.facts["pair"] = {
        "converged": solution.converged,
        "residual": round(solution.residual, 4) if math.isfinite(solution.residual) else None,
        "evaluations": 2 * STEPS + NODES + solution.score_calls,
        "status": solution.status.value,
    }
    if not solution.converged:
        report.wrong.append(f"The path between two test pictures did not converge. {solution.status.value}")


def _peak(device: torch.device) -> float | None:
    """Gigabytes that were in use at most: of the GPU, else of this process; None where nothing tells."""
    if device.type == "cuda":
        return round(torch.cuda.max_memory_allocated(device) / 1e9, 2)
    try:
        import resource
        import sys
    except ImportError:  # Windows
        return None
    bytes_each = 1 if sys.platform == "darwin" else 1024
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * bytes_each / 1e9, 2)
