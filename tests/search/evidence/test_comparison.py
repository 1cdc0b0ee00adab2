import math

import pytest
from scipy import stats

from search.evidence import compare
from search.evidence.statistics.paired import holm
from search.evidence.statistics.power import detectable_effect, shortfall
from tests.search.evidence_record import around, confirmation, constant, rule
from trainables.records.objective import Objective

SEEDS = (0.1, -0.1, 0.2, -0.2, 0.0)
SHIFTED = (0.3, -0.2, 0.1, -0.1, 0.2)


def test_the_baseline_is_chosen_on_validation_and_its_test_score_may_be_the_lower():
    comparison = compare(
        confirmation(
            [(constant(0.5), around(0.80, *SEEDS)), (constant(0.9), around(0.81, *SEEDS))],
            validation={"fixed-0.5": around(0.83, *SEEDS), "fixed-0.9": around(0.82, *SEEDS)},
        )
    )
    assert comparison.baseline == "fixed-0.5"
    assert comparison.highest == "fixed-0.9"


@pytest.mark.parametrize("weight", [0.0, 1.0])
def test_labels_alone_and_teacher_alone_may_be_the_baseline(weight):
    record = confirmation([(constant(0.5), around(0.80, *SEEDS)), (constant(weight), around(0.82, *SEEDS))])
    assert compare(record).baseline == f"fixed-{weight:g}"


def test_a_constant_retried_at_a_rules_learning_rate_may_be_the_baseline():
    record = confirmation(
        [
            (constant(0.9), around(0.80, *SEEDS)),
            (constant(0.9, learning_rate=0.03, key="fixed-0.9-at-norm_balance"), around(0.82, *SEEDS)),
        ]
    )
    assert compare(record).baseline == "fixed-0.9-at-norm_balance"


def test_a_rule_is_held_against_the_constant_that_is_harder_to_beat():
    record = confirmation(
        [
            (rule("norm_balance"), around(0.82, *SHIFTED)),
            (constant(0.5), around(0.80, *SEEDS)),
            (constant(0.9), around(0.82, *SEEDS)),
        ],
        validation={"fixed-0.5": around(0.83, *SEEDS), "fixed-0.9": around(0.82, *SEEDS)},
    )
    row = compare(record).of("norm_balance")
    assert row.difference.mean == pytest.approx(0.0206)
    assert row.claim.hardest == "fixed-0.9"
    peer = stats.ttest_rel(
        around(0.82, *SHIFTED),
        around(0.82, *SEEDS),
    )
    assert row.claim.p_value == pytest.approx(peer.pvalue)
    assert not row.claim.stands


def test_p_values_are_corrected_for_the_number_of_rules_and_not_for_constants():
    record = confirmation(
        [
            (rule("a"), around(0.806, *SHIFTED)),
            (rule("b"), around(0.804, *SHIFTED)),
            (rule("c"), around(0.79, *SHIFTED)),
            (constant(0.5), around(0.80, *SEEDS)),
            (constant(0.0), around(0.75, *SEEDS)),
            (constant(1.0), around(0.76, *SEEDS)),
        ]
    )
    comparison = compare(record)
    claims = [comparison.of(key).claim for key in "abc"]
    assert comparison.rules == 3
    p_values = [claim.p_value for claim in claims if claim is not None]
    assert p_values[2] == 1.0  # it is behind, so it claims nothing
    assert [claim.p_corrected for claim in claims if claim is not None] == pytest.approx(holm(p_values))
    alone = comparison.of("fixed-0")
    assert alone.claim is None
    assert alone.difference.mean == pytest.approx(-0.05)


def test_the_detectable_gain_clears_the_higher_constant_too():
    scores = [(rule("a"), around(0.80, *SHIFTED)), (constant(0.5), around(0.80, *SEEDS))]
    (alone,) = [row.claim for row in compare(confirmation(scores)).rows if row.claim is not None]
    deviation = stats.tstd([a - b for a, b in zip(SHIFTED, SEEDS, strict=True)]) / 100
    assert alone.detectable == pytest.approx(detectable_effect(5, 1) * deviation / shortfall(5))
    both = confirmation(
        [*scores, (constant(0.9), around(0.81, *SEEDS))],
        validation={"fixed-0.5": around(0.9, *SEEDS), "fixed-0.9": around(0.8, *SEEDS)},
    )
    (claim,) = [row.claim for row in compare(both).rows if row.claim is not None]
    assert claim.detectable == pytest.approx(alone.detectable + 0.01)


