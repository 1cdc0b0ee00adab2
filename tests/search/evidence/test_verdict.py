import math
import pathlib
import re
import subprocess
import sys

import numpy as np
import pytest

from search.evidence import compare, judge_confirmation
from search.records.facts import ConstantFacts, RangeEnd
from tests.search.evidence_record import around, confirmation, constant, on_samples, rule
from trainables.records.objective import Objective

SEEDS = (0.1, -0.1, 0.2, -0.2, 0.0, 0.1, -0.1, 0.2, -0.2, 0.0)
OTHER = (0.2, -0.2, 0.1, -0.1, 0.1, 0.0, -0.1, 0.1, -0.2, 0.1)
THIRD = (0.0, 0.1, 0.1, -0.1, -0.1, 0.2, -0.2, 0.2, -0.1, -0.1)
LABELS = (constant(0.0), around(0.75, *OTHER))
LABELS3 = (constant(0.0), [0.75, 0.751, 0.749])
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
    assert verdict.evidence.startswith(
        f"Norm balance reaches 82.00 %, the constant 80.00 %: +2.00 points (95 % interval +{100 * gain.low:.2f} to"
        f" +{100 * gain.high:.2f}, seeds only), paired over 10 seeds; p < 0.001 after Holm's correction for 2 rules."
    )
    assert "Labels alone reach 75.00 % and the teacher itself 93.00 %." in verdict.evidence
    assert "search scores were better than their validation scores on fresh seeds by 1.00 points" in verdict.caveat
    assert "on these 10,000 test samples" in verdict.caveat
    assert verdict.text == f"{verdict.worth.text} {verdict.headline} {verdict.evidence} {verdict.caveat}"


def test_where_every_rule_gains_less_than_is_worth_it_the_constant_is_to_be_used():
    record = confirmation([(rule("norm_balance", 1), around(0.8005, *OTHER)), BEST, LABELS])
    verdict = judge_confirmation(record)
    assert (verdict.kind, verdict.winner, verdict.smallest_gain) == ("constant", "fixed-0.9", 0.005)
    assert verdict.headline == "Use λ = 0.9: no rule is worth it here."
    gain = compare(record).of("norm_balance").difference
    assert verdict.largest_gain == gain.high
    assert (
        "With 97.5 % confidence any of these rules, as tuned here, gains at most"
        f" {100 * gain.high:.2f} points over λ = 0.9, and 0.50 points would be worth a rule." in verdict.evidence
    )
    assert "The nearest rule, norm balance, stands at +0.05 points (95 % interval −0." in verdict.evidence


def test_one_rule_that_may_gain_enough_keeps_the_first_answer_away():
    wild = (1.5, -1.5, 1.0, -1.0, 2.0, -2.0, 0.5, -0.5, 1.0, -1.0)
    near = (rule("near"), around(0.8005, *OTHER))
    assert judge_confirmation(confirmation([near, BEST])).kind == "constant"
    assert judge_confirmation(confirmation([near, (rule("wild"), around(0.80, *wild)), BEST])).kind == "cannot_tell"


def test_a_real_gain_below_the_smallest_that_is_worth_it_is_told_beside_the_first_answer():
    record = confirmation([(rule("a"), around(0.802, *OTHER)), BEST])
    verdict = judge_confirmation(record)
    assert (verdict.kind, verdict.winner) == ("constant", "fixed-0.9")
    assert "A is ahead by +0.20 points" in verdict.evidence
    assert "a real gain, but smaller than what is worth a rule" in verdict.evidence
    less = confirmation([(rule("a"), around(0.802, *OTHER)), BEST], smallest_gain=0.1)
    assert judge_confirmation(less).kind == "rule"


