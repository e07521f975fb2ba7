"""What an evaluation will cost, before it is run: pairs, methods, evaluations, memory, weights; nothing is written."""

import csv
from pathlib import Path

import pytest

from geodesic_cli.errors import InputError
from geodesic_cli.many.evaluating import run as evaluate_run
from geodesic_cli.many.planning import ManyPlan, dry_run
from geodesic_cli.runs.job import Job
from geodesic_cli.runs.observer import Silent
from geodesic_cli.settings import EvaluateSettings
from geodesic_cli.verbs.evaluate.run import Evaluation

ASKED = {"pairs": "scenes:2", "methods": "slerp,attention", "frames": 3, "protocol": "everything"}


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> ManyPlan:
    weights = str(tmp_path_factory.mktemp("weights"))
    return dry_run(Job(EvaluateSettings(**ASKED, metric_weights=weights, model="clevr-mini"), Silent()))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Evaluation:
    settings = EvaluateSettings(**ASKED | {"protocol": "offline"}, out=str(tmp_path_factory.mktemp("made") / "run"))
    return evaluate_run(Job(settings, Silent(), command="geodesic"))


def test_pairs_methods_evaluations_memory_and_weights_are_told(plan: ManyPlan) -> None:
    assert "2 pairs, rendered scenes" in plan.what and "2 methods (slerp, attention), 3 frames each" in plan.what
    assert [(each.method, each.sequences) for each in plan.methods] == [("slerp", 2), ("attention", 2)]
    assert plan.density == 2 * 2 * 3
    for words in ("Memory: weights", "alexnet-owt-7be5be79.pth", "sought in", "in all", "up to"):
        assert words in plan.text
    assert plan.weights is not None and {row.found for row in plan.weights if row.what.startswith("TOPIQ")} == {None}
    assert plan.metrics["methods"][0]["sequences"] == 2 and plan.metrics["memory"]["weights"] > 0


def test_the_count_is_an_upper_bound_of_what_is_done(plan: ManyPlan, made: Evaluation) -> None:
    costs = made.metrics["costs"]
    for each in plan.methods:
        assert 0.5 * each.evaluations <= 2 * costs[each.method]["evaluations"] <= each.evaluations, each.method


def test_nothing_is_written_and_what_would_be_refused_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="does not exist"):
        dry_run(Job(EvaluateSettings(sources=("nowhere",)), Silent()))
    with pytest.raises(InputError, match="None of the pairs can be drawn"):
        Path("pairs.csv").write_text("a,b,tau\nx.png,y.png,much\n")
        dry_run(Job(EvaluateSettings(pairs="pairs.csv"), Silent()))
    assert [path.name for path in tmp_path.iterdir()] == ["pairs.csv"]


def test_each_method_says_what_it_took_and_each_pair_has_a_strip(made: Evaluation) -> None:
    assert made.folder is not None
    costs = made.metrics["costs"]
    assert set(costs) == {"slerp", "attention"} and costs["slerp"]["n"] == 2
    assert all(each["seconds"] > 0 and 0.05 < each["peak_gb"] < 100 for each in costs.values())
    assert "| peak_gb |" in (made.folder / "costs.md").read_text()
    assert not {"seconds", "peak_gb"} & set((made.folder / "table.md").read_text().split("`"))
    assert sorted(path.name for path in (made.folder / "strips").iterdir()) == ["00000.png", "00001.png"]
    page = (made.folder / "report.html").read_text()
    assert 'class="film strips"' in page and 'max="1"' in page, "a slider over the two pairs"
    assert "What drawing took" in page and "scene-0001" in page and "every method" in page
    assert set(made.metrics["sources"]) == {"slerp", "attention"} and "He et al., AID, NeurIPS 2024" in page
    rows = list(csv.DictReader((made.folder / "sequences.csv").read_text().splitlines()))
    assert "seconds" not in rows[0]
