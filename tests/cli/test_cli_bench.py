"""`geodesic bench solver` as a person uses it."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from geodesic_cli.cli.app import app
from geodesic_cli.errors import InputError, OutputError
from geodesic_cli.geometry.zoo import problems as zoo
from geodesic_cli.verbs.bench import race as bench

HELD = ["bench", "solver", "--solvers", "surrogate,relaxation", "--problems", "closed"]


@pytest.fixture(autouse=True)
def one_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    case = zoo.half_space()
    contest = bench.Contest(case.name, case.metric, case.truth, case.straight(17), case.excess)
    monkeypatch.setattr(bench, "contests_of", lambda group, settings: iter([contest]))


def inside(*arguments: str, **environment: str) -> Result:
    done = CliRunner().invoke(app, list(arguments), env=environment)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done


def test_it_prints_a_plain_table_where_there_is_no_terminal() -> None:
    printed = inside(*HELD).stdout
    assert printed.startswith("problem")
    assert [line.split()[2] for line in printed.splitlines()[1:3]] == ["surrogate", "relaxation"]
    assert "\x1b" not in printed
    assert "129 fresh points" in printed


def test_json_is_all_there_is_on_stdout() -> None:
    rows = json.loads(inside(*HELD, "--json").stdout)["rows"]
    assert [row["solver"] for row in rows] == ["surrogate", "relaxation"]
    assert all(row["status"] == "CONVERGED" for row in rows)


def test_out_names_a_folder_that_is_not_overwritten_unasked(tmp_path: Path) -> None:
    out = tmp_path / "bench"
    assert "table.md" in inside(*HELD, "--out", str(out)).stdout
    assert (out / "bench.json").is_file()
    with pytest.raises(OutputError, match="not empty"):
        inside(*HELD, "--out", str(out))
    assert inside(*HELD, "--out", str(out), "--overwrite").exit_code == 0


def test_a_misspelt_solver_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(InputError, match="Did you mean 'relaxation'"):
        inside("bench", "solver", "--solvers", "relaxtion")


def test_a_variable_sets_what_no_option_does() -> None:
    done = inside("bench", "solver", "--json", GEODESIC_BENCH_SOLVER_SOLVERS="relaxation")
    assert [row["solver"] for row in json.loads(done.stdout)["rows"]] == ["relaxation"] * 4  # once for each group


def test_on_a_terminal_the_table_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    from geodesic_cli.cli.bench import _rich
    from geodesic_cli.verbs.bench.table import BenchTable

    drawn = _rich(BenchTable(("problem", "solver"), [("a", "x"), ("a", "y"), ("b", "x")], ""))
    assert len([line for line in drawn.splitlines() if " a " in line]) == 1


def test_help_lists_the_command() -> None:
    assert "solver" in inside("bench", "--help").stdout
    assert "--problems" in inside("bench", "solver", "--help").stdout