def test_few_seeds_that_could_only_have_seen_a_large_gain_cannot_tell():
    record = confirmation([(rule("a"), [0.802, 0.79, 0.812]), (constant(0.9), [0.80, 0.801, 0.80]), LABELS3])
    verdict = judge_confirmation(record)
    assert (verdict.kind, verdict.winner) == ("cannot_tell", "fixed-0.9")
    assert verdict.headline == "Cannot tell yet whether a rule beats the best constant λ = 0.9."
    assert "Until then use λ = 0.9, the safe choice: 80.03 % on the test set." in verdict.evidence
    settling = verdict.settling
    assert settling.seeds > 3
    assert settling.command == f"kd-search confirm made-up --seeds {settling.seeds}"
    assert f"About {settling.seeds} seeds would settle it" in verdict.evidence


def test_the_seeds_said_to_settle_it_mostly_do():
    """The gain is 1 point, and the differences have a deviation of 1.5."""
    rng = np.random.default_rng(3)
    first = confirmation([(rule("a"), around(0.81, *unit(rng, 4, 1.5))), (constant(0.9), [0.80] * 4)])
    settling = judge_confirmation(first).settling
    kinds = [
        judge_confirmation(
            confirmation(
                [
                    (rule("a"), around(0.81, *(1.5 * rng.standard_normal(settling.seeds)))),
                    (constant(0.9), [0.80] * settling.seeds),
                ]
            ).model_copy(update={"settings": {"seeds_asked": [4, settling.seeds]}})
        ).kind
        for _ in range(60)
    ]
    assert kinds.count("rule") >= 40


def unit(rng, count, deviation):
    """Draw numbers of mean 0 with exactly this standard deviation."""
    values = rng.standard_normal(count)
    return deviation * (values - values.mean()) / values.std(ddof=1)


def test_a_disagreement_on_few_test_samples_keeps_the_first_answer_out_of_reach_and_says_so():
    rng = np.random.default_rng(0)
    base = np.tile(rng.random(497) < 0.8, (10, 1))
    base[:, :8], base[:, 8:16] = True, False
    other = base.copy()
    other[:, :16] ^= True  # 3 % of the samples, under every seed
    record = on_samples({"a": other, "fixed-0.9": base}, [rule("a"), constant(0.9)])
    verdict = judge_confirmation(record, "patients")
    assert verdict.kind == "cannot_tell"
    settling = verdict.settling
    assert (settling.seeds, settling.command) == (None, None)
    assert "No number of seeds can show on these 497 test patients that no rule is worth it" in settling.text
    assert "the choice of patients alone leaves ±1." in settling.text
    # By the seeds alone the interval would be far narrower.
    blind = record.model_copy(update={"results": tuple(r.model_copy(update={"samples": {}}) for r in record.results)})
    assert compare(blind).of("a").difference.high < compare(record).of("a").difference.high / 3


def test_the_intervals_say_whether_they_hold_for_new_test_samples():
    rng = np.random.default_rng(1)
    right = {key: rng.random((5, 400)) < share for key, share in (("a", 0.9), ("fixed-0.5", 0.7))}
    both = judge_confirmation(on_samples(right, [rule("a"), constant(0.5)]), "patients")
    assert "seeds only" not in both.text
    assert "of the training seeds and of the choice of 400 test patients" in both.caveat
    seeds = judge_confirmation(confirmation([(rule("a"), around(0.85, *OTHER)), BEST]))
    assert "seeds only)" in seeds.evidence
    assert "of the training seeds only, on these 10,000 test samples" in seeds.caveat


@pytest.mark.parametrize("facts", [None, ConstantFacts(reason="the budget ended before")], ids=["older", "budget"])
def test_a_rule_cannot_be_called_better_than_a_constant_that_was_not_bracketed(facts):
    record = confirmation([(rule("a"), around(0.83, *OTHER)), BEST], constant=facts)
    verdict = judge_confirmation(record)
    assert (verdict.kind, verdict.winner, verdict.settling) == ("cannot_tell", "fixed-0.9", None)
    assert "A is ahead of the best constant that was tried by +3.00 points" in verdict.evidence
    assert "no number of seeds can tell" in verdict.evidence
    none = judge_confirmation(confirmation([(rule("a"), around(0.80, *OTHER)), BEST], constant=facts))
    assert none.kind == "constant"  # a better constant would leave even less for a rule
    assert "The constant was not bracketed (" in none.caveat


