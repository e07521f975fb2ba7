"""The training of a denoiser with a regulariser on its bottleneck, one optimiser step at a time.

    loss = E |answer - target|² + lambda E[1(timestep > gamma T)] L(bottleneck)

The published recipe draws a timestep below gamma T with probability gamma and above it otherwise, and adds lambda L in
the second case; together that is a uniform timestep, whose regulariser weighs lambda (1 - gamma) on average. Here a
step with m noisy examples of N adds lambda (m / N) L: the same average at any gamma and batch size, a single example
included, and nothing where gamma is 1. A step has N = batch x accumulation x processes examples,
with timesteps spread evenly over the schedule (one in each N-th part of it), noise and probes drawn by example. All of
them are functions of the seed, the step and the place in the batch: a training that was stopped goes on with the same
numbers, and two processes see what one would see with twice the batch.

L is a ratio of means over everything (see `distortion.loss`): its sums are added over batches and processes before
the ratio is taken, and only then is anything propagated back.

The regulariser's differences are forward ones, from the bottleneck as the denoising pass itself computes it where that
is in float32. Its cost is then two encoder passes more with their backward passes, and one backward pass to x: half of
what central differences cost, for an error of about 1% whose mean is none.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from geodesic_cli.diffusion.tuning.features import Bottleneck
from geodesic_cli.diffusion.tuning.trainee import Trainee
from geodesic_cli.distortion.loss import Noise, Probe, Visit, gradient_scalar, linearise, ratio
from geodesic_cli.errors import ModelError
from geodesic_cli.settings import FinetuneSettings
from geodesic_cli.verbs.finetune.average import Average
from geodesic_cli.verbs.finetune.batch import Batch, Noising, noised
from geodesic_cli.verbs.finetune.checkpoints import require_shapes
from geodesic_cli.verbs.finetune.data import Data, ImageFolder, Scenes
from geodesic_cli.verbs.finetune.deck import generator
from geodesic_cli.verbs.finetune.optimiser import make_optimiser, remembered_of, restored
from geodesic_cli.verbs.finetune.processes import Processes
from geodesic_cli.verbs.finetune.rates import learning_rate
from geodesic_cli.verbs.finetune.reading import Reader
from geodesic_cli.verbs.finetune.tables import ImageTable

HISTORY = ("step", "denoising", "regulariser", "gradient_norm", "learning_rate")
"""Columns of the history. The regulariser is NaN where there was none in the step."""


def probe_noise(seed: int, step: int, places: list[int]) -> Noise:
    """Probe directions that belong to the examples, whatever batch they come in."""

    def noise(like: Tensor) -> Tensor:
        rows = [torch.randn(like.shape[1:], generator=generator(seed, "probe", step, k)) for k in places]
        return torch.stack(rows).to(like.device, like.dtype)

    return noise


def encoder(trainee: Trainee, batch: Batch) -> tuple[Bottleneck, Batch]:
    """The map that the regulariser looks at on a batch, and the noisy rows, which are its points."""
    rows = batch.only(batch.noisy)
    return trainee.bottleneck(rows.x, rows.timestep, rows.condition), rows


def probe(
    trainee: Trainee,
    batch: Batch,
    regulariser: str,
    seed: int,
    step: int,
    *,
    keep_graph: bool = False,
    differences: str = "central",
    visit: Visit | None = None,
) -> Probe | None:
    """Phase one of the regulariser on the noisy rows of a batch; None where there are none."""
    if not bool(batch.noisy.any()):
        return None
    f, rows = encoder(trainee, batch)
    noise = probe_noise(seed, step, list(rows.places))
    return linearise(
        f, rows.x, noise, regulariser=regulariser, keep_graph=keep_graph, differences=differences, visit=visit
    )


@dataclass(frozen=True)
class Report:
    """One step. The mean squared error, the regulariser (NaN where there was none), the gradient's norm, the rate."""

    step: int
    denoising: float
    regulariser: float
    gradient_norm: float
    learning_rate: float


