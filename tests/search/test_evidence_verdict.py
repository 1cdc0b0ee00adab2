import math
import pathlib
import subprocess
import sys

import pytest

from search.evidence import compare, judge_confirmation
from tests.search.evidence_record import around, confirmation, constant, rule
from trainables.objective import Objective

SEEDS = (0.1, -0.1, 0.2, -0.2, 0.0, 0.1, -0.1, 0.2, -0.2, 0.0)
OTHER = (0.2, -0.2, 0.1, -0.1, 0.1, 0.0, -0.1, 0.1, -0.2, 0.1)
THIRD = (0.0, 0.1, 0.1, -0.1, -0.1, 0.2, -0.2, 0.2, -0.1, -0.1)
LABELS = (constant(0.0), around(0.75, *OTHER))
BEST = (constant(0.9, search_score=0.81), around(0.80, *SEEDS))


def test_a_rule_that_gains_is_named_with_its_gain_interval_and_corrected_p():
    record = confirmation(
        [(rule("norm_balance", 1, 0.83), around(0.82, *OTHER)), (rule("tree", 6), around(0.79, *THIRD)), BEST, LABELS],
        teacher=0.93,
    )
    verdict = judge_confirmation(record)
    assert (verdict.kind, verdict.winner, verdict.baseline) == ("rule", "norm_balance", "fixed-0.9")
    assert verdict.headline == "Norm balance beats the best constant λ = 0.9 by 2.00 points of test accuracy."
    gain = compare(record).of("norm_balance").difference
    assert gain is not None
    assert gain.low is not None
    assert gain.high is not None
    assert verdict.evidence.startswith(
        f"It reaches 82.00 %, the constant 80.00 %: +2.00 points (95 % interval +{100 * gain.low:.2f} to"
        f" +{100 * gain.high:.2f}), paired over 10 seeds; p < 0.001 after Holm's correction for 2 rules."
    )
    adds = "Labels alone reach 75.00 % and the teacher itself 93.00 %; what the teacher adds is +7.00 points"
    assert adds in verdict.evidence
    assert "search scores were better than their validation scores on fresh seeds by 1.00 points" in verdict.caveat
    assert "on these 10,000 test pictures" in verdict.caveat
    assert verdict.text == f"{verdict.headline} {verdict.evidence} {verdict.caveat}"


def test_without_a_gain_the_constant_is_named_with_the_gain_that_would_have_been_seen():
    record = confirmation([(rule("norm_balance", 1), around(0.8005, *OTHER)), BEST, LABELS])
    verdict = judge_confirmation(record)
    detectable = compare(record).detectable
    assert detectable is not None
    assert (verdict.kind, verdict.winner) == ("constant", "fixed-0.9")
    assert verdict.headline == "No rule beats the best constant λ = 0.9 here."
    assert (
        f"With 10 seeds a gain above {100 * detectable:.2f} points would have been seen four times in five."
        in verdict.evidence
    )
    assert "The nearest rule, norm balance, stands at +0.05 points (95 % interval −0." in verdict.evidence
    assert "if it is real, would take about" in verdict.evidence


def test_a_lead_that_does_not_survive_the_correction_is_told_as_such():
    lead = [(rule("a"), around(0.8009, *OTHER))]
    others = [(rule(f"b{n}"), around(0.80, *THIRD)) for n in range(9)]
    alone = judge_confirmation(confirmation([*lead, BEST]))
    among = judge_confirmation(confirmation([*lead, *others, BEST]))
    assert alone.kind == "rule"
    assert among.kind == "constant"
    assert "Among 10 rules such a lead is not rare by chance (p = 0." in among.evidence
    record = confirmation([*lead, BEST])
    p_value = compare(record).of("a").claim.p_value
    looks = int(0.05 / p_value) + 1
    looked = judge_confirmation(record.model_copy(update={"settings": {"seeds_asked": [10] * looks}}))
    assert looked.kind == "constant"
    assert f"Among {looks} looks such a lead is not rare by chance (p = " in looked.evidence


def test_a_rule_that_is_behind_the_constant_with_the_highest_test_score_does_not_win():
    record = confirmation(
        [(rule("a"), around(0.82, *OTHER)), BEST, (constant(0.5), around(0.82, *SEEDS))],
        validation={"fixed-0.9": around(0.85, *SEEDS)},
    )
    verdict = judge_confirmation(record)
    assert (verdict.kind, verdict.baseline) == ("constant", "fixed-0.9")
    assert "Against λ = 0.5, the constant with the highest test score, it is ±0.00 points" in verdict.evidence


def test_the_simplest_of_several_is_named_beside_the_one_with_the_highest_score():
    record = confirmation(
        [(rule("tree", 6), around(0.8205, *OTHER)), (rule("threshold", 3), around(0.82, *THIRD)), BEST]
    )
    verdict = judge_confirmation(record)
    assert verdict.winner == "threshold"
    assert (
        "Of the 2 rules that beat the constant, tree has the highest test score, but its lead over this one, which"
        " needs 3 numbers to its 6, cannot be told from noise: +0.05 points"
    ) in verdict.evidence


def test_a_simpler_rule_that_was_passed_over_is_named_with_the_reason():
    record = confirmation([(rule("tree", 6), around(0.83, *OTHER)), (rule("threshold", 3), around(0.82, *THIRD)), BEST])
    verdict = judge_confirmation(record)
    assert verdict.winner == "tree"
    assert "Threshold is simpler and beats the constant too, but tree is ahead of it: +1.00 points" in verdict.evidence
    assert "Of the 2 rules that beat the constant it has the highest test score." in verdict.evidence