def test_an_end_of_the_range_is_told_beside_the_answer():
    ends = (RangeEnd(finalist="fixed-0.9", setting="learning_rate", value=0.1, end="high", limit=0.1),)
    record = confirmation(
        [(rule("a"), around(0.83, *OTHER)), BEST], constant=ConstantFacts(bracketed=True, chosen="fixed-0.9", ends=ends)
    )
    told = "λ = 0.9: the best learning rate (0.1) lies at the upper end of the range; widen it before believing this."
    assert judge_confirmation(record).caveat.startswith(told)


def test_one_end_that_several_finalists_lie_at_is_told_once():
    ends = tuple(
        RangeEnd(finalist=key, setting="learning_rate", value=0.1, end="high", limit=0.1) for key in ("a", "fixed-0.9")
    )
    record = confirmation(
        [(rule("a"), around(0.80, *OTHER)), BEST], constant=ConstantFacts(bracketed=True, chosen="fixed-0.9", ends=ends)
    )
    caveat = judge_confirmation(record).caveat
    assert caveat.count("lies at the upper end of the range") == 1
    assert "λ = 0.9 and 1 other finalist: the best learning rate (0.1)" in caveat


def test_uses_of_the_test_set_are_told_from_the_second_on():
    record = confirmation([(rule("a"), around(0.83, *OTHER)), BEST])
    assert "has been used" not in judge_confirmation(record.model_copy(update={"test_uses": 1})).caveat
    told = judge_confirmation(record.model_copy(update={"test_uses": 20})).caveat
    assert "This test set has been used by 20 confirmations in this storage." in told
    assert "a chance of up to 64 %" in told


def test_a_lead_that_does_not_survive_the_correction_is_told_as_such():
    lead = [(rule("a"), around(0.8009, *OTHER))]
    others = [(rule(f"b{n}"), around(0.80, *THIRD)) for n in range(9)]
    alone = judge_confirmation(confirmation([*lead, BEST], smallest_gain=0.05))
    among = judge_confirmation(confirmation([*lead, *others, BEST], smallest_gain=0.05))
    assert alone.kind == "rule"
    assert among.kind == "cannot_tell"
    assert "Among 10 rules such a lead is not rare by chance (p = 0." in among.evidence
    record = confirmation([*lead, BEST], smallest_gain=0.05)
    p_value = compare(record).of("a").claim.p_value
    looks = int(0.05 / p_value) + 1
    looked = judge_confirmation(record.model_copy(update={"settings": {"seeds_asked": [10] * looks}}))
    assert looked.kind == "cannot_tell"
    assert f"Among {looks} looks such a lead is not rare by chance (p = " in looked.evidence


def test_a_rule_that_is_behind_the_constant_with_the_highest_test_score_does_not_win():
    record = confirmation(
        [(rule("a"), around(0.82, *OTHER)), BEST, (constant(0.5), around(0.82, *SEEDS))],
        validation={"fixed-0.9": around(0.85, *SEEDS)},
    )
    verdict = judge_confirmation(record)
    assert (verdict.kind, verdict.baseline) == ("cannot_tell", "fixed-0.9")
    assert "It is not shown to be ahead of λ = 0.5, the constant with the highest test score." in verdict.evidence


def test_a_rule_must_beat_the_rivals_of_the_constant_too_and_has_one_gain():
    constants = [BEST, (constant(0.5), around(0.8199, *THIRD)), (constant(0.7, 0.03), around(0.78, *THIRD))]
    fast = rule("a").model_copy(update={"shared": {"learning_rate": 0.03}})
    facts = ConstantFacts(bracketed=True, chosen="fixed-0.9", rivals=("fixed-0.5",))
    scores = [(fast, around(0.83, *OTHER)), *constants]
    verdict = judge_confirmation(
        confirmation(scores, validation=dict.fromkeys(("fixed-0.5",), [0.80] * 10), constant=facts)
    )
    assert (verdict.kind, verdict.baseline) == ("rule", "fixed-0.9")
    assert "The lead also holds against λ = 0.5, the constant with the highest test score." in verdict.evidence
    assert set(re.findall(r"[+−]\d\.\d\d points", verdict.evidence)) == {"+3.00 points"}


