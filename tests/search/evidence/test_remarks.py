"""Remarks that must stand beside an answer."""

from search.evidence import judge
from tests.search.report.conftest import CONFIG


def sentences(search, kind):
    return [remark.sentence for remark in judge(search).remarks if remark.kind == kind]


def test_a_search_of_ordinary_trials_has_no_remark(trial, make_search):
    search = make_search(trial(1, "fixed", (0.80, 0.81)), trial(2, "norm_balance", (0.82, 0.83)))
    assert judge(search).remarks == ()


def test_equal_scores_everywhere_are_told_once(trial, make_search):
    families = ("fixed", "norm_balance", "step_schedule")
    search = make_search(*(trial(n, family, (0.8, 0.8)) for n, family in enumerate(families, start=1)))
    assert len(sentences(search, "equal_scores")) == 1


def test_a_learning_rate_at_the_end_of_its_range_is_told_of_the_best_rule_and_the_best_constant(trial, make_search):
    config = {**CONFIG, "space": {"learning_rate": {"low": 0.001, "high": 0.1, "log": True}}}
    rates = {"fixed": 0.1, "norm_balance": 0.01}
    trials = [trial(n, f, (0.8, 0.82), learning_rate=rate) for n, (f, rate) in enumerate(rates.items(), start=1)]
    (found,) = sentences(make_search(*trials, config=config), "edge")
    assert "learning rate 0.1 lies at the upper end of its range" in found
    assert found.startswith("λ = 0.9")


def test_a_constant_without_labels_is_told(trial, make_search):
    search = make_search(trial(1, "fixed", (0.8, 0.82), parameters={"weight": 1.0}))
    (found,) = sentences(search, "did_not_act")
    assert "the labels were not used" in found
