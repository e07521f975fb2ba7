"""The race: what the judge counts, what it does not, and that it cannot be fooled."""

import json
import math
from dataclasses import replace

import pytest
import torch

from geodesic_cli.errors import GeometryError, InputError
from geodesic_cli.geometry import Curve, Relaxation
from geodesic_cli.geometry.zoo import problems as zoo
from geodesic_cli.settings import PROBLEMS, SOLVERS, BenchSettings
from geodesic_cli.verbs.bench import contests
from geodesic_cli.verbs.bench import race as bench
from geodesic_cli.verbs.bench.race import Contest, Ending, came_to_stay, path_solver, race
from geodesic_cli.verbs.bench.race import run as verb_run
from helpers import Recorder, into_folder

run = into_folder(verb_run)

RELAX = path_solver(Relaxation())


def contest(case: zoo.Case) -> Contest:
    return Contest(case.name, case.metric, case.truth, case.straight(17), case.excess)


@pytest.fixture
def one_problem(monkeypatch):
    """The zoo reduced to one animal, so that a whole run takes a second."""
    monkeypatch.setattr(bench, "contests_of", lambda group, settings: iter([contest(zoo.exponential())]))
    monkeypatch.setattr(bench, "RATES", (0.1, 1.0))


def test_to_come_within_a_bound_counts_only_if_one_stays_there():
    assert came_to_stay([(3, 0.5), (6, 0.005), (9, 0.004)], 0.01) == 6
    assert came_to_stay([(3, 0.005), (6, 0.5), (9, 0.004)], 0.01) == 9
    assert came_to_stay([(3, 0.005), (6, 0.5)], 0.01) is None
    assert came_to_stay([(3, math.nan)], 0.01) is None
    assert came_to_stay([(3, -0.2)], 0.01) == 3, "a path shorter than the reference is a better one"


def test_a_race_counts_the_points_that_the_solver_asked_for_and_no_others():
    asked = []
    case = zoo.half_space()

    def counting(x, u):
        asked.append(x.shape[0])
        return case.metric.score(x, u)

    watched = replace(case.metric, score=counting)
    row = race(Contest(case.name, watched, case.truth, case.straight(17), case.excess), "relaxation", RELAX, 0.02)
    assert row.evaluations == sum(asked)
    assert row.within_1 < row.within_01 < row.evaluations
    assert row.status == "CONVERGED"
    assert abs(row.excess) < 1e-3
    assert row.true_residual < 0.04
    assert 0 < row.overhead < row.seconds


def test_a_solver_that_only_claims_to_have_converged_is_found_out():
    row = race(
        contest(zoo.half_space()), "liar", lambda metric, guess, tol, watch: Ending(guess, 0.0, "CONVERGED"), 0.02
    )
    assert row.residual == 0
    assert row.true_residual > 0.9
    assert row.excess == pytest.approx(0.457, abs=0.01)
    assert row.within_1 is None
    assert row.evaluations == 0


def test_noise_is_the_solvers_business_and_not_the_judges():
    case = zoo.arc(64)
    rows = [
        race(contest(c), "straight", lambda metric, guess, tol, watch: Ending(guess, 1.0, "STALLED"), 0.02)
        for c in (case, zoo.noisy(case, 1.0))
    ]
    assert rows[0].true_residual == rows[1].true_residual
    assert rows[0].excess == rows[1].excess


def test_a_solver_that_refuses_the_problem_gets_a_row_that_says_so():
    def refuse(metric, guess, tol, watch):
        raise GeometryError("No.", "Never.")

    row = race(contest(zoo.half_space()), "refusing", refuse, 0.02)
    assert (row.status, row.note, row.evaluations) == ("FAILED", "No.", 0)


def test_the_published_solver_is_seen_to_stop_early():
    row = race(contest(zoo.exponential()), "gradient-flow", bench.path_solver(bench.GradientFlow()), 0.02)
    assert row.evaluations == 32
    assert row.within_1 is None
    assert 0.02 < row.excess < 0.06
    assert row.status == "MAX_STEPS"


def test_scipy_finds_the_half_circle_at_many_more_evaluations():
    case = zoo.half_space()
    row = race(contest(case), "scipy", bench.scipy_solver, 1e-3)
    assert row.status == "CONVERGED"
    assert abs(row.excess) < 1e-5
    assert row.evaluations > 300
    curve = bench.scipy_solver(case.metric, case.straight(17), 1e-3, lambda step: None).curve
    assert torch.equal(curve.x[[0, -1]], torch.stack([case.a, case.b]))


