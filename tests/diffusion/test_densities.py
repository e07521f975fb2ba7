"""Each density's score is the gradient of the log density that its formula names; branches cost what they must."""

from types import SimpleNamespace

import pytest
import torch
from analytic import GaussianNetwork
from torch import Tensor

from geodesic_cli.diffusion import Conditioning, DiffusionScore, Embedding
from geodesic_cli.diffusion.densities import (
    DEFECTS,
    DENSITY_NAMES,
    alpha_of_paper,
    branches,
    density_score,
    rate_of_paper,
)
from geodesic_cli.diffusion.noise_bank import NoiseBank
from geodesic_cli.diffusion.score import NoisePredictor
from geodesic_cli.errors import InputError, ModelError
from geodesic_cli.geometry import Curve, DensityMetric, GradientFlow, Scaled, Step, solve_bvp

SHAPE, D, TAU = (2, 3, 4), 24, 0.6
MEANS = {"": 0.9, "blurry": -0.7, DEFECTS: -0.4}
"""What the text encoder makes of a prompt: the mean of the Gaussian data."""


def told(value: float) -> Embedding:
    return Embedding(torch.full((1, 2, 5), value))


class Prompts:
    def __init__(self) -> None:
        self.asked: list[str] = []

    def embed(self, prompt: str, *, remark: bool = True) -> Embedding:
        self.asked.append(prompt)
        return told(MEANS[prompt])

    def null(self) -> Embedding:
        return told(MEANS[""])


def gaussian(kind: str = "epsilon") -> SimpleNamespace:
    network = GaussianNetwork(kind)
    return SimpleNamespace(
        network=network, predict=NoisePredictor(network, network.schedule, kind), prompts=Prompts(), name="gaussian"
    )


CONDITIONING = Conditioning(told(-0.3), told(0.5))


