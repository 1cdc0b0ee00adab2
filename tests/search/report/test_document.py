import json
import math

from search.evidence.source import ReportSource
from search.report.document import report_json, report_text
from tests.search.report.conftest import CONFIG


def test_the_document_is_json_and_complete(full_search, searched):
    document = json.loads(report_text(report_json(searched)))
    assert document["format"] == "kd-search-report"
    assert len(document["trials"]) == len(full_search.trials)
    assert len(document["families"]) == 6
    assert document["confirmed_on_test_set"] is False
    assert document["confirmation"] is None
    assert document["recommended"]["trial"] == full_search.finished[0].number
    assert document["verdict"]["headline"] == document["search_verdict"]["headline"]
    assert document["verdict"]["text"].startswith(f"{document['worth']['text']} {document['verdict']['headline']}")
    assert document["trials"][0]["metrics"]["loss"] == {"mean": 0.5, "spread": 0.0}
    best = document["families"][0]["best"]
    assert best["score"] == full_search.finished[0].score
    assert len(best["seeds"]) == 3
    differences = document["comparison_to_constant"]["differences"]
    assert {d["family"] for d in differences} == {f["family"] for f in document["families"]} - {"fixed"}
    assert document["trials"][full_search.finished[0].number - 1]["place"] == 1


def test_what_is_not_finite_is_null(trial, make_search):
    student = {"name": "cnn", "options": {"x": math.inf, "list": (1, math.nan)}}
    search = make_search(config={**CONFIG, "student": student})
    document = json.loads(report_text(report_json(ReportSource(search=search))))
    assert document["config"]["student"]["options"] == {"x": None, "list": [1, None]}


def test_an_empty_search_has_a_document(make_search):
    document = report_json(ReportSource(search=make_search()))
    assert (document["families"], document["trials"]) == ([], [])


def test_importances_at_hand_are_not_computed_again(searched):
    assert report_json(searched, computed=())["importances"] == []


def test_a_confirmation_is_in_the_document_with_every_seed(with_winner):
    document = json.loads(report_text(report_json(with_winner, computed=())))
    record, told = with_winner.confirmation, document["confirmation"]
    assert document["confirmed_on_test_set"] is told["complete"] is True
    assert (
        document["verdict"]["headline"]
        == with_winner.judgement.verdict.headline
        != document["search_verdict"]["headline"]
    )
    assert told["comparison"]["baseline"] == "fixed-0.45"
    assert {(key, int(seed), scores["test"]) for key, of in told["scores"].items() for seed, scores in of.items()} == {
        (result.finalist, result.seed, result.test.accuracy) for result in record.results
    }
    assert told["finalists"][0]["key"] == "norm_ratio_threshold"
    assert document["recommended"]["family"] == "norm_ratio_threshold"
    assert document["gains"][0]["mean"] == with_winner.judgement.finalists.of("norm_ratio_threshold").difference.mean
    assert [cost["part"] for cost in document["costs"]] == ["search", "confirmation"]


def test_a_confirmation_that_is_not_finished_gives_no_scores_away(begun):
    document = report_json(begun, computed=())
    told = document["confirmation"]
    assert (document["confirmed_on_test_set"], told["complete"]) == (False, False)
    assert (told["comparison"], told["finalists"], told["scores"]) == (None, [], {})
    assert told["verdict"]["kind"] == "incomplete"
