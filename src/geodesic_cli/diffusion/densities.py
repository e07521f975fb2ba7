"""Which density a path is a geodesic of: combinations of the scores of one network under several prompts.

With s_c = grad log p_tau(x | c(u)), s_0 that without a prompt, s_n that under a negative prompt, g the guidance:

    conditional     s_c                    p(x|c)                         1 network evaluation for each point
    unconditional   s_0                    p(x)                           1
    guided          s_0 + g (s_c - s_0)    p(x|c)^g p(x)^(1-g)            2; 1 at g = 0 and g = 1
    negative        s_c + g (s_c - s_n)    p(x|c)^(1+g) / p(x|n)^g        2; 1 at g = 0
    paper           s_c - s_n              p(x|c) / p(x|n)                2

`guided` is classifier-free guidance (Ho & Salimans, 2022). `negative` leaves the conditional density as it is and
divides it by what the negative prompt describes; the usual rule that puts the negative prompt in place of no prompt is
this one at g - 1.

`paper` is the direction of the authors of density geodesics (Yu et al., CVPR 2025), as their released code computes it:

    d = [w0 (eps_0 - eps_c) + w1 (eps_n - eps_0)] / (w0 + w1),    w0 = w1 = 1:  d = (sigma / 2) (s_c - s_n).

The unconditional score cancels, and d is no score but sigma / 2 times one. Their solver balances alpha d against the
curvature, so that their alpha is ours times 2 / sigma: `alpha_of_paper` converts, and `rate_of_paper` their learning
rate. Their 0.002 at tau 0.6 of Stable Diffusion's schedule is 9.0e-4 here. Their time is drawn anew within +-100 of
1000 steps for every call; here that band is a `NoiseBank` of width 0.1, drawn once.

All branches of all noise levels go through the network in one batched call; a branch of weight 0 is not computed, and
two branches under the same prompt are one.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from geodesic_cli.diffusion.conditioning import Conditioning, Embedding
from geodesic_cli.diffusion.model import LatentDiffusion
from geodesic_cli.diffusion.noise_bank import Levels, NoiseBank
from geodesic_cli.diffusion.schedule import Schedule
from geodesic_cli.diffusion.score import NoisePredictor
from geodesic_cli.errors import InputError, ModelError

DENSITY_NAMES = ("conditional", "unconditional", "guided", "negative", "paper")
"""The names of the choices."""

DEFECTS = "two pictures laid over each other, double contours, ghostly remains, hard seams, smeared, little detail"
"""The negative prompt where none is given: what a bad morph looks like, in our own words."""

PAPER_ALPHA = 0.002
"""The authors' exponent on their direction d."""

PAPER_RATE = 0.1
"""The authors' learning rate on their direction d."""

NOTHING = ""
"""Stands for no prompt among the branches: the embedding that the network was trained with for none."""


def alpha_of_paper(tau: float, schedule: Schedule, alpha: float = PAPER_ALPHA) -> float:
    """The exponent for the density `paper` that does what the authors' alpha does on d: alpha sigma / 2."""
    return alpha * schedule.level(tau)[1] / 2


def rate_of_paper(tau: float, schedule: Schedule, rate: float = PAPER_RATE) -> float:
    """The learning rate on a score that makes the authors' steps on d: theirs times sigma / 2, as for alpha.

    A step is rate (P_v s + P_v g'' / (alpha |g'|²)); with both converted every step of a descent is the authors' own.
    """
    return rate * schedule.level(tau)[1] / 2


def branches(density: str, guidance: float = 1.0, negative_prompt: str | None = None) -> dict[str | None, float]:
    """The weights of the scores that a density's score is the sum of, by prompt; the key None is c(u). None is zero.

    Raises:
        InputError: an unknown density, or a negative prompt where the density has none.
    """
    if density not in DENSITY_NAMES:
        raise InputError(f"--density is one of {', '.join(DENSITY_NAMES)}; got {density!r}.")
    if negative_prompt is not None and density not in ("negative", "paper"):
        raise InputError(
            f"The density {density} has no negative prompt; got {negative_prompt!r}.",
            "Pass --density negative, or leave out --negative-prompt.",
        )
    negative = DEFECTS if negative_prompt is None else negative_prompt
    parts: dict[str, list[tuple[str | None, float]]] = {
        "conditional": [(None, 1.0)],
        "unconditional": [(NOTHING, 1.0)],
        "guided": [(NOTHING, 1 - guidance), (None, guidance)],
        "negative": [(negative, -guidance), (None, 1 + guidance)],
        "paper": [(negative, -1.0), (None, 1.0)],
    }
    return {prompt: weight for prompt, weight in parts[density] if weight != 0}


