import pytest

from search.evidence import judge

CONSTANT = (0.800, 0.810, 0.820)
CLEAR = (0.830, 0.841, 0.849)
UNCLEAR = (0.815, 0.805, 0.825)


def verdict_of(search):
    return judge(search).search_verdict


def test_a_clear_lead_names_the_rule_the_constant_and_the_points(trial, make_search):
    verdict = verdict_of(
        make_search(trial(1, "fixed", CONSTANT, parameters={"weight": 0.4}), trial(2, "norm_balance", CLEAR))
    )
    assert verdict.kind == "ahead"
    assert verdict.headline == (
        "Norm balance is ahead of the best constant λ = 0.4 by 3.00 points of validation accuracy."
    )
    assert "larger than the noise between seeds" in verdict.evidence
    assert "standard error 0.06" in verdict.evidence
    assert "paired over 3 seeds" in verdict.evidence


def test_a_lead_within_the_noise_is_not_called_one(trial, make_search):
    verdict = verdict_of(
        make_search(trial(1, "fixed", CONSTANT, parameters={"weight": 0.4}), trial(2, "norm_balance", UNCLEAR))
    )
    assert verdict.kind == "not_ahead"
    assert verdict.headline == "No rule is clearly ahead of a constant λ = 0.4."
    assert "cannot be told from the noise" in verdict.evidence


def test_two_seeds_that_can_tell_nothing_are_called_too_few(trial, make_search):
    search = make_search(trial(1, "fixed", (0.35, 0.45)), trial(2, "norm_balance", (0.34, 0.48)))
    evidence = verdict_of(search).evidence
    assert "norm balance's: +1.00 points against the best constant, but 2 seeds are too few to tell" in evidence
    assert "only a difference above 25.41 points would be clear of the noise between them" in evidence
    assert evidence.endswith("More replicates would tell.")
    assert "26.41" not in evidence


def test_a_constant_with_the_best_score_is_said_to_have_it(trial, make_search):
    verdict = verdict_of(make_search(trial(1, "fixed", CLEAR), trial(2, "norm_balance", CONSTANT)))
    assert verdict.kind == "not_ahead"
    assert verdict.headline.startswith("No rule is clearly ahead of a constant")
    assert "That constant has the best score itself, 84.00 %" in verdict.evidence
    assert "norm balance, stands at −3.00 points" in verdict.evidence


def test_a_clear_lead_of_another_than_the_highest_score_is_told_as_such(trial, make_search):
    verdict = verdict_of(
        make_search(
            trial(1, "fixed", CONSTANT),
            trial(2, "norm_balance", CLEAR),
            trial(3, "step_schedule", (0.80, 0.80, 0.95)),
        )
    )
    assert verdict.kind == "ahead"
    assert verdict.headline.startswith("Norm balance is ahead")
    assert "is step schedule's, but its lead over the constant cannot be told" in verdict.evidence


def test_one_seed_tells_no_lead_from_noise(trial, make_search):
    verdict = verdict_of(make_search(trial(1, "fixed", (0.5,)), trial(2, "norm_balance", (0.9,))))
    assert verdict.kind == "not_ahead"
    assert "with one seed nothing tells a lead from noise" in verdict.evidence


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
