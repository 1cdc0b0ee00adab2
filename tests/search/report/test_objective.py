"""A search for a KPI of which less is better, in ranking, verdict and every form of the report."""

import json
import re

import pytest
from rich.console import Console

from search.evidence import ReportSource, judge
from search.evidence.ranking import compare_to_constant, rank_families
from search.report import report_json, write_report
from search.report.terminal.report import render_table
from search.tracking.series import outcome_points, trial_points
from search.tracking.wording import search_tags, trial_tags
from tests.search.report.conftest import CONFIG

KPI = {"origin": "own.py:regret", "source": "def regret(model, data):\n    return 0.0\n"}
OBJECTIVE = {"objective": "regret", "direction": "minimize", "kpis": [KPI]}


@pytest.fixture
def search(trial, make_search):
    """Return a search: constants with 90 % accuracy and a regret of about 3; a rule with 80 % and about 2."""

    def with_regret(made, *regrets):
        history = made.history
        replicates = tuple(
            result.model_copy(update={"own_kpis": {"regret": regret}})
            for result, regret in zip(history.replicates, regrets, strict=True)
        )
        epochs = tuple(epoch.model_copy(update={"own_kpis": {"regret": 9.0 / epoch.epoch}}) for epoch in history.epochs)
        score = -sum(regrets) / len(regrets)
        return made.model_copy(
            update={"history": history.model_copy(update={"score": score, "replicates": replicates, "epochs": epochs})}
        )

    return make_search(
        with_regret(trial(1, "fixed", (0.9, 0.9, 0.9), parameters={"weight": 0.9}, curves=True), 3.0, 3.1, 3.2),
        with_regret(trial(2, "fixed", (0.9, 0.9, 0.9), parameters={"weight": 0.0}), 4.0, 4.1, 4.2),
        with_regret(trial(3, "norm_balance", (0.8, 0.8, 0.8), curves=True), 2.0, 2.2, 2.1),
        config={**CONFIG, **OBJECTIVE},
    )


def test_less_is_better(search):
    assert [family.family for family in rank_families(search)] == ["norm_balance", "fixed"]
    (difference,) = compare_to_constant(search).differences
    assert difference.mean == pytest.approx(1.0)
    assert difference.above_zero


def test_differences_that_are_all_equal_are_no_certainty(trial, make_search, search):
    equal = search.trials[2].history.replicates
    equal = tuple(r.model_copy(update={"own_kpis": {"regret": 2.0 + 0.1 * i}}) for i, r in enumerate(equal))
    third = search.trials[2]
    history = third.history.model_copy(update={"replicates": equal, "score": -2.1})
    trials = (*search.trials[:2], third.model_copy(update={"history": history}))
    (difference,) = compare_to_constant(search.model_copy(update={"trials": trials})).differences
    assert difference.mean == pytest.approx(1.0)
    assert difference.low is None
    assert not difference.above_zero


def test_the_verdict_speaks_of_the_kpi(search):
    text = judge(search).search_verdict.text
    assert "norm balance scored highest in the search, +1 against the best constant λ = 0.9" in text
    assert not re.search(r"accuracy|points|%(?! interval)", text.replace("95 % interval", ""))


def test_the_terminal_and_the_page_show_values_of_the_kpi(search, tmp_path):
    console = Console(width=120, record=True, file=open(tmp_path / "out", "w"))  # noqa: SIM115
    console.print(render_table(search, judge(search)))
    console.file.close()
    table = console.export_text()
    assert re.search(r"regret \(less is better\)\s+vs constant", table)
    assert re.search(r"norm balance\s+2\.1 ± ", table)
    page = write_report(ReportSource(search=search), tmp_path).read_text(encoding="utf-8")
    assert "<strong>2.1</strong>" in page
    assert ">regret (less is better)</th>" in page
    assert ">Teacher</dt>" not in page  # its value of the KPI is not known
    assert "−2.1" not in page
    assert "validation accuracy, %" in page  # in the curves along training
    policy = json.loads((tmp_path / "policy.json").read_text(encoding="utf-8"))["evidence"]
    assert (policy["objective"], policy["objective_value"]) == ("regret", pytest.approx(2.1))
    assert policy["validation_accuracy"] == pytest.approx(0.8)


def test_the_document_says_what_its_scores_are(search):
    document = report_json(ReportSource(search=search))
    assert document["objective"] == {"name": "regret", "direction": "minimize", "on": "validation", "score_sign": -1}
    assert document["families"][0]["best"]["score"] == pytest.approx(-2.1)
    assert document["trials"][2]["seeds"][0]["own_kpis"] == {"regret": 2.0}


def test_mlflow_gets_values_of_the_kpi(search):
    best = search.trials[2]
    outcome = {point.name: point.value for point in outcome_points(best, search.objective)}
    assert outcome["score"] == pytest.approx(2.1)
    curve = [
        point.value
        for point in trial_points(best, search.objective, expected_epochs=30)
        if point.name == "validation/regret"
    ]
    assert curve == pytest.approx([9.0 / epoch for epoch in range(1, 31)], rel=5e-4)
    note = trial_tags(search, best, "p")["mlflow.note.content"]
    assert "regret (less is better) on the validation set: 2.1 ±" in note
    assert "| norm_balance | 2.1 |" in search_tags(search, judge(search))["mlflow.note.content"]
