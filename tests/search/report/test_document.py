import json
import math
import pathlib

from search.report.document import report_json, report_text


def test_the_document_is_json_and_complete(full_search):
    document = json.loads(report_text(report_json(full_search)))
    assert document["format"] == "kd-search-report"
    assert len(document["trials"]) == len(full_search.trials)
    assert len(document["families"]) == 6
    assert document["confirmed_on_test_set"] is False
    assert document["verdict"]["text"].startswith(document["verdict"]["headline"])
    best = document["families"][0]["best"]
    assert best["score"] == full_search.finished[0].score
    assert len(best["seeds"]) == 3
    differences = document["comparison_to_constant"]["differences"]
    assert {d["family"] for d in differences} == {f["family"] for f in document["families"]} - {"fixed"}
    assert document["trials"][full_search.finished[0].number - 1]["place"] == 1


def test_what_is_not_finite_is_null(trial, make_search):
    search = make_search(config={"x": math.inf, "path": pathlib.PurePosixPath("/data"), "list": (1, math.nan)})
    document = json.loads(report_text(report_json(search)))
    assert document["config"] == {"x": None, "path": "/data", "list": [1, None]}


def test_an_empty_search_has_a_document(make_search):
    document = report_json(make_search())
    assert (document["families"], document["trials"]) == ([], [])


def test_importances_at_hand_are_not_computed_again(full_search):
    assert report_json(full_search, computed=())["importances"] == []