def points(n: int = 6) -> tuple[Tensor, Tensor]:
    x = torch.randn(n, D, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    return x, torch.linspace(0, 1, n, dtype=torch.float64)


def truth(one: SimpleNamespace, x: Tensor, u: Tensor, prompt: str | None, tau: float = TAU) -> Tensor:
    mean = -0.3 + 0.8 * u if prompt is None else torch.full_like(u, MEANS[prompt])
    return one.network.score(x, mean, tau)


@pytest.mark.parametrize("kind", ["epsilon", "v_prediction", "sample"])
@pytest.mark.parametrize(
    ("density", "guidance", "negative", "weights"),
    [
        ("conditional", 1.0, None, {None: 1}),
        ("unconditional", 1.0, None, {"": 1}),
        ("guided", 2.5, None, {"": -1.5, None: 2.5}),
        ("guided", 1.0, None, {None: 1}),
        ("guided", 0.0, None, {"": 1}),
        ("negative", 0.8, "blurry", {"blurry": -0.8, None: 1.8}),
        ("negative", 1.0, None, {DEFECTS: -1, None: 2}),
        ("negative", 0.0, "blurry", {None: 1}),
        ("paper", 1.0, None, {DEFECTS: -1, None: 1}),
        ("paper", 3.0, "", {"": -1, None: 1}),
    ],
)
def test_a_density_is_its_formula_and_pays_for_no_branch_of_weight_zero(kind, density, guidance, negative, weights):
    one = gaussian(kind)
    x, u = points()
    score = density_score(one, SHAPE, TAU, CONDITIONING, density=density, guidance=guidance, negative_prompt=negative)
    closed = sum(weight * truth(one, x, u, prompt) for prompt, weight in weights.items())
    torch.testing.assert_close(score(x, u), closed, rtol=1e-4, atol=2e-4)
    assert one.network.calls == 1, "all branches go in one batched call"
    assert one.network.seen == len(weights) * len(x) == score.evaluations * len(x)
    assert score(x, u).dtype == torch.float64 and score(x.float(), u.float()).dtype == torch.float32


def test_the_default_is_the_plain_conditional_score_to_the_bit() -> None:
    one = gaussian()
    x, u = points()
    plain = DiffusionScore(one.predict, SHAPE, TAU, CONDITIONING)
    assert torch.equal(density_score(one, SHAPE, TAU, CONDITIONING)(x, u), plain(x, u))
    assert one.prompts.asked == [], "no text is read that is not needed"


def test_papers_direction_is_half_sigma_times_ours_and_its_exponent_converts_so() -> None:
    one = gaussian()
    x, u = points()
    sigma = one.predict.schedule.level(TAU)[1]
    ours = density_score(one, SHAPE, TAU, CONDITIONING, density="paper")(x, u)
    timestep = one.predict.schedule.level(TAU)[2]
    z = x.float().reshape(-1, *SHAPE)
    eps = {
        name: one.predict(z, timestep, condition.expand(len(x)) if len(condition) == 1 else condition).flatten(1)
        for name, condition in (("c", CONDITIONING(u)), ("null", told(0.9)), ("neg", told(MEANS[DEFECTS])))
    }
    theirs = (1.0 * (eps["null"] - eps["c"]) + 1.0 * (eps["neg"] - eps["null"])) / 2
    torch.testing.assert_close(theirs.double(), sigma / 2 * ours, rtol=1e-5, atol=1e-5)
    alpha = alpha_of_paper(TAU, one.predict.schedule)
    torch.testing.assert_close(alpha * ours, 0.002 * theirs.double(), rtol=1e-5, atol=1e-8)
    assert alpha == pytest.approx(9.0e-4, rel=0.02)


def test_the_published_solver_takes_the_authors_steps_with_the_converted_rate_and_exponent() -> None:
    one = gaussian()
    sigma = one.predict.schedule.level(TAU)[1]
    ours = density_score(one, SHAPE, TAU, CONDITIONING, density="paper")
    ends = points()[0][:2]
    guess = Curve.straight(ends[0], ends[1], 9)
    theirs = DensityMetric(Scaled(ours, sigma / 2), 0.002)
    converted = DensityMetric(ours, alpha_of_paper(TAU, one.predict.schedule))
    rate = rate_of_paper(TAU, one.predict.schedule)
    assert rate == pytest.approx(0.1 * sigma / 2)

    def stepped(metric: DensityMetric, lr: float) -> torch.Tensor:
        steps: list[Step] = []  # the last of them, because a path that came out longer is given up for the guess
        solver = GradientFlow(lr=lr, iterations=10, levels=3)
        solve_bvp(metric, guess, solver=solver, tol=1e-9, max_steps=31, on_step=steps.append)
        return steps[-1].curve.x

    paths = [stepped(metric, lr) for metric, lr in ((theirs, 0.1), (converted, rate), (converted, 0.1))]
    assert float((paths[1] - paths[0]).abs().max()) < 1e-6
    assert float((paths[2] - paths[0]).abs().max()) > 1e-3


def test_a_noise_bank_averages_the_combination_and_costs_two_calls() -> None:
    # For Gaussian data a level above gives f^2 (a m - x) / v_high, and a level below the score itself.
    one = gaussian()
    x, u = points()
    bank = NoiseBank((0.55, 0.6, 0.68), torch.randn(3, D, generator=torch.Generator().manual_seed(0)))
    score = density_score(one, SHAPE, TAU, CONDITIONING, density="guided", guidance=2.0, noise_bank=bank)
    a, high = one.predict.schedule.level(TAU)[0], one.predict.schedule.level(0.68)[0]

    def averaged(prompt: str | None) -> Tensor:
        above = truth(one, high / a * x, u, prompt, 0.68) * (high / a)
        return (2 * truth(one, x, u, prompt) + above) / 3

    torch.testing.assert_close(score(x, u), 2 * averaged(None) - averaged(""), rtol=1e-3, atol=5e-4)
    assert one.network.calls == 2
    assert one.network.seen == score.evaluations * len(x) == 2 * 4 * len(x)
    assert torch.equal(score(x, u), score(x, u))
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    torch.testing.assert_close(score(x[order], u[order]), score(x, u)[order], rtol=1e-6, atol=1e-6)


def test_a_wrong_name_a_needless_negative_prompt_and_clean_data_are_refused() -> None:
    with pytest.raises(InputError, match="--density is one of"):
        branches("conditonal")
    for density in ("conditional", "unconditional", "guided"):
        with pytest.raises(InputError, match="no negative prompt"):
            branches(density, negative_prompt="blurry")
    with pytest.raises(ModelError, match="tau"):
        density_score(gaussian(), SHAPE, 0.0, CONDITIONING)
    assert all(branches(density, 0.5) for density in DENSITY_NAMES)


def test_on_the_embedded_model_every_density_is_finite_and_another_one(model) -> None:
    shape = model.latent_shape(64, 64)
    conditioning = model.prompts.along(("a red rubber cube", "a blue metal sphere"))
    generator = torch.Generator().manual_seed(3)
    x, u = torch.randn(3, 256, dtype=torch.float64, generator=generator), torch.tensor([0.0, 0.4, 1.0])
    scores = {
        density: density_score(model, shape, 0.4, conditioning, density=density, guidance=2.0)(x, u)
        for density in DENSITY_NAMES
    }
    bank = NoiseBank.draw(0.4, 0.1, 4, 256, torch.Generator().manual_seed(0))
    scores["bank"] = density_score(model, shape, 0.4, conditioning, noise_bank=bank)(x, u)
    assert all(bool(score.isfinite().all()) for score in scores.values())
    values = list(scores.values())
    assert all(not torch.allclose(a, b) for k, a in enumerate(values) for b in values[:k])
    torch.testing.assert_close(
        scores["guided"], 2 * scores["conditional"] - scores["unconditional"], rtol=1e-3, atol=1e-3
    )
