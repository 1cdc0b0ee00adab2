import json

from search.evidence import Judgement, judge
from search.evidence.source import ReportSource


def test_without_a_confirmation_the_search_answers_and_the_command_is_told(searched):
    found = searched.judgement.answer
    assert not found.confirmed
    assert found.headline == judge(searched.search).search_verdict.headline
    assert found.next_verb == "confirm"
    assert searched.command == "kd-search confirm example"


def test_a_confirmed_rule_is_the_answer(with_winner):
    found = with_winner.judgement.answer
    assert (found.confirmed, found.kind, with_winner.command) == (True, "rule", "")
    assert found.headline.startswith("Norm ratio threshold beats the best constant λ = 0.45 by 1.99 points")


def test_a_confirmed_constant_is_an_answer_too(without_winner):
    found = without_winner.judgement.answer
    assert (found.confirmed, found.kind) == (True, "constant")
    assert found.headline == "Use λ = 0.45: no rule is worth it here."


def test_a_confirmation_that_is_not_finished_answers_nothing(begun):
    found = begun.judgement.answer
    assert not found.confirmed
    assert found.headline == judge(begun.search).search_verdict.headline
    assert "1 of 70 trainings are still to come" in found.remedy
    assert begun.confirmed is None


def test_a_stopped_search_is_to_be_resumed_and_an_empty_one_has_no_command(trial, make_search, launch):
    stopped = make_search(trial(1, scores=(0.8, 0.9)), trial(2, status="pending"), status="stopped")
    found = ReportSource(search=stopped).judgement.answer
    assert ReportSource(search=stopped).command == "kd-search resume example"
    # Five families of eight and at most 40 constants, one of which has finished.
    assert "stopped with at most 79 trials to go" in found.remedy
    assert "at most 79 of 80 trials are still to come" in found.caveat
    elsewhere = ReportSource(search=stopped, launch=launch)
    assert elsewhere.command.startswith(f"kd-search resume example --output {launch.output}")
    failed = make_search(trial(1, status="failed"))
    assert ReportSource(search=failed).command == ""


def test_the_winner_and_its_rival_are_told_apart(with_winner, without_winner):
    assert (with_winner.confirmed.winner, with_winner.confirmed.rival) == ("norm_ratio_threshold",) * 2
    assert with_winner.confirmed.baseline == without_winner.confirmed.winner == "fixed-0.45"
    rules = {row.key: row.test for row in without_winner.judgement.finalists.rows if row.role == "rule"}
    assert without_winner.confirmed.rival == max(rules, key=rules.get)
    assert without_winner.confirmed.labels_alone == "fixed-0"


def test_gains_are_those_of_the_comparison(with_winner):
    first, teacher, promised = with_winner.judgement.gains
    test = with_winner.judgement.finalists.of("norm_ratio_threshold").difference
    assert (first.mean, first.low, first.high, first.seeds) == (test.mean, test.low, test.high, 10)
    assert (first.ours, first.theirs) == ("norm ratio threshold", "λ = 0.45")
    assert (teacher.theirs, teacher.confirmed) == ("λ = 0", True)
    assert not promised.confirmed
    assert promised.where.startswith("in the search")


def test_a_winning_constant_is_shown_beside_the_nearest_rule(without_winner):
    first, *_ = without_winner.judgement.gains
    assert first.theirs == "λ = 0.45"
    assert first.low < 0.0 < first.high
    teacher = next(gain for gain in without_winner.judgement.gains if gain.note == "what the teacher adds")
    assert (teacher.ours, teacher.theirs) == ("λ = 0.45", "λ = 0")


def test_gains_of_a_search_are_marked_as_its_own(searched):
    found = searched.judgement.gains
    assert found
    assert not any(gain.confirmed for gain in found)
    assert all("validation" in gain.where for gain in found)


def test_a_search_of_constants_alone_gains_nothing(trial, make_search):
    assert ReportSource(search=make_search(trial(1, scores=(0.8, 0.9)))).judgement.gains == ()


def test_json_keeps_a_judgement_whole(searched, with_winner, without_winner, begun, make_search):
    for source in (searched, with_winner, without_winner, begun, ReportSource(search=make_search())):
        text = source.judgement.model_dump_json()
        assert Judgement.parse(json.loads(text)) == source.judgement
