"""The learning rate against the schedules of diffusers, step by step."""

import pytest
import torch
from diffusers.optimization import get_scheduler

from geodesic_cli.errors import InputError
from geodesic_cli.settings import FinetuneSettings
from geodesic_cli.settings.finetune import LR_SCHEDULERS
from geodesic_cli.verbs.finetune.rates import learning_rate

STEPS, RATE = 40, 2e-3


def rates(name: str, warm: int = 0, **options: object) -> list[float]:
    settings = FinetuneSettings(
        learning_rate=RATE,
        lr_scheduler=name,
        lr_warmup_steps=warm,
        max_train_steps=STEPS,
        **options,  # type: ignore[arg-type]
    )
    return [learning_rate(settings, step) for step in range(STEPS)]


def theirs(name: str, **options: object) -> list[float]:
    optimiser = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=RATE)
    schedule = get_scheduler(name, optimiser, num_warmup_steps=0, num_training_steps=STEPS, **options)
    return [RATE * schedule.lr_lambdas[0](step) for step in range(STEPS)]


@pytest.mark.parametrize(
    ("name", "ours", "of_diffusers"),
    [
        *((name, {}, {}) for name in LR_SCHEDULERS if name != "piecewise_constant"),
        ("cosine_with_restarts", {"lr_num_cycles": 3}, {"num_cycles": 3}),
        ("polynomial", {"lr_power": 2.0}, {"power": 2.0}),
        ("piecewise_constant", {"lr_step_rules": "1:10,0.1:20,0.01"}, {"step_rules": "1:10,0.1:20,0.01"}),
    ],
)
def test_each_schedule_is_that_of_diffusers(
    name: str, ours: dict[str, object], of_diffusers: dict[str, object]
) -> None:
    assert rates(name, **ours) == pytest.approx(theirs(name, **of_diffusers), rel=1e-6, abs=1e-12)


@pytest.mark.parametrize("name", ["constant", "constant_with_warmup", "linear", "cosine", "polynomial"])
def test_a_warm_up_comes_from_zero_and_never_stands_still(name: str) -> None:
    first = rates(name, warm=4)
    assert first[:4] == pytest.approx([RATE * k / 4 for k in (1, 2, 3, 4)])
    assert first[4] == pytest.approx(RATE)
    if name in ("linear", "cosine"):
        assert first[22] == pytest.approx(RATE / 2)


@pytest.mark.parametrize("rules", ["", "a", "0.1:5", "1,0.1:5,0.2", "-1:5,1", "1:x,2", "1:10,0.1:20"])
def test_rules_that_are_none_are_one_sentence(rules: str) -> None:
    with pytest.raises(InputError, match="--lr-step-rules takes factors"):
        FinetuneSettings(lr_scheduler="piecewise_constant", lr_step_rules=rules)


def test_rules_and_their_schedule_belong_together() -> None:
    for options in ({"lr_scheduler": "piecewise_constant"}, {"lr_step_rules": "1:10,0.1"}):
        with pytest.raises(InputError, match="belong together"):
            FinetuneSettings(**options)  # type: ignore[arg-type]
