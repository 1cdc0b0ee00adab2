"""A search that raced: policies that left are shown and counted, but not ranked."""

import io

import pytest
from rich.console import Console

from search.evidence import judge
from search.evidence.source import ReportSource
from search.records.search import SearchRecord
from search.report.document import report_json
from search.report.page import render_html
from search.report.tables.settings import summary_rows
from search.report.terminal.report import render_table
from tests.search.report.conftest import CONFIG, build_trial


@pytest.fixture
def raced():
    trials = (
        build_trial(1, scores=(0.70, 0.71, 0.72)),
        build_trial(2, "norm_balance", scores=(0.80, 0.81, 0.82)),
        build_trial(3, scores=(0.90,), status="eliminated"),  # lucky on one seed
        build_trial(4, "norm_balance", scores=(0.60, 0.62), status="eliminated"),
    )
    return SearchRecord(name="example", config=CONFIG, status="finished", trials=trials)


def test_a_better_score_over_fewer_seeds_takes_no_place(raced):
    assert [trial.number for trial in raced.finished] == [2, 1]
    assert [trial.number for trial in raced.raced] == [2, 1, 4, 3]
    document = report_json(ReportSource(search=raced))
    by_number = {trial["number"]: trial for trial in document["trials"]}
    assert (by_number[3]["place"], by_number[3]["score"]) == (None, None)
    assert by_number[3]["partial_score"] == pytest.approx(0.90)
    assert [replicate["seed"] for replicate in by_number[4]["seeds"]] == [0, 1]


def test_the_verdict_counts_all_that_raced(raced):
    caveat = judge(raced).search_verdict.caveat
    assert (
        "the best of 4 trials, 2 of which were trained under all seeds, on the 5,000 validation pictures, so it"
        in caveat
    )
    assert "not finished" not in caveat


def test_the_page_and_the_terminal_tell_who_left(raced):
    page = render_html(ReportSource(search=raced), ())
    assert "Trials that left the race" in page
    assert "1 of 3" in page
    assert "2 of 3" in page
    console = Console(file=io.StringIO(), width=120)
    console.print(render_table(raced, judge(raced)))
    assert "left the race" in console.file.getvalue()
    rows = dict(summary_rows(raced))
    assert "2 left the race over seeds" in rows["Trials"]
    assert "only the better trials had more" in rows["Seeds per trial"]


def test_a_search_without_a_race_says_nothing_of_one(raced):
    plain = raced.model_copy(update={"trials": raced.finished})
    assert "race" not in render_html(ReportSource(search=plain), ()).partition("</style>")[2].replace("trace", "")
    assert "best of 2 finished trials" in judge(plain).search_verdict.caveat