def test_the_simplest_of_several_is_named_beside_the_one_with_the_highest_score():
    record = confirmation(
        [(rule("tree", 6), around(0.8205, *OTHER)), (rule("threshold", 3), around(0.82, *THIRD)), BEST]
    )
    verdict = judge_confirmation(record)
    assert verdict.winner == "threshold"
    assert (
        "Among the 2 rules that beat the constant, tree has the highest test score, but its lead over this one, which"
        " needs 3 numbers instead of 6, cannot be told from noise: +0.05 points"
    ) in verdict.evidence


def test_a_simpler_rule_that_was_passed_over_is_named_with_the_reason():
    record = confirmation([(rule("tree", 6), around(0.83, *OTHER)), (rule("threshold", 3), around(0.82, *THIRD)), BEST])
    verdict = judge_confirmation(record)
    assert verdict.winner == "tree"
    assert "Threshold is simpler and beats the constant too, but tree is ahead of it: +1.00 points" in verdict.evidence
    assert "Among the 2 rules that beat the constant it has the highest test score." in verdict.evidence


def test_labels_alone_may_be_the_constant_to_use():
    record = confirmation([(rule("a"), around(0.74, *OTHER)), (constant(0.9), around(0.70, *SEEDS)), LABELS])
    verdict = judge_confirmation(record)
    assert verdict.headline == "Use λ = 0: no rule is worth it here."
    assert verdict.worth.kind == "does_not_pay"


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
    record = confirmation([(rule("a"), around(0.8015, *OTHER)), BEST], smallest_gain=0.1)
    once = judge_confirmation(record)
    again = judge_confirmation(record.model_copy(update={"settings": {"seeds_asked": list(range(100))}}))
    assert once.kind == "rule"
    assert again.kind == "cannot_tell"
    assert "Seeds were added 99 times; for these looks each corrected p is 100 times as large." in again.caveat


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
    assert (known.kind, unknown.kind) == ("constant", "cannot_tell")
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
    assert (
        "A reaches 0.3025, the constant 0.4075: +0.105 (95 % interval +0.0958 to +0.114, seeds only)"
        in verdict.evidence
    )
    assert "Labels alone reach 0.5075" in verdict.evidence
    assert "Gains are signed so that more is better." in verdict.caveat


def test_without_a_smallest_gain_of_a_kpi_the_first_answer_is_not_given():
    scores = [(rule("a"), [0.401, 0.42, 0.40, 0.41]), (constant(0.5), [0.40, 0.42, 0.40, 0.41])]
    nll = Objective(name="nll", direction="minimize")
    unset, given = (judge_confirmation(confirmation(scores, kpi=nll, smallest_gain=gain)) for gain in (None, 0.05))
    assert (unset.kind, given.kind) == ("cannot_tell", "constant")
    assert "`confirm.smallest_gain` is not set" in unset.evidence


def test_judging_imports_neither_torch_nor_ray_nor_mlflow():
    record = confirmation([(rule("norm_balance", 1), around(0.82, *OTHER)), BEST])
    program = """
import sys
from search.evidence import judge_confirmation
from search.records.confirmation import ConfirmationRecord
early = {"scipy"} & sys.modules.keys()
verdict = judge_confirmation(ConfirmationRecord.model_validate_json(sys.stdin.read()))
print(verdict.kind, *early, *({"torch", "ray", "mlflow", "matplotlib"} & sys.modules.keys()))
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        input=record.model_dump_json(),
        capture_output=True,
        text=True,
        check=False,
        cwd=pathlib.Path(__file__).parents[3],
    )
    assert done.stdout.split() == ["rule"], done.stderr