@dataclass(frozen=True, eq=False)
class Training:
    """A training between two steps. The weights, the average and the optimiser are changed in place by `step`.

    Args:
        trainee: the model and its weights.
        data: what it is trained on.
        settings: of the run.
        processes: this one among all.
        average: of the weights.
        optimiser: AdamW over the weights.
        scaler: of the loss under fp16.
        about: digests of the data and of the weights as they came, for the checkpoints.
        reader: reads and encodes the data.
        history: one row of `HISTORY` for each step done.
    """

    trainee: Trainee
    data: Data
    settings: FinetuneSettings
    processes: Processes
    average: Average
    optimiser: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    about: dict[str, str]
    reader: Reader
    history: list[tuple[float, ...]] = field(default_factory=list)

    @classmethod
    def begin(cls, trainee: Trainee, data: Data, settings: FinetuneSettings, processes: Processes) -> "Training":
        """Before the first step."""
        s = settings
        weights = trainee.weights
        optimiser = make_optimiser(weights, s)
        scaler = torch.amp.GradScaler(trainee.model.device.type, enabled=s.mixed_precision == "fp16")
        average = Average.of(weights, s.ema_decay, s.ema_power)
        # Other data leave no checkpoints.
        known = data.digest if isinstance(data, Scenes | ImageFolder | ImageTable) else ""
        about = {"data": known, "model": trainee.model.fingerprint}
        reader = Reader(trainee, data, s.latents_cache)
        return cls(trainee, data, s, processes, average, optimiser, scaler, about, reader)

    @property
    def done(self) -> int:
        """Steps so far."""
        return len(self.history)

    @property
    def total(self) -> int:
        """Examples of one step, of all batches and processes."""
        s = self.settings
        return s.train_batch_size * s.gradient_accumulation_steps * self.processes.count

    def step(self) -> Report:
        """Take one step: all batches, one change of the weights.

        Raises:
            ModelError: the loss is not finite; the weights are those of the step before.
        """
        s, step = self.settings, self.done
        rate = learning_rate(s, step)
        batches = [self._batch(step, number) for number in range(s.gradient_accumulation_steps)]
        # The graph of phase one is kept where there is one batch only; of several it would fill the memory.
        kept = len(batches) == 1
        passes = [self._denoised(batch) if kept else None for batch in batches]
        probes = [self._probe(batch, step, one) for batch, one in zip(batches, passes, strict=True)]
        totals = torch.zeros(3, dtype=torch.float64)
        for one in probes:
            totals = totals if one is None else totals + one.totals.to(totals)
        if s.regulariser != "none":
            totals = self.processes.total(totals)
        for parameter in self.trainee.weights.values():
            parameter.grad = None
        error = torch.zeros(1, dtype=torch.float64)
        for batch, looked, one in zip(batches, passes, probes, strict=True):
            error += self._propagate(batch, looked or self._denoised(batch), one, totals)
        mean = float(self.processes.total(error))
        regulariser = ratio(totals) if totals[2] > 0 else math.nan
        if not (math.isfinite(mean) and (math.isfinite(regulariser) or totals[2] == 0)):
            raise ModelError(
                f"The loss is not finite (NaN or infinity) at step {step + 1}.",
                "The last checkpoint is kept; lower --learning-rate or --iso-lambda, or leave --mixed-precision out.",
            )
        norm = self._change(rate)
        report = Report(step + 1, mean, regulariser, norm, rate)
        self.average.update(self.trainee.weights, step + 1)
        self.history.append((report.step, mean, regulariser, norm, rate))
        return report

    def _batch(self, step: int, number: int) -> Batch:
        s, places = self.settings, self._places(number)
        last = number + 1 == s.gradient_accumulation_steps
        after, following = (step + 1, 0) if last else (step, number + 1)
        then = (after, self.total, tuple(self._places(following))) if after < s.max_train_steps else None
        z, captions = self.reader.batch(step, self.total, places, then)
        how = Noising(s.gamma, s.noise_offset)
        return noised(self.trainee, z, captions, s.seed, step, self.total, places, how)

    def _places(self, number: int) -> range:
        """Of a batch of this process among all examples of a step."""
        size = self.settings.train_batch_size
        first = (number * self.processes.count + self.processes.rank) * size
        return range(first, first + size)

    def _denoised(self, batch: Batch) -> tuple[Tensor, Visit | None]:
        """The sum of the squared errors, with graph, and the bottleneck at the noisy rows if it came with them."""
        s, trainee = self.settings, self.trainee
        precision = {"fp16": torch.float16, "bf16": torch.bfloat16}.get(s.mixed_precision)
        if s.regulariser == "none" or precision is not None or not trainee.can_be_watched or not batch.noisy.any():
            with torch.autocast(batch.x.device.type, precision, enabled=precision is not None):
                return self._weighed(batch, trainee.errors(*batch.rows)).sum(), None
        errors, visit = trainee.errors_and_visit(*batch.rows, batch.noisy.nonzero().flatten().to(batch.x.device))
        return self._weighed(batch, errors).sum(), visit

    def _weighed(self, batch: Batch, errors: Tensor) -> Tensor:
        """The errors of rows, with the weights of min-SNR where they are asked for."""
        if self.settings.snr_gamma is None:
            return errors
        return errors * self.trainee.snr_weights(batch.timestep, self.settings.snr_gamma).to(errors)

    def _probe(self, batch: Batch, step: int, denoised: tuple[Tensor, Visit | None] | None) -> Probe | None:
        s = self.settings
        if s.regulariser == "none":
            return None
        visit = denoised[1] if denoised else None
        kept = denoised is not None and s.iso_lambda > 0
        return probe(
            self.trainee, batch, s.regulariser, s.seed, step, keep_graph=kept, differences="forward", visit=visit
        )

    def _propagate(
        self, batch: Batch, denoised: tuple[Tensor, Visit | None], one: Probe | None, totals: Tensor
    ) -> Tensor:
        """Add a batch's part to the gradients of this process; returns its part of the denoising loss."""
        errors, visit = denoised
        loss = part = errors / self.total
        if one is not None and self.settings.iso_lambda > 0:
            f, _ = encoder(self.trainee, batch)
            # The share of noisy examples: a probe has one row each, so that the rows of all probes count them.
            weight = self.settings.iso_lambda * float(totals[2]) / self.total
            loss = part + weight * gradient_scalar(f, one, totals.to(one.totals), visit)
        self.scaler.scale(loss).backward()
        return part.detach().double().cpu()

    def _change(self, rate: float) -> float:
        """Sum the gradients over the processes, clip, and let the optimiser go one step; the norm before the clip."""
        for parameter in self.trainee.weights.values():
            if parameter.grad is not None:
                parameter.grad = self.processes.total(parameter.grad)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.scaler.unscale_(self.optimiser)
        norm = torch.nn.utils.clip_grad_norm_(list(self.trainee.weights.values()), self.settings.max_grad_norm)
        self.scaler.step(self.optimiser)
        self.scaler.update()
        return float(norm)

    # --- as tensors, so that it goes on bit for bit

    def pack(self) -> tuple[dict[str, Tensor], dict[str, str]]:
        """All that the next step needs, by name, and a little text."""
        tensors = {"history": torch.tensor(self.history, dtype=torch.float64).reshape(-1, len(HISTORY))}
        for name, weight in self.trainee.weights.items():
            tensors[f"weights.{name}"] = weight.detach()
            tensors[f"average.{name}"] = self.average.weights[name]
            for moment, value in remembered_of(self.optimiser.state.get(weight, {})).items():
                tensors[f"{moment}.{name}"] = value
        return tensors, {**self.about, "scaler": json.dumps(self.scaler.state_dict())}

    @torch.no_grad()
    def unpack(self, tensors: Mapping[str, Tensor], about: Mapping[str, str]) -> None:
        """Go on from what `pack` gave.

        Raises:
            InputError: it is of another network, or of an adapter of another rank.
        """
        require_shapes({key: tuple(tensor.shape) for key, tensor in tensors.items()}, self.trainee.weights)
        for name, weight in self.trainee.weights.items():
            weight.copy_(tensors[f"weights.{name}"])
            self.average.weights[name].copy_(tensors[f"average.{name}"])
            moments = {
                key.removesuffix(f".{name}"): value
                for key, value in tensors.items()
                if key.endswith(f".{name}") and key.count(".") == name.count(".") + 1
            }
            state = {
                moment: restored(moment, value, weight, self.settings.use_8bit_adam)
                for moment, value in moments.items()
                if moment not in ("weights", "average")
            }
            if state:
                self.optimiser.state[weight] = state
        if self.scaler.is_enabled():
            self.scaler.load_state_dict(json.loads(about["scaler"]))
        self.history[:] = [tuple(row) for row in tensors["history"].tolist()]
