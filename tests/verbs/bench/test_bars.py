"""What the study of solvers says of `geodesic bench solver`, in a form that takes seconds."""

import pytest

from geodesic_cli.settings import BenchSettings
from geodesic_cli.verbs.bench.race import run as verb_run
from helpers import into_folder

run = into_folder(verb_run)

TOL = 0.03


@pytest.fixture(scope="module")
def rows():
    return run(BenchSettings(problems=("closed",), solvers=("surrogate",), tol=TOL)).rows


def test_the_default_solver_is_within_a_hundredth_of_the_shortest_length_after_22_evaluations(rows) -> None:
    assert len(rows) == 6
    assert max(row.within_1 for row in rows) <= 22
    assert max(row.evaluations for row in rows) <= 45
    assert max(abs(row.excess) for row in rows) < 1e-5


def test_what_is_called_converged_has_a_true_residual_below_twice_the_tolerance(rows) -> None:
    assert all(row.status == "CONVERGED" for row in rows)
    assert max(row.true_residual for row in rows) <= 2 * TOL


def test_the_published_solver_takes_more_and_ends_further_away(rows) -> None:
    settings = BenchSettings(problems=("closed",), solvers=("gradient-flow",), tol=TOL)
    ours = {row.problem: row for row in rows}
    for theirs in run(settings).rows:
        mine = ours[theirs.problem]
        assert theirs.excess > 10 * abs(mine.excess), theirs.problem
        assert theirs.true_residual > mine.true_residual, theirs.problem
