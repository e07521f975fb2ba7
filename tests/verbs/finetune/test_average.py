import pytest
import torch

from geodesic_cli.verbs.finetune.average import Average


def weights(*values: float) -> dict[str, torch.Tensor]:
    return {"a": torch.tensor(values, dtype=torch.float64)}


def test_the_average_is_the_recursion_of_its_definition() -> None:
    average = Average.of(weights(5.0), decay=0.9, power=0.75)
    expected = 5.0
    for step, value in enumerate((1.0, 4.0, -2.0, 8.0, 3.0), 1):
        average.update(weights(value), step)
        kept = min(0.9, 1 - step**-0.75)
        expected = kept * expected + (1 - kept) * value
    assert average.weights["a"].item() == pytest.approx(expected, rel=1e-14)


def test_the_first_step_forgets_the_start_and_no_step_keeps_more_than_the_decay() -> None:
    average = Average.of(weights(5.0), decay=0.99, power=0.75)
    assert average.kept(1) == 0
    assert [average.kept(k) for k in (2, 10, 100)] == sorted(average.kept(k) for k in (2, 10, 100))
    assert average.kept(10**9) == 0.99


def test_without_decay_the_average_is_the_last_weights() -> None:
    average = Average.of(weights(5.0), decay=0.0, power=0.75)
    for step in (1, 2, 3):
        average.update(weights(float(step)), step)
    assert average.weights["a"].item() == 3.0


def test_an_average_takes_the_place_of_the_weights_for_a_while_and_gives_it_back_to_the_bit() -> None:
    own = weights(0.1, 0.2)
    average = Average.of(weights(7.0, 8.0), decay=0.9, power=0.75)
    with average.in_place_of(own):
        assert own["a"].tolist() == [7.0, 8.0]
    assert torch.equal(own["a"], weights(0.1, 0.2)["a"])
    assert torch.equal(average.weights["a"], weights(7.0, 8.0)["a"])


def test_an_average_does_not_share_memory_with_the_weights() -> None:
    own = weights(1.0)
    average = Average.of(own, decay=0.9, power=0.75)
    own["a"].add_(1)
    assert average.weights["a"].item() == 1.0