@dataclass(frozen=True, eq=False)
class CombinedScore:
    """A weighted sum of scores of one network at one noise level, or over a band; a `geometry.Score`.

    Args:
        predict: eps(z, timestep, condition).
        shape: (C, H, W) of the latents that x flattens.
        tau: noise level, a fraction of the schedule in (0, 1].
        conditioning: c(u).
        along: the weight of the score under c(u); 0 leaves it out.
        fixed: embeddings of one row that stay along the path, each with its weight.
        bank: noise levels to average over; None is tau alone.
    """

    predict: NoisePredictor
    shape: tuple[int, int, int]
    tau: float
    conditioning: Conditioning
    along: float
    fixed: tuple[tuple[float, Embedding], ...] = ()
    bank: NoiseBank | None = None

    def __post_init__(self) -> None:
        if self.predict.schedule.level(self.tau)[1] == 0:
            raise ModelError("The score is not defined on clean data (tau 0).", "Pass a --tau above 0, such as 0.4.")

    @property
    def evaluations(self) -> int:
        """Network evaluations for each point."""
        return self._branches * (1 if self.bank is None else self.bank.evaluations(self.tau))

    @property
    def _branches(self) -> int:
        return len(self.fixed) + (self.along != 0)

    def __call__(self, x: Tensor, u: Tensor) -> Tensor:
        """The score (n, d) at points x (n, d) and positions u (n,); dtype and device of x."""
        wide = x.to(torch.float32)
        conditions = [(weight, embedding.expand(len(x))) for weight, embedding in self.fixed]
        if self.along:
            conditions.append((self.along, self.conditioning(u)))
        # A noise level's lower neighbours are reached by each branch's own score: the branches go side by side.
        stacked = wide.repeat(len(conditions), 1)
        device, _ = self.predict.place
        together = Embedding.cat([embedding.to(device) for _, embedding in conditions])

        def scores(levels: Levels) -> list[Tensor]:
            return self._scores(levels, together)

        if self.bank is None:
            made = scores([(stacked, self.tau)])[0]
        else:
            made = self.bank.average(scores, stacked, self.tau, self.predict.schedule)
        parts = made.chunk(len(conditions))
        total = sum(weight * one for (weight, _), one in zip(conditions, parts, strict=True))
        assert isinstance(total, Tensor)
        return total.to(x.dtype)

    def _scores(self, levels: Levels, condition: Embedding) -> list[Tensor]:
        """-eps / sigma for all levels in one call of the predictor."""
        known = [self.predict.schedule.level(level) for _, level in levels]
        z = torch.cat([points for points, _ in levels]).reshape(-1, *self.shape)
        rows = len(condition)
        if len(levels) == 1:
            eps = self.predict(z, known[0][2], condition)
        else:
            times = torch.tensor([timestep for _, _, timestep in known]).repeat_interleave(rows)
            eps = self.predict(z, times, Embedding.cat([condition] * len(levels)))
        parts = eps.flatten(1).split(rows)
        return [-part / sigma for part, (_, sigma, _) in zip(parts, known, strict=True)]


def density_score(
    model: LatentDiffusion,
    shape: tuple[int, int, int],
    tau: float,
    conditioning: Conditioning,
    *,
    density: str = "conditional",
    guidance: float = 1.0,
    negative_prompt: str | None = None,
    noise_bank: NoiseBank | None = None,
) -> CombinedScore:
    """The score of a density by name; see the module's text for the formulas.

    Args:
        model: the model.
        shape: (C, H, W) of its latents.
        tau: the noise level.
        conditioning: c(u).
        density: one of `DENSITY_NAMES`.
        guidance: g of `guided` and `negative`; the others take no notice of it.
        negative_prompt: of `negative` and `paper`; None is `DEFECTS`, "" is no prompt.
        noise_bank: averages over a band of noise levels.

    Raises:
        InputError: an unknown density, or a negative prompt that it does not have.
        ModelError: tau is 0.
    """
    weights: Mapping[str | None, float] = branches(density, guidance, negative_prompt)
    fixed = tuple(
        # Nobody asked for the words of `DEFECTS`, and a small model may not know them all.
        (weight, model.prompts.null() if prompt == NOTHING else model.prompts.embed(prompt, remark=prompt != DEFECTS))
        for prompt, weight in weights.items()
        if prompt is not None
    )
    return CombinedScore(model.predict, shape, tau, conditioning, weights.get(None, 0.0), fixed, noise_bank)
