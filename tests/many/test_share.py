"""Which rows a process does: every row once, whatever launches it."""

import pytest

from geodesic_cli.errors import InputError
from geodesic_cli.many.share import my_share


def test_a_part_overrides_the_environment_and_alone_all_is_done() -> None:
    assert my_share("2/3", {"RANK": "0", "WORLD_SIZE": "8"}) == (1, 3)
    assert my_share(None, {}) == (0, 1)


def test_torchrun_accelerate_and_slurm_arrays_are_understood() -> None:
    assert my_share(None, {"RANK": "3", "WORLD_SIZE": "8"}) == (3, 8)
    names = {"SLURM_ARRAY_TASK_MIN": "10", "SLURM_ARRAY_TASK_STEP": "5", "SLURM_ARRAY_TASK_COUNT": "4"}
    names = names | {"SLURM_ARRAY_TASK_ID": "20"}
    assert my_share(None, names) == (2, 4)


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_all_rows_are_done_once_by_any_number_of_processes(count: int) -> None:
    rows = list(range(10))
    shares = [my_share(f"{k}/{count}", {}) for k in range(1, count + 1)]
    assert sorted(row for number, of in shares for row in rows[number::of]) == rows


@pytest.mark.parametrize("part", ["0/2", "3/2", "a/b", "1"])
def test_a_part_that_is_none_is_refused(part: str) -> None:
    with pytest.raises(InputError, match="K/N"):
        my_share(part, {})


def test_variables_that_make_no_sense_are_refused() -> None:
    with pytest.raises(InputError, match="process 4 of 4"):
        my_share(None, {"RANK": "4", "WORLD_SIZE": "4"})
    with pytest.raises(InputError, match="no numbers"):
        my_share(None, {"RANK": "x", "WORLD_SIZE": "4"})
