"""What `geodesic isometry` measures of one model: at each noise level how its encoder x -> h distorts, and beyond that
how evenly images change along noise (PPL) and what a hyperplane in noise can tell (LS).

Points at noise level tau are x = a z + sigma eps, with clean z and noise eps that are the same for every model of a
run. The encoder is told the caption of its point; along a trajectory and in a pair of images the caption is that of the
first end, so that nothing but x changes.
"""

import copy
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from geodesic_cli.diffusion import Embedding, LatentDiffusion, NoiseSchedule
from geodesic_cli.diffusion.tuning.features import Bottleneck
from geodesic_cli.diffusion.tuning.trainee import Trainee
from geodesic_cli.distortion import loss as isometry
from geodesic_cli.distortion import measures as distortion
from geodesic_cli.distortion import stereographic
from geodesic_cli.distortion.extremes import Extremes, extremes
from geodesic_cli.distortion.keeping import angle_error, length_error
from geodesic_cli.distortion.roughness import derivative_held
from geodesic_cli.errors import ModelError
from geodesic_cli.evaluation import Distance, linear_separability
from geodesic_cli.evaluation.path_length import stylegan_ppl_of
from geodesic_cli.evaluation.shares import share_interval
from geodesic_cli.geometry.linalg import slerp
from geodesic_cli.runs.observer import Observer
from geodesic_cli.settings import IsometrySettings
from geodesic_cli.verbs.isometry.known import KnownImages

EXACT_EVALUATIONS = 30_000
"""Of the encoder; beyond that `auto` projects. Some ten minutes of one core for a network of 11 million weights."""
EXACT_NUMBERS = 2**27
"""In float64, that the metrics of all points, or one Jacobian, may hold: one gigabyte."""
CHANNELS = 256
"""Of h. Where there are more and the Jacobian is projected, as many combinations of them stand for all of them."""
TOP = 32
"""Singular values of the plot where the spectrum is not complete."""


@dataclass(frozen=True, eq=False)
class Points:
    """Where the encoder is looked at.

    Args:
        z: (N, d), clean points.
        condition: N rows.
    """

    z: Tensor
    condition: Embedding


@dataclass(frozen=True, eq=False)
class Level:
    """An encoder at one noise level.

    Args:
        numbers: for metrics.json.
        spectrum: (N, k), singular values at each point, descending; (1, TOP) of the first point where it is projected.
    """

    numbers: dict[str, Any]
    spectrum: Tensor