def test_scipy_sits_out_what_it_is_not_made_for():
    assert bench._row(contest(zoo.arc(64)), "scipy", 0.02) is None
    assert bench._row(contest(zoo.von_mises_fisher()), "scipy", 0.02) is None


def test_a_run_has_a_row_for_every_solver_and_says_how_far_it_is(one_problem):
    recorder = Recorder()
    result = run(BenchSettings(problems=("closed",)), recorder)
    assert [row.solver for row in result.rows] == list(SOLVERS)
    assert recorder.stages == [("Racing: closed", len(SOLVERS))]
    assert recorder.done == len(SOLVERS) and not recorder.warnings
    assert result.folder is None
    by_name = {row.solver: row for row in result.rows}
    assert by_name["surrogate"].status == "CONVERGED"
    assert by_name["surrogate"].evaluations < by_name["relaxation"].evaluations
    assert by_name["gradient-flow-tuned"].excess <= by_name["gradient-flow"].excess + 1e-12
    assert by_name["gradient-flow-tuned"].note.startswith("lr ")


def test_in_many_dimensions_it_is_tuned_in_few_and_raced_in_many(monkeypatch):
    monkeypatch.setattr(bench, "RATES", (1.0,))
    small = zoo.latent_arc(0.002, 1024)
    monkeypatch.setattr(zoo, "cases", lambda group, seed: iter([replace(small, log_length=0.0)]))
    (many,) = contests.contests_of("high", BenchSettings())
    assert many.rehearsal is not None
    assert many.rehearsal.guess.x.shape == (17, 66)
    assert many.excess(many.guess) == pytest.approx(many.rehearsal.excess(many.rehearsal.guess), rel=1e-3)
    row = bench._row(many, "gradient-flow-tuned", 0.02)
    assert row is not None
    assert row.dimension == 1024
    assert row.note in ("lr 1, skip", "lr 1, no skip")


def test_the_folder_holds_the_table_and_the_numbers(one_problem, tmp_path):
    settings = BenchSettings(problems=("closed",), solvers=("relaxation", "scipy"), out=str(tmp_path / "o"))
    result = run(settings, command="geodesic bench solver")
    assert result.folder == tmp_path / "o"
    data = json.loads((result.folder / "bench.json").read_text())
    assert [row["solver"] for row in data["rows"]] == ["relaxation", "scipy"]
    assert data["tol"] == 0.03
    table = (result.folder / "table.md").read_text()
    assert table == result.table.markdown
    assert table.count("\n| exponential |") == 2
    assert json.loads((result.folder / "manifest.json").read_text())["status"].startswith("2 races were run.")


def test_the_groups_of_the_settings_are_those_of_the_zoo_and_the_model():
    assert (*zoo.GROUPS, "clevr") == PROBLEMS
    assert set(bench.ENTRANTS) | {"gradient-flow-tuned", "scipy"} == set(SOLVERS)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"problems": ("closd",)}, "closed"),
        ({"solvers": ("newton",)}, "one of"),
        ({"solvers": ()}, "at least one"),
        ({"tol": 0.0}, "tol"),
        ({"pairs": 0}, "pairs"),
    ],
)
def test_settings_without_meaning_are_refused(options, match):
    with pytest.raises(InputError, match=match):
        BenchSettings(**options)


def test_a_straight_path_is_judged_by_the_score_alone_where_there_is_no_other_density():
    case = zoo.half_space()
    line = case.straight(17)
    excess = contests._excess_by_score(case.metric, case.log_length, line)
    assert excess == pytest.approx(case.excess(line), rel=1e-3)
    exact = Curve(case.exact).at_constant_speed(65)
    assert contests._excess_by_score(case.metric, case.log_length, exact) == pytest.approx(0, abs=1e-3)


@pytest.mark.slow
def test_pairs_of_scenes_are_problems_like_any_other():
    rows = run(BenchSettings(problems=("clevr",), solvers=("surrogate",), pairs=1)).rows
    assert len(rows) == 1
    assert rows[0].dimension == 256
    assert abs(rows[0].excess) < 0.05
