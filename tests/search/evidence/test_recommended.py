import json

import pytest

from policies.document import load_policy, read_document
from search.evidence.recommended import settings_in_words
from search.evidence.source import ReportSource


def evidence(path):
    return json.loads(path.read_text(encoding="utf-8"))["evidence"]


def test_before_a_confirmation_it_is_the_best_trial(searched, written):
    folder = written["searched"]
    best = searched.search.finished[0]
    assert searched.judgement.recommended.trial == best.number
    assert load_policy(folder / "policy.json").values() == best.parameters
    told = evidence(folder / "policy.json")
    assert (told["search"], told["trial"], told["confirmed_on_test_set"]) == ("example", best.number, False)
    assert told["validation_accuracy"] == pytest.approx(best.score)
    assert (told["objective_value"], told["objective_on"]) == (best.score, "validation")
    low, high = told["lead_95_percent_interval"]
    assert low < told["lead_over_best_constant"] < high


def test_a_confirmation_that_is_not_finished_changes_nothing(begun, searched):
    assert begun.judgement.recommended == searched.judgement.recommended


def test_a_confirmed_winner_is_what_to_train_with(with_winner, written):
    folder = written["with_winner"]
    record = with_winner.confirmation
    finalist = record.finalists[0]
    assert load_policy(folder / "policy.json").values() == finalist.parameters
    told = evidence(folder / "policy.json")
    row = with_winner.judgement.finalists.of(finalist.key)
    assert told["confirmed_on_test_set"] is told["chosen_by_verdict"] is told["beats_best_constant"] is True
    assert (told["objective_value"], told["objective_on"]) == (pytest.approx(row.test), "test")
    assert told["test_accuracy"] == pytest.approx(row.test)
    assert told["seeds"] == list(record.seeds)
    assert told["lead_over_best_constant"] == row.difference.mean
    assert told["best_constant"] == "λ = 0.45"
    assert told["verdict"] == with_winner.judgement.verdict.text


def test_where_no_rule_wins_it_is_the_constant_even_one_that_no_trial_has_tried(without_winner, written):
    folder = written["without_winner"]
    found = without_winner.judgement.recommended
    assert (found.family, found.trial, found.title) == ("fixed", None, "λ = 0.45")
    policy = load_policy(folder / "policy.json")
    assert (policy.family, policy.values()) == ("fixed", {"weight": 0.45})
    document = read_document(folder / "policy.json")
    assert document["temperature"] == 4.0  # the search file's value, since it was not searched
    assert document["training"]["learning_rate"] == 0.01
    assert document["training"]["epochs"] == 30
    told = evidence(folder / "policy.json")
    assert (told["chosen_by_verdict"], told["lead_over_best_constant"]) == (True, None)
    assert evidence(folder / "policies" / "norm_balance.json")["chosen_by_verdict"] is False


def test_the_families_that_were_not_confirmed_keep_what_the_search_says(with_winner):
    found = with_winner.judgement.best_of_families
    assert {family for family, best in found.items() if best.confirmed} == {
        "norm_ratio_threshold", "norm_balance", "cosine_threshold", "fixed",
    }  # fmt: skip
    assert not found["step_schedule"].document["evidence"]["confirmed_on_test_set"]


def test_settings_in_words(searched, without_winner):
    assert settings_in_words(searched.judgement.recommended).startswith(
        f"trial {searched.search.finished[0].number}, learning rate "
    )
    assert settings_in_words(without_winner.judgement.recommended) == "learning rate 0.01"


def test_an_empty_search_recommends_nothing(make_search):
    assert ReportSource(search=make_search()).judgement.recommended is None