@dataclass(frozen=True, eq=False)
class Look:
    """A model, in fp32, with its encoder in double precision."""

    model: LatentDiffusion
    settings: IsometrySettings
    observer: Observer

    def __post_init__(self) -> None:
        unet = self.model.predict.unet
        if getattr(unet, "mid_block", None) is None:
            raise ModelError(
                f"A UNet with a mid block is needed, whose output is h; {self.model.name} has none.",
                "Pass a model of the kind of Stable Diffusion 1, 2 or XL, a pixel DDPM or a latent diffusion model.",
            )
        if self.settings.published and not isinstance(self.model.predict.schedule, NoiseSchedule):
            raise ModelError(
                f"The authors' measures need a model with numbered timesteps; {self.model.name} has none.",
                "Leave --published out.",
            )

    @cached_property
    def _double(self) -> Trainee:
        """The model with its network in float64; MPS has no such numbers and stays in float32."""
        unet = self.model.predict.unet
        twin = unet if self.device.type == "mps" else copy.deepcopy(unet).double()
        predict = replace(self.model.predict, unet=twin)
        return Trainee(replace(self.model, predict=predict), {}, False, twin)

    @property
    def device(self) -> torch.device:
        """Of the networks."""
        return self.model.device

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of a latent."""
        return self.model.latent_shape(self.model.image_size, self.model.image_size)

    def encoder(self, timestep: float, condition: Embedding) -> Bottleneck:
        """The bottleneck map for as many points as the condition has rows."""
        times = torch.full((len(condition),), timestep, dtype=torch.float32)
        return self._double.bottleneck(torch.empty(0, *self.shape), times, condition)

    @property
    def at_once(self) -> int:
        """Rows that go through the encoder together: few enough for the cache of a CPU, or to fill a GPU."""
        n = torch.Size(self.shape).numel()
        return max(2, min(64, 2**17 // n) if self.device.type == "cpu" else min(256, 2**19 // n))

    def is_exact(self, features: int) -> bool:
        """Whether whole Jacobians are computed."""
        s, n = self.settings, torch.Size(self.shape).numel()
        evaluations = 2 * n * s.points * len(s.levels)
        fits = max(n * features, s.points * n * n) <= EXACT_NUMBERS
        return s.jacobian == "exact" or (s.jacobian == "auto" and evaluations <= EXACT_EVALUATIONS and fits)

    # --- the encoder

    def level(self, tau: float, points: Points) -> Level:
        """Measure the encoder at one noise level."""
        s = self.settings
        a, sigma, timestep = self.model.predict.schedule.level(tau)
        eps = torch.randn(points.z.shape, generator=self._chance(1), dtype=torch.float32)
        dtype = torch.float32 if self.device.type == "mps" else torch.float64
        x = (a * points.z.cpu() + sigma * eps).to(self.device, dtype).reshape(-1, *self.shape)
        f = self.encoder(timestep, points.condition[0])
        with torch.no_grad():
            features = f(x[:1])[0].shape
        n, m = x[0].numel(), features.numel()
        exact = self.is_exact(m)
        basis = distortion.random_basis(min(s.directions, n - 1), n - 1, self._chance(2)).to(x)
        mix = None if exact else self._mix(features[0])
        chance = self._chance(3)
        metrics, totals, pooled, spectrum, ends, held = [], [], [], [], [], []
        for k in range(len(x)):
            here, f = x[k : k + 1], self.encoder(timestep, points.condition[k])
            if exact:
                full = distortion.jacobian(f, here, self.at_once)
                metrics.append(distortion.tangent_metric(full, here))
                totals.append(distortion.moments(metrics[-1]))
                pooled.append(torch.linalg.svdvals(distortion.pooled(full, features)))
                top, direction = _whole_spectrum(metrics[-1], here)
                spectrum.append(top)
                held.append(derivative_held(f, here, direction))
            else:
                ends.append(extremes(f, here, min(s.directions, n - 1), self._chance(7), self.at_once))
                metrics.append(distortion.projected_metric(f, here, basis, self.at_once))
                totals.append(isometry.linearise(f, here, isometry.gaussian(chance), probes=s.probes).totals)
                pooled.append(torch.linalg.svdvals(distortion.pooled_jacobian(f, here, self.at_once, mix)))
            self.observer.advance(1, f"tau {tau:g}")
        error = 0.0
        if not exact:
            top, error, kept = self._top(self.encoder(timestep, points.condition[0]), x[:1], chance)
            spectrum, held = [top], [kept]
        loss, loss_error = distortion.loss_and_error(totals)
        lengths = self.relative_lengths(x, timestep, points.condition)
        numbers = {
            "tau": tau,
            "timestep": timestep,
            "dimension": n,
            "features": m,
            "possible": distortion.is_possible(n, m),
            "jacobian": "exact" if exact else "projected",
            "loss": loss,
            "loss_error": loss_error,
            "participation": 1 / loss,
            "held": sum(held) / len(held),
            "riemannian" if exact else "spread": asdict(distortion.riemannian(torch.stack(metrics))),
            **({} if exact else {"ends": _ends(ends)}),
            "pooled": asdict(distortion.singular(torch.stack(pooled))) | {"mixed": mix is not None},
            **(self._published(timestep, points.condition) if s.published else {}),
            "angle_error": angle_error(torch.stack(metrics), self._chance(9)),
            "length_error": length_error(torch.stack(metrics), self._chance(10)),
            "mrtl": float(lengths.mean()),
            "mrtl_std": float(lengths.std()) if len(lengths) > 1 else 0.0,
            "spectrum_error": error,
        }
        return Level(numbers, torch.stack(spectrum).cpu())

    def _mix(self, channels: int) -> Tensor | None:
        """Combinations (k, channels) that stand for all channels of h; None where these are few enough."""
        if channels <= CHANNELS:
            return None
        return distortion.random_basis(min(self.settings.directions, channels), channels, self._chance(6))

    def _top(self, f: Bottleneck, x: Tensor, chance: torch.Generator) -> tuple[Tensor, float, float]:
        """The largest singular values at x, the largest of their errors, and what is kept of the first derivative."""
        top, directions, errors = distortion.top_directions(f, x, min(TOP, x.numel() - 1), chance, at_once=self.at_once)
        return top, float((errors / top).max()), derivative_held(f, x, directions[0])

    def _published(self, timestep: float, condition: Embedding) -> dict[str, Any]:
        """Condition numbers as the authors' code computes them, see `distortion.measures`."""
        index = self._double.timesteps - 1 - round(timestep)
        dtype = torch.float32 if self.device.type == "mps" else torch.float64
        noise = torch.randn(len(condition), *self.shape, generator=self._chance(8)).to(self.device, dtype)
        values = []
        for k in range(len(condition)):
            f = self.encoder(float(index), condition[k])
            values.append(torch.linalg.svdvals(distortion.window_pooled_jacobian(f, noise[k : k + 1], 2, self.at_once)))
        found = asdict(distortion.singular(torch.stack(values), unbiased=True))
        return {"published": found | {"index": index, "window": 2}}

    @torch.no_grad()
    def relative_lengths(self, x: Tensor, timestep: float, condition: Embedding) -> Tensor:
        """Relative trajectory lengths of great circles between points at one noise level, (pairs,)."""
        lengths = []
        u = torch.linspace(0, 1, self.settings.segments + 1, dtype=x.dtype, device=x.device)
        first, second = _some_pairs(self.settings.pairs, len(x), self._chance(4))
        for a, b in zip(first, second, strict=True):
            f = self.encoder(timestep, condition[a])
            path = slerp(x[a].flatten(), x[b].flatten(), u).reshape(-1, *x.shape[1:])
            h = torch.cat([f(part) for part in path.split(self.at_once)])
            lengths.append(distortion.relative_length(h[None]).cpu())
        return torch.cat(lengths)

    # --- images

    def path_length(self, points: Points, distance: Distance) -> dict[str, Any]:
        """Perceptual path length of the sampler, from noise at tau = 1 to images (`evaluation.path_length`)."""
        s, chance = self.settings, self._chance(5)
        a, b = (torch.randn(s.ppl_pairs, points.z.shape[1], generator=chance) for _ in range(2))
        u = torch.rand(s.ppl_pairs, generator=chance, dtype=torch.float64) * (1 - s.ppl_eps)
        distances = []
        for k in range(0, s.ppl_pairs, 25):
            rows = range(k, min(k + 25, s.ppl_pairs))
            ends = [slerp(a[i].double(), b[i].double(), torch.stack([u[i], u[i] + s.ppl_eps])) for i in rows]
            noise = torch.stack(ends, 1).flatten(0, 1).float()  # all the first ones, then all the second ones
            which = torch.tensor([i % len(points.z) for i in rows] * 2)
            clean = self.model.generate(noise, self.shape, points.condition[which], s.steps)
            one, two = self.model.decode(clean, self.shape).double().chunk(2)
            distances.append(distance(one, two).double().cpu())
            self.observer.advance(len(rows))
        found = stylegan_ppl_of(torch.cat(distances), s.ppl_eps)
        numbers = {name: getattr(found, name) for name in ("value", "error", "pairs", "kept", "eps")}
        return numbers | {"distance": getattr(distance, "name", "LPIPS")}

    def separability(self, known: KnownImages) -> dict[str, Any]:
        """Linear separability of what is known of images, from the noise that they are inverted to."""
        noise = []
        for k in range(0, known.count, 50):
            rows = range(k, min(k + 50, known.count))
            z = self.model.encode(known.draw(rows, self.model.image_size))
            condition = known.embed(self.model, rows)
            noise.append(self.model.lift(z, self.shape, condition, 1.0, self.settings.steps).cpu())
            self.observer.advance(len(rows))
        found = linear_separability(torch.cat(noise), known.labels, seed=self.settings.seed)
        numbers = {name: getattr(found, name) for name in ("value", "guessing", "accuracies", "points", "folds")}
        right = {name: round(share * found.points) for name, share in found.accuracies.items()}
        intervals = {name: list(share_interval(count, found.points)) for name, count in right.items()}
        return numbers | {"intervals": intervals, "what": known.what}

    def _chance(self, purpose: int) -> torch.Generator:
        """The same numbers for every model and noise level, others for each purpose."""
        return torch.Generator().manual_seed((self.settings.seed * 16 + purpose) % 2**63)


def _whole_spectrum(metric: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
    """The singular values (k,) that belong to a metric at x, descending, and the direction (n,) of the largest."""
    values, vectors = torch.linalg.eigh(metric)
    return values.clamp(min=0).sqrt().flip(0), stereographic.frame(x.flatten(), vectors[:, -1:].T)[0]


def _ends(found: list[Extremes]) -> dict[str, Any]:
    """Of all points: the mean of the least condition numbers, and the first point's ends with their errors."""
    conditions = torch.tensor([one.condition for one in found], dtype=torch.float64)
    spread = float(conditions.std()) if len(found) > 1 and bool(conditions.isfinite().all()) else 0.0
    return {"mcn_at_least": float(conditions.mean()), "std": spread, "first": asdict(found[0])}


def _some_pairs(count: int, points: int, chance: torch.Generator) -> tuple[list[int], list[int]]:
    """Pairs of two different points each."""
    first = torch.randint(points, (count,), generator=chance)
    second = (first + 1 + torch.randint(points - 1, (count,), generator=chance)) % points
    return first.tolist(), second.tolist()
