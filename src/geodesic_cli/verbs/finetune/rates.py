"""The learning rate over the steps, by the names that diffusers has for its schedules.

All of them begin with a warm-up from zero, where one is asked for. What follows is a share of the rate, with g the part
of the training that has gone by since the warm-up and s the step:

    constant, constant_with_warmup    1
    linear                            1 - g
    cosine                            (1 + cos pi g) / 2
    cosine_with_restarts              (1 + cos pi (c g mod 1)) / 2, c cycles
    polynomial                        (1 - g)^power, down to 1e-7 of a rate that is larger
    piecewise_constant                the factors of --lr-step-rules
"""

import math

from geodesic_cli.settings import FinetuneSettings

LAST_RATE = 1e-7
"""The rate at which a polynomial ends."""


def learning_rate(settings: FinetuneSettings, step: int) -> float:
    """The rate of step 0, 1, ..."""
    s = settings
    warm = min(1.0, (step + 1) / s.lr_warmup_steps) if s.lr_warmup_steps else 1.0
    gone = max(0, step - s.lr_warmup_steps) / max(1, s.max_train_steps - s.lr_warmup_steps)
    if s.lr_scheduler == "piecewise_constant":
        share = next((factor for until, factor in s.step_rules if until is None or step < until), 1.0)
    elif s.lr_scheduler == "polynomial":
        least = min(1.0, LAST_RATE / s.learning_rate)
        share = least + (1 - least) * max(0.0, 1 - gone) ** s.lr_power
    elif s.lr_scheduler == "cosine_with_restarts":
        share = 0.0 if gone >= 1 else 0.5 * (1 + math.cos(math.pi * (s.lr_num_cycles * gone % 1.0)))
    else:
        share = {
            "linear": 1 - gone,
            "cosine": 0.5 * (1 + math.cos(math.pi * gone)),
        }.get(s.lr_scheduler, 1.0)
    return s.learning_rate * warm * share