def test_the_winners_curse_is_search_score_minus_fresh_validation_score():
    record = confirmation(
        [
            (rule("a", search_score=0.84), around(0.80, *SEEDS)),
            (rule("b"), around(0.80, *SEEDS)),
            (constant(0.5, search_score=0.82), around(0.80, *SEEDS)),
        ],
        validation={"a": around(0.81, *SEEDS), "fixed-0.5": around(0.81, *SEEDS)},
    )
    comparison = compare(record)
    assert comparison.of("a").optimism == pytest.approx(0.03)
    assert comparison.of("b").optimism is None
    assert comparison.optimism == pytest.approx(0.02)


def test_a_rule_that_lost_a_seed_claims_nothing_but_still_counts_in_the_correction():
    record = confirmation(
        [
            (rule("a"), [0.90, 0.91, math.nan, 0.90, 0.91]),
            (rule("b"), around(0.81, *SHIFTED)),
            (constant(0.5), around(0.80, *SEEDS)),
        ]
    )
    comparison = compare(record)
    row = comparison.of("a")
    assert row.lost == (2,)
    assert row.test == pytest.approx(0.905)
    assert row.claim.p_value == 1.0
    other = comparison.of("b").claim
    # Four seeds cannot tell what five would have shown.
    assert row.claim.detectable is None
    assert comparison.detectable == other.detectable is not None
    assert other.p_corrected == pytest.approx(2 * other.p_value)


def test_a_constant_that_lost_a_seed_is_not_the_baseline():
    record = confirmation([(constant(0.5), around(0.8, *SEEDS)), (constant(0.9), [0.9, math.nan, 0.9, 0.9, 0.9])])
    assert compare(record).baseline == "fixed-0.5"
    assert compare(confirmation([(constant(0.9), [0.9, math.nan])])).baseline is None


def test_seeds_still_to_come_are_told_and_the_rest_is_compared():
    record = confirmation([(rule("a"), [0.81, 0.82, None]), (constant(0.5), [0.80, 0.80, 0.81])])
    row = compare(record).of("a")
    assert row.absent == (2,)
    assert row.difference.seeds == (0, 1)
    assert not row.claim.stands


def test_a_kpi_of_which_less_is_better_is_compared_the_right_way_round():
    record = confirmation(
        [
            (rule("a"), [0.30, 0.31, 0.29, 0.31]),
            (constant(0.5), [0.40, 0.42, 0.40, 0.41]),
            (constant(0.9), [0.50, 0.51, 0.50, 0.52]),
        ],
        kpi=Objective(name="nll", direction="minimize"),
        test_size=4,
    )
    comparison = compare(record)
    assert comparison.baseline == "fixed-0.5"
    row = comparison.of("a")
    assert row.test == pytest.approx(-0.3025)
    assert row.difference.mean == pytest.approx(0.105)
    assert row.difference.deviation == pytest.approx(stats.tstd([0.10, 0.11, 0.11, 0.10]))  # not in steps of pictures
    assert row.claim.stands


def test_every_look_shares_the_level():
    record = confirmation([(rule("a"), around(0.804, *SHIFTED)), (constant(0.5), around(0.80, *SEEDS))])
    (once,) = [row.claim for row in compare(record).rows if row.claim is not None]
    grown = compare(record.model_copy(update={"settings": {"seeds_asked": [3, 5]}}))
    (twice,) = [row.claim for row in grown.rows if row.claim is not None]
    assert grown.looks == 2
    assert twice.p_value == once.p_value
    assert twice.p_corrected == pytest.approx(2 * once.p_corrected)
    assert twice.detectable == pytest.approx(once.detectable * detectable_effect(5, 2) / detectable_effect(5, 1))


def test_an_unknown_key_is_an_error():
    with pytest.raises(KeyError):
        compare(confirmation([(constant(0.5), [0.8, 0.81])])).of("nobody")
