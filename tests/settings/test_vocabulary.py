"""What paths are called: a geodesic only where one is."""

import math

import pytest

from geodesic_cli.settings.methods import METHODS, SOURCES
from geodesic_cli.settings.vocabulary import PATH_NAMES, fared, is_geodesic, listed, path_kind, path_name


def test_every_method_has_one_name():
    assert sorted(PATH_NAMES) == sorted(METHODS) == sorted(SOURCES)
    assert len(set(PATH_NAMES.values())) == len(PATH_NAMES)
    assert [path_kind(method) for method in ("lerp", "slerp", "geodesic", "global")] == [
        "straight line",
        "great circle",
        "local path",
        "global path",
    ]


@pytest.mark.parametrize("residual", [0.0301, 0.56, 1.0, math.inf, math.nan])
def test_what_does_not_solve_the_equation_is_not_called_a_geodesic(residual):
    for method in ("geodesic", "global", "published"):
        name = path_name(method, residual, 0.03)
        assert "geodesic" not in name and "short path" in name and "not converged" in name
        assert not is_geodesic(residual, 0.03)


def test_the_residual_is_told_to_two_digits_or_left_out():
    assert path_name("global", 0.5619, 0.03) == "global short path, residual 0.56, not converged"
    assert path_name("global", 0.5619, 0.03, number=False) == "global short path, not converged"


def test_what_solves_the_equation_has_its_name_and_a_failed_solver_is_told():
    assert path_name("global", 0.03, 0.03) == "global geodesic"
    assert path_name("geodesic", 0.01, 0.03, converged=False) == "local geodesic, not converged"
    assert path_name("slerp", 1.0, 0.03) == "great circle"  # nothing was solved, and nothing is claimed


def test_a_path_that_lost_says_so():
    assert fared(chosen=True, longer=False) == " (in frames/)"
    assert fared(chosen=True, longer=True) == " (in frames/, longer)"
    assert fared(chosen=False, longer=True) == " (not chosen, longer)"
    assert fared(chosen=False, longer=False) == " (not chosen)"


def test_lists_read_as_sentences_do():
    assert [listed(["1"]), listed(["1", "2"]), listed(["1", "2", "3"])] == ["1", "1 and 2", "1, 2 and 3"]
