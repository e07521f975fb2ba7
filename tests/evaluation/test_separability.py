"""Linear separability: 1 where a hyperplane tells all, guessing where it tells nothing."""

import math

import pytest
import torch

from geodesic_cli.errors import InputError
from geodesic_cli.evaluation import hyperplane, linear_separability
from geodesic_cli.evaluation.separability import conditional_entropy
from helpers import normal


def test_a_hyperplane_that_tells_all_gives_one() -> None:
    x = normal(200, 4)
    x[:, 0] += 10 * x[:, 0].sign()
    found = linear_separability(x, {"side": (x[:, 0] > 0).long()}, cost=10)
    assert found.value == pytest.approx(1)
    assert found.accuracies == {"side": 1.0}


def test_labels_that_have_nothing_to_do_with_the_latents_give_guessing_even_in_high_dimension() -> None:
    # On 80 points in 300 dimensions a machine separates any labels that it was fitted to; held-out ones tell the truth.
    labels = (torch.arange(80) % 2).long()
    found = linear_separability(normal(80, 300), {"coin": labels})
    assert found.guessing == pytest.approx(2)
    assert found.value > 1.85


def test_a_label_that_no_hyperplane_tells_is_not_separable() -> None:
    x = normal(400, 2)
    found = linear_separability(x, {"quadrant": (x[:, 0] * x[:, 1] > 0).long()})
    assert found.value > 1.9


def test_attributes_multiply_and_may_have_more_than_two_labels() -> None:
    x = normal(300, 3)
    kind = x.argmax(1)
    found = linear_separability(x, {"largest": kind, "sign": (x[:, 0] > 0).long()}, cost=10)
    assert found.value == pytest.approx(math.exp(sum(found.entropies.values())))
    assert found.value < 0.3 * found.guessing
    assert found == linear_separability(x, {"largest": kind, "sign": (x[:, 0] > 0).long()}, cost=10)


def test_variants_of_one_image_stay_in_one_fold() -> None:
    # Every point is there twice, with a random label that its double shares: only a leak between folds could tell it.
    x = normal(40, 200).repeat(2, 1)
    labels = (torch.arange(40) % 2).repeat(2)
    apart = linear_separability(x, {"coin": labels}, groups=torch.arange(40).repeat(2))
    leaking = linear_separability(x, {"coin": labels})
    assert apart.value > 1.8
    assert leaking.value < apart.value - 0.2


def test_the_hyperplane_has_the_direction_in_which_two_clouds_lie_apart() -> None:
    x, labels = normal(400, 10), (torch.arange(400) % 2)
    x[:, 2] += 4.0 * labels
    found = hyperplane(x, labels)
    assert float(found.norm()) == pytest.approx(1)
    assert float(found[2]) > 0.97
    with pytest.raises(InputError, match="the same"):
        hyperplane(x, torch.zeros(400))


def test_conditional_entropy_of_known_tables() -> None:
    y = torch.tensor([0, 0, 1, 1])
    assert conditional_entropy(y, y) == 0
    assert conditional_entropy(y, torch.zeros(4)) == pytest.approx(math.log(2))
    assert conditional_entropy(y, torch.tensor([0, 0, 0, 1])) == pytest.approx(
        0.75 * (-(2 / 3) * math.log(2 / 3) - (1 / 3) * math.log(1 / 3))
    )


def test_what_cannot_be_separated_is_refused() -> None:
    with pytest.raises(InputError, match="the same"):
        linear_separability(normal(20, 2), {"one": torch.zeros(20)})
    with pytest.raises(InputError, match="5 examples"):
        linear_separability(normal(20, 2), {"rare": (torch.arange(20) < 2).long()})
    with pytest.raises(InputError, match="one label"):
        linear_separability(normal(20, 2), {"short": torch.zeros(3)})
    with pytest.raises(InputError, match="at least one attribute"):
        linear_separability(normal(20, 2), {})
