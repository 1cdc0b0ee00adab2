import pytest

from search.evidence import judge

CONSTANT = (0.800, 0.810, 0.820)
CLEAR = (0.830, 0.841, 0.849)
UNCLEAR = (0.815, 0.805, 0.825)


def verdict_of(search):
    return judge(search).search_verdict


def test_a_clear_lead_is_a_candidate_and_no_winner(trial, make_search):
    verdict = verdict_of(
        make_search(trial(1, "fixed", CONSTANT, parameters={"weight": 0.4}), trial(2, "norm_balance", CLEAR))
    )
    assert verdict.kind == "unconfirmed"
    assert verdict.headline == (
        "Not confirmed: norm balance scored highest in the search, +3.00 points against the best constant λ = 0.4."
    )
    assert "Candidates, with uncorrected 95 % intervals: norm balance +3.00 points (+2.7" in verdict.evidence
    assert "an interval that leaves out zero shows no winner" in verdict.evidence


@pytest.mark.parametrize("scores", [CLEAR, UNCLEAR, CONSTANT])
def test_a_search_alone_never_says_that_a_rule_is_ahead(trial, make_search, scores):
    judgement = judge(make_search(trial(1, "fixed", CONSTANT), trial(2, "norm_balance", scores)))
    told = judgement.model_dump_json()
    assert not {"ahead", "beats", "winner is"} & set(told.replace(".", " ").replace(",", " ").split())
    assert judgement.worth.kind == "unconfirmed"
    assert judgement.answer.next_verb == "confirm"


def test_two_seeds_that_can_tell_nothing_are_called_too_few(trial, make_search):
    search = make_search(trial(1, "fixed", (0.35, 0.45)), trial(2, "norm_balance", (0.34, 0.48)))
    evidence = verdict_of(search).evidence
    assert "norm balance +1.00 points. 2 seeds cannot tell it from noise" in evidence
    assert "an interval would be wider than all their scores lie apart" in evidence
    assert "26.41" not in evidence


def test_a_constant_with_the_best_score_is_said_to_have_it(trial, make_search):
    verdict = verdict_of(make_search(trial(1, "fixed", CLEAR), trial(2, "norm_balance", CONSTANT)))
    assert verdict.kind == "unconfirmed"
    assert "the constant λ = 0.9 scored highest in the search, 84.00 %" in verdict.headline
    assert "norm balance −3.00 points" in verdict.evidence


def test_several_candidates_are_told_with_their_intervals(trial, make_search):
    verdict = verdict_of(
        make_search(
            trial(1, "fixed", CONSTANT),
            trial(2, "norm_balance", CLEAR),
            trial(3, "step_schedule", (0.80, 0.80, 0.95)),
        )
    )
    assert "step schedule scored highest" in verdict.headline
    assert verdict.evidence.index("step schedule") < verdict.evidence.index("norm balance")


def test_one_seed_tells_no_lead_from_noise(trial, make_search):
    verdict = verdict_of(make_search(trial(1, "fixed", (0.5,)), trial(2, "norm_balance", (0.9,))))
    assert verdict.kind == "unconfirmed"
    assert "With one seed nothing tells a lead from noise" in verdict.evidence


def test_without_a_constant_nothing_is_claimed(trial, make_search):
    verdict = verdict_of(make_search(trial(1, "norm_balance", CLEAR), trial(2, "fixed", CONSTANT, status="failed")))
    assert verdict.kind == "no_comparison"
    assert "No constant λ has finished" in verdict.evidence


def test_constants_alone_are_compared_with_nothing(trial, make_search):
    verdict = verdict_of(make_search(trial(1, "fixed", CONSTANT, parameters={"weight": 0.5})))
    assert verdict.kind == "no_comparison"
    assert verdict.headline == "The best constant is λ = 0.5, at 81.00 %."


@pytest.mark.parametrize("ours", [CLEAR, UNCLEAR])
def test_every_score_is_called_optimistic_and_unconfirmed(trial, make_search, ours):
    verdict = verdict_of(make_search(trial(1, "fixed", CONSTANT), trial(2, "norm_balance", ours)))
    assert "the best of 2 finished trials on the 5,000 validation pictures, so it is optimistic" in verdict.caveat
    assert "not confirmed on the test set" in verdict.caveat
    assert verdict.caveat in verdict.text


@pytest.mark.parametrize(
    ("statuses", "headline"),
    [
        ((), "No trial has finished, so there is nothing to rank."),
        (("running", "pending"), "No trial has finished, so there is nothing to rank."),
        (("failed", "failed"), "All 2 trials failed, so there is nothing to rank."),
        (("failed",), "The one trial failed, so there is nothing to rank."),
        (("failed", "running"), "No trial has finished and 1 trial failed, so there is nothing to rank."),
    ],
)
def test_without_a_finished_trial_there_is_nothing_to_rank(trial, make_search, statuses, headline):
    search = make_search(*(trial(i, "fixed", (0.5,), status=status) for i, status in enumerate(statuses, start=1)))
    verdict = verdict_of(search)
    assert (verdict.kind, verdict.headline) == ("nothing_finished", headline)


def test_that_all_failed_is_said_when_none_is_to_come(trial, make_search):
    stopped = verdict_of(make_search(trial(1, "fixed", (0.5,), status="failed"), status="stopped"))
    assert stopped.headline == "No trial has finished and 1 trial failed, so there is nothing to rank."
    assert "at most 79 of 80 trials are still to come." in stopped.caveat


@pytest.mark.parametrize(("status", "words"), [("running", "is still running"), ("stopped", "was stopped")])
def test_an_unfinished_search_is_called_so(trial, make_search, status, words):
    search = make_search(
        trial(1, "fixed", CONSTANT), trial(2, "norm_balance", CLEAR), trial(3, "fixed", status="pending"), status=status
    )
    assert f"The search {words}; at most 78 of 80 trials are still to come." in verdict_of(search).caveat
