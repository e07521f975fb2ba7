"""Linear separability: 1 where a hyperplane tells all, guessing where it tells nothing."""

import math
import sys

import pytest
import torch

from geodesic_cli.errors import InputError
from geodesic_cli.evaluation import hyperplane, linear_separability
from geodesic_cli.evaluation.separability import conditional_entropy, held_out_folds, support_vectors
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


@pytest.mark.parametrize(("n", "d", "cost"), [(120, 5, 1.0), (40, 300, 1.0), (200, 12, 20.0), (60, 60, 0.01)])
def test_the_machine_is_that_of_scikit_learn(n: int, d: int, cost: float) -> None:
    svm = pytest.importorskip("sklearn.svm")
    x = normal(n, d)
    positive = x[:, 0] + 0.5 * normal(n, seed=1) > 0.3
    theirs = svm.LinearSVC(C=cost, dual=True, tol=1e-10, max_iter=1_000_000, random_state=0)
    theirs.fit(x.numpy(), positive.numpy())
    w, b = support_vectors(x, positive, cost)
    torch.testing.assert_close(w, torch.from_numpy(theirs.coef_[0]), rtol=1e-5, atol=1e-6)
    assert b == pytest.approx(float(theirs.intercept_[0]), rel=1e-5, abs=1e-6)


def test_separability_agrees_with_cross_validation_by_scikit_learn() -> None:
    svm, choice = pytest.importorskip("sklearn.svm"), pytest.importorskip("sklearn.model_selection")
    x = normal(150, 20)
    labels = (x[:, :3] + 0.4 * normal(150, 3, seed=1)).argmax(1)  # three kinds: one machine against the rest each
    found = linear_separability(x, {"kind": labels}, seed=3)
    machine = svm.LinearSVC(tol=1e-8, max_iter=100_000, random_state=0)
    cut = choice.PredefinedSplit(held_out_folds(labels, 5, 3).numpy())
    guess = torch.from_numpy(choice.cross_val_predict(machine, (x / 20**0.5).numpy(), labels.numpy(), cv=cut))
    assert found.accuracies["kind"] == pytest.approx(float((guess == labels).double().mean()))
    assert found.entropies["kind"] == pytest.approx(conditional_entropy(labels, guess))


def test_folds_have_equal_shares_of_every_label_and_groups_stay_together() -> None:
    labels = torch.tensor([0] * 31 + [1] * 14)
    alone = held_out_folds(labels, 5, 0)
    for kind, share in ((0, 31 / 5), (1, 14 / 5)):
        counts = alone[labels == kind].bincount(minlength=5)
        assert int(counts.min()) >= int(share) and int(counts.max()) <= int(share) + 1
    groups = torch.arange(45) // 3
    grouped = held_out_folds(labels, 5, 0, groups)
    assert all(len(grouped[groups == group].unique()) == 1 for group in groups.unique())
    assert not torch.equal(alone, held_out_folds(labels, 5, 1))


def test_no_extra_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn", None)  # as where it is not installed
    x = normal(50, 4)
    assert linear_separability(x, {"side": (x[:, 0] > 0).long()}).value < 1.7
    assert hyperplane(x, (x[:, 0] > 0).long()).shape == (4,)
