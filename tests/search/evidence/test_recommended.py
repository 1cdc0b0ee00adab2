import json

import pytest

from policies.document import load_policy, read_document
from policies.monitoring.ranges import read_constant, read_ranges
from policies.monitoring.windows import WINDOWS
from search.evidence.recommended import settings_in_words
from search.evidence.source import ReportSource
from tests.search.evidence.statistics.test_prediction import ONE as CONDUCT
from trainables.records import ReadingWindows


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


def _recorded(confirmation):
    """Return the confirmation with the readings of each training, as this release records them."""
    changed = []
    for result in confirmation.results:
        middle = 0.3 + 0.01 * result.seed
        windows = {"weight": ReadingWindows(counts=(4,) * WINDOWS, means=(middle,) * WINDOWS)}
        changed.append(result.model_copy(update={"conduct": CONDUCT.model_copy(update={"readings": windows})}))
    return confirmation.model_copy(update={"results": tuple(changed)})


def test_a_confirmed_rule_comes_with_its_ranges_and_the_best_constant(with_winner, tmp_path):
    recorded = ReportSource(search=with_winner.search, confirmation=_recorded(with_winner.confirmation))
    document = recorded.judgement.recommended.document
    ranges = read_ranges(document)
    assert ranges.trainings == len(with_winner.confirmation.seeds)
    assert ranges.readings["weight"].low[0] < 0.3 + 0.01 * min(with_winner.confirmation.seeds)
    assert read_constant(document) == (0.45, 4.0)
    path = tmp_path / "policy.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    assert read_document(path) == json.loads(json.dumps(document))
    constant = recorded.judgement.best_of_families["fixed"].document
    assert read_ranges(constant) is not None
    assert "constant" not in constant  # it would fall back to itself


def test_a_confirmation_of_an_earlier_release_has_no_ranges_but_the_constant(with_winner):
    document = with_winner.judgement.recommended.document
    assert read_ranges(document) is None
    assert read_constant(document) == (0.45, 4.0)


def test_before_a_confirmation_the_constant_is_the_searchs_best(searched):
    best = searched.judgement.comparison.constant
    constant = read_constant(searched.judgement.recommended.document)
    assert constant == (best.parameters["weight"], best.shared.get("temperature", 4.0))


def test_settings_in_words(searched, without_winner):
    assert settings_in_words(searched.judgement.recommended).startswith(
        f"trial {searched.search.finished[0].number}, learning rate "
    )
    assert settings_in_words(without_winner.judgement.recommended) == "learning rate 0.01"


def test_an_empty_search_recommends_nothing(make_search):
    assert ReportSource(search=make_search()).judgement.recommended is None
