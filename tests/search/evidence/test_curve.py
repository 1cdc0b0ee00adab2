"""The accuracy as a function of the constant λ."""

import json

import pytest

from search.drawing.canvas import style
from search.evidence import judge
from search.evidence.source import ReportSource
from search.report.document import report_json, report_text
from search.report.figures.constants import certificate_text, constants_figure

WEIGHTS = (0.0, 0.05, 0.15, 0.3, 0.38, 0.42, 0.46, 0.5, 0.7, 0.85, 0.95, 1.0)


def planted(weight):
    return 0.85 - 0.08 * (weight - 0.42) ** 2


@pytest.fixture
def search(trial, make_search):
    noise = (0.0004, -0.0003, 0.0002, -0.0004)
    constants = [
        trial(n, "fixed", tuple(planted(w) + noise[(n + s) % 4] for s in range(3)), parameters={"weight": w})
        for n, w in enumerate(WEIGHTS, start=1)
    ]
    rule = trial(20, "norm_balance", (0.84, 0.85, 0.86))
    return make_search(*constants, rule)


def test_the_curve_finds_the_planted_best_constant(search):
    curve = judge(search).curve
    assert abs(curve.chosen - 0.42) <= 0.08
    best = max(curve.rows, key=lambda row: row.mean)
    assert best.mean == pytest.approx(0.85, abs=0.003)
    assert best.low < 0.85 < best.high + 0.002
    assert (curve.rows[0].weight, curve.rows[-1].weight) == (0.0, 1.0)
    assert (curve.trainings, curve.share) == (36, 36 / 39)
    assert curve.holds == (curve.reason == "")


def test_a_running_search_and_one_of_two_constants_have_no_curve(search, trial, make_search):
    assert judge(search.model_copy(update={"status": "running"})).curve is None
    assert judge(make_search(trial(1, parameters={"weight": 0.2}), trial(2, parameters={"weight": 0.4}))).curve is None


def test_the_curve_is_a_figure_with_its_table_and_part_of_the_numbers(search):
    source = ReportSource(search=search)
    with style():
        figure = constants_figure(source)
    assert {row[0] for row in figure.table.rows} == {"fitted", "tried", "chosen"}
    assert set(figure.files) == {"png", "svg"}
    assert figure.finding == certificate_text(source.judgement.curve, source.scale)
    document = json.loads(report_text(report_json(source)))
    assert len(document["constant_curve"]["tried"]) == len(WEIGHTS)


def test_one_that_is_not_bracketed_says_why_and_what_follows(search, trial, make_search):
    coarse = make_search(*(t for t in search.trials if t.parameters.get("weight") in (0.0, 0.5, 1.0)))
    source = ReportSource(search=coarse)
    assert not source.judgement.curve.holds
    assert "no rule can be said to be better yet" in certificate_text(source.judgement.curve, source.scale)
