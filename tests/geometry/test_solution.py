import pytest

from geodesic_cli.geometry import Status

ADVICE = ("lower the bend or alpha", "llow more steps", "raise the tolerance", "more nodes", "a higher precision")


@pytest.mark.parametrize("status", Status)
def test_every_status_is_a_sentence(status: Status):
    assert status.value[0].isupper()
    assert status.value.endswith(".")
    assert " " in status.value


@pytest.mark.parametrize("status", [status for status in Status if status is not Status.CONVERGED])
def test_every_failure_says_what_to_do(status: Status):
    assert any(advice in status.value for advice in ADVICE)
