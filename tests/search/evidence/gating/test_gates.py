"""A champion keeps every KPI gate, and the verdict says which finalist would have won without them."""

import pytest

from search.evidence import judge_confirmation
from search.evidence.gating.gates import passes_itself
from tests.search.evidence_record import around, confirmation, constant, rule
from trainables.records import ModelFigures

SEEDS = (0.1, -0.1, 0.2, -0.2, 0.0, 0.1, -0.1, 0.2, -0.2, 0.0)
OTHER = (0.2, -0.2, 0.1, -0.1, 0.1, 0.0, -0.1, 0.1, -0.2, 0.1)
RULE = (rule("norm_balance", 1), around(0.82, *OTHER))
TREE = (rule("tree", 6), around(0.83, *SEEDS))
BEST = (constant(0.9), around(0.80, *SEEDS))
LABELS = (constant(0.0), around(0.75, *OTHER))
FIGURES = ModelFigures(
    parameters=100, flops=2000, file_bytes=900, latency={"cpu": {"p50_ms": 1.5, "p95_ms": 2.5}}, device_names={}
)


def gated(scores, gates, errors=None, **update):
    """Return a record with gates; `errors` gives a finalist's calibration errors on the test set by key."""
    record = confirmation(scores)
    results = tuple(
        result.model_copy(
            update={"test": result.test.model_copy(update={"calibration_error": errors[result.finalist]})}
        )
        if errors and result.finalist in errors
        else result
        for result in record.results
    )
    return record.model_copy(update={"gates": gates, "results": results, "student_figures": FIGURES, **update})


def test_without_gates_nothing_changes():
    record = confirmation([RULE, BEST, LABELS])
    verdict = judge_confirmation(record)
    assert verdict.gating is None
    assert verdict.champion == verdict.winner == "norm_balance"


def test_a_winner_that_keeps_every_gate_is_the_champion_and_the_verdict_says_so():
    ungated = judge_confirmation(confirmation([RULE, BEST, LABELS]))
    verdict = judge_confirmation(gated([RULE, BEST, LABELS], {"accuracy": ">= 80 %", "latency_ms": "<= 2"}))
    assert (verdict.champion, verdict.headline) == ("norm_balance", ungated.headline)
    assert (
        "Norm balance keeps every gate on the test set, as the mean over the fresh seeds: accuracy ≥ 80.00 % (82.00 %);"
        " latency_ms ≤ 2 ms (1.5 ms)." in verdict.evidence
    )


def test_a_rule_that_breaks_a_gate_is_turned_down_for_the_best_constant():
    record = gated([RULE, BEST, LABELS], {"calibration_error": "<= 5 %"}, {"norm_balance": 0.08})
    verdict = judge_confirmation(record)
    assert (verdict.kind, verdict.winner, verdict.champion) == ("rule", "norm_balance", "fixed-0.9")
    assert verdict.headline == (
        "Norm balance would have won, but breaks the gate calibration_error ≤ 5.00 % (8.00 %): use λ = 0.9."
    )
    assert "Without the gates: Norm balance beats the best constant λ = 0.9 by 2.00 points" in verdict.evidence
    (check,) = verdict.gating.winner.broken
    assert (check.number, check.students) == (pytest.approx(0.08), 0)


def test_another_rule_that_beats_the_constant_comes_before_the_constant():
    record = gated([RULE, TREE, BEST, LABELS], {"calibration_error": "<= 5 %"}, {"norm_balance": 0.02, "tree": 0.08})
    ungated = judge_confirmation(record.model_copy(update={"gates": {}}))
    assert ungated.winner == "tree"  # it outdoes the simpler one
    assert judge_confirmation(record).champion == "norm_balance"


def test_where_the_rule_and_the_constant_are_turned_down_the_best_by_validation_is_used_without_a_claim():
    record = gated(
        [RULE, BEST, (constant(0.5), around(0.79, *SEEDS)), LABELS],
        {"calibration_error": "<= 5 %"},
        {"norm_balance": 0.08, "fixed-0.9": 0.08},
    )
    verdict = judge_confirmation(record)
    assert verdict.champion == "fixed-0.5"
    assert "it is not shown to be the best" in verdict.evidence


def test_where_no_finalist_keeps_every_gate_there_is_no_champion():
    verdict = judge_confirmation(gated([RULE, BEST, LABELS], {"latency_ms": "<= 1"}))
    assert (verdict.winner, verdict.champion) == ("norm_balance", None)
    assert verdict.headline == (
        "No champion: no finalist keeps every gate. Norm balance would have won, but breaks the gate latency_ms ≤ 1 ms"
        " (1.5 ms)."
    )


def test_a_figure_that_was_not_measured_breaks_its_gate():
    verdict = judge_confirmation(gated([RULE, BEST, LABELS], {"latency_ms_cuda": "<= 1"}))
    assert verdict.champion is None
    assert "(not measured)" in verdict.headline


def test_the_mean_decides_on_a_finalist_and_each_student_by_itself_on_the_champions_student():
    record = gated([RULE, BEST, LABELS], {"accuracy": ">= 0.82"})
    verdict = judge_confirmation(record)
    (check,) = verdict.gating.of("norm_balance").checks
    passing = [
        result for result in record.results if result.finalist == "norm_balance" and passes_itself(record, result)
    ]
    assert check.passes
    assert check.students == len(passing) == sum(point >= 0 for point in OTHER)


def test_gates_that_changed_after_results_were_known_are_told():
    record = gated([RULE, BEST, LABELS], {"accuracy": ">= 0.5"}, gates_changed=True)
    assert "The gates were changed after results were known." in judge_confirmation(record).caveat