def test_where_labels_alone_are_the_best_constant_no_use_of_the_teacher_is_claimed():
    record = confirmation([(rule("a"), around(0.74, *OTHER)), (constant(0.9), around(0.70, *SEEDS)), LABELS])
    verdict = judge_confirmation(record)
    assert verdict.headline == "No rule beats the best constant λ = 0 here."
    assert "nothing here shows that the teacher helps" in verdict.evidence


def test_a_teachers_help_within_the_noise_is_called_that():
    record = confirmation([(constant(0.9), around(0.7501, *SEEDS)), (constant(0.0), around(0.75, *OTHER))])
    verdict = judge_confirmation(record)
    assert verdict.headline == "The best constant is λ = 0.9; no rule was confirmed."
    assert "what the teacher adds is +0.01 points" in verdict.evidence
    assert "which cannot be told from noise" in verdict.evidence


def test_constants_of_the_same_weight_are_told_apart_by_their_learning_rate():
    record = confirmation(
        [BEST, (constant(0.9, learning_rate=0.03, key="fixed-0.9-at-norm_balance"), around(0.81, *SEEDS))]
    )
    verdict = judge_confirmation(record)
    assert verdict.headline == "The best constant is λ = 0.9 (learning rate 0.03); no rule was confirmed."


def test_before_the_last_seed_no_winner_is_named():
    record = confirmation([(rule("a"), [0.9] * 9 + [None]), (constant(0.5), [0.5] * 10)])
    verdict = judge_confirmation(record)
    assert (verdict.kind, verdict.winner, verdict.baseline) == ("incomplete", None, "fixed-0.5")
    assert verdict.headline == "The confirmation is not finished: 1 of 20 trainings are still to come."


def test_seeds_added_after_a_look_ask_for_a_clearer_lead():
    record = confirmation([(rule("a"), around(0.8009, *OTHER)), BEST])
    once = judge_confirmation(record)
    again = judge_confirmation(record.model_copy(update={"settings": {"seeds_asked": [3, 5, 7, 8, 9, 10]}}))
    assert once.kind == "rule"
    assert again.kind == "constant"
    assert "Seeds were added 5 times; for these looks each corrected p is 6 times as large." in again.caveat


def test_one_seed_names_no_winner():
    verdict = judge_confirmation(confirmation([(rule("a"), [0.9]), (constant(0.5), [0.5])]))
    assert (verdict.kind, verdict.winner) == ("incomplete", None)
    assert verdict.headline == "One seed cannot tell a lead from noise."


@pytest.mark.parametrize(
    "constants", [[], [(constant(0.5), [0.8, math.nan])]], ids=["no constant", "a constant that lost a seed"]
)
def test_without_a_constant_nothing_is_confirmed(constants):
    verdict = judge_confirmation(confirmation([(rule("a"), [0.9, 0.9]), *constants]))
    assert (verdict.kind, verdict.winner, verdict.baseline) == ("incomplete", None, None)
    assert verdict.headline.startswith("Nothing is confirmed: no constant")


def test_a_training_without_a_score_is_told():
    lost = [*around(0.85, *OTHER)[:-1], math.nan]
    verdict = judge_confirmation(confirmation([(rule("a"), lost), (rule("b"), around(0.78, *OTHER)), BEST]))
    assert verdict.kind == "constant"
    assert "Left out, for a training that gave no finite score: a (seed 9)." in verdict.caveat
    assert "The nearest rule, b," in verdict.evidence


def test_identical_scores_are_no_lead_and_unknown_noise_is_said_to_be_unknown():
    same = [0.8] * 5
    known = judge_confirmation(confirmation([(rule("a"), same), (constant(0.5), same)], test_size=1_000))
    unknown = judge_confirmation(confirmation([(rule("a"), [0.9] * 5), (constant(0.5), same)], test_size=None))
    assert (known.kind, unknown.kind) == ("constant", "constant")
    assert "a gain above 0." in known.evidence
    assert "The noise between the 5 seeds is not known" in unknown.evidence


def test_a_kpi_of_the_users_own_is_named_and_written_in_its_own_values():
    record = confirmation(
        [
            (rule("a"), [0.30, 0.31, 0.29, 0.31]),
            (constant(0.5), [0.40, 0.42, 0.40, 0.41]),
            (constant(0.0), [0.50, 0.51, 0.50, 0.52]),
        ],
        kpi=Objective(name="nll", direction="minimize"),
    )
    verdict = judge_confirmation(record)
    assert verdict.headline == "A beats the best constant λ = 0.5 by 0.105 of test nll."
    assert "It reaches 0.3025, the constant 0.4075: +0.105 (95 % interval +0.0958 to +0.114)" in verdict.evidence
    assert "Labels alone reach 0.5075" in verdict.evidence
    assert "Gains are signed so that more is better." in verdict.caveat


def test_judging_imports_neither_torch_nor_ray_nor_mlflow():
    record = confirmation([(rule("norm_balance", 1), around(0.82, *OTHER)), BEST])
    program = """
import sys
from search.evidence import judge_confirmation
from search.confirmation import ConfirmationRecord
early = {"scipy", "statsmodels"} & sys.modules.keys()
verdict = judge_confirmation(ConfirmationRecord.model_validate_json(sys.stdin.read()))
print(verdict.kind, *early, *({"torch", "ray", "mlflow", "matplotlib"} & sys.modules.keys()))
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        input=record.model_dump_json(),
        capture_output=True,
        text=True,
        check=False,
        cwd=pathlib.Path(__file__).parents[2],
    )
    assert done.stdout.split() == ["rule"], done.stderr
