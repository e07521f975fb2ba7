"""What the surrogate calls a geodesic is one, and what is no noise is not called so: a few of the study's mixtures."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from geodesic_cli.geometry import Status, solve_bvp

TOL = 0.03


@pytest.fixture(scope="module")
def study() -> ModuleType:
    file = Path(__file__).parents[3] / "examples" / "studies" / "solvers" / "certificates.py"
    spec = importlib.util.spec_from_file_location("certificates", file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("seed", [15, 23, 26, 27, 147, 198])
def test_where_the_score_turns_fast_no_certificate_is_false(study: ModuleType, seed: int):
    """Of 26 and 27 the points that the model knew least missed where it was wrong. In 147 it took the turn between the
    scores that it knew for noise of theirs; in 198 it drew the turn too smooth, close to where scores were known."""
    metric, guess = study.problem(seed)
    solution = solve_bvp(metric, guess, tol=TOL)
    assert not (solution.converged and study.true_residual(metric, solution) > 2 * TOL)
    assert solution.converged


@pytest.mark.parametrize("seed", [14, 35])
def test_a_score_that_turns_fast_is_not_taken_for_noise(study: ModuleType, seed: int):
    metric, guess = study.problem(seed)
    solution = solve_bvp(metric, guess, tol=TOL)
    assert solution.status is Status.CONVERGED
    assert study.true_residual(metric, solution) <= 2 * TOL
