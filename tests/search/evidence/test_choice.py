import pytest

from search.evidence.choice import Choice, choose
from search.evidence.comparison import compare
from search.records.confirmation import ConfirmationRecord
from tests.search.evidence_record import around, confirmation, constant, rule

SEEDS = (0.1, -0.1, 0.2, -0.2, 0.0, 0.1, -0.1, 0.2, -0.2, 0.0)
OTHER = (0.2, -0.2, 0.1, -0.1, 0.1, 0.0, -0.1, 0.1, -0.2, 0.1)
THIRD = (0.0, 0.1, 0.1, -0.1, -0.1, 0.2, -0.2, 0.2, -0.1, -0.1)
CONSTANT = (constant(0.9), around(0.80, *SEEDS))


def chosen(record: ConfirmationRecord) -> Choice | None:
    return choose(record, compare(record))


def test_no_rule_is_chosen_where_none_beats_the_constant():
    assert (
        chosen(confirmation([CONSTANT, (rule("a"), around(0.80, *OTHER)), (rule("b"), around(0.79, *OTHER))])) is None
    )


def test_of_two_rules_within_the_noise_the_simpler_is_chosen():
    record = confirmation(
        [CONSTANT, (rule("tree", 6), around(0.8205, *OTHER)), (rule("threshold", 3), around(0.82, *THIRD))]
    )
    choice = chosen(record)
    assert choice.winner == "threshold"
    assert choice.standing == ("threshold", "tree")
    assert choice.outdone == {}


def test_a_simpler_rule_that_is_clearly_behind_is_passed_over():
    record = confirmation(
        [CONSTANT, (rule("tree", 6), around(0.83, *OTHER)), (rule("threshold", 3), around(0.82, *THIRD))]
    )
    choice = chosen(record)
    assert choice.winner == "tree"
    assert choice.outdone == {"threshold": "tree"}


def test_a_simple_rule_that_does_not_beat_the_constant_is_not_chosen_however_close_it_is_to_one_that_does():
    wild = (1.5, -1.5, 1.0, -1.0, 2.0, -2.0, 0.5, -0.5, 1.0, -1.0)
    record = confirmation([CONSTANT, (rule("wild", 1), around(0.804, *wild)), (rule("tree", 6), around(0.806, *OTHER))])
    choice = chosen(record)
    assert choice.winner == "tree"
    assert choice.standing == ("tree",)


@pytest.mark.parametrize("better", ["a", "b"])
def test_among_rules_of_like_complexity_validation_decides_and_not_the_test_pictures(better):
    validation = {"a": around(0.84, *OTHER), "b": around(0.84, *THIRD)} | {better: around(0.85, *OTHER)}
    record = confirmation(
        [CONSTANT, (rule("a"), around(0.82, *OTHER)), (rule("b"), around(0.8205, *THIRD))], validation=validation
    )
    choice = chosen(record)
    assert choice.winner == better


def test_being_one_of_many_rules_does_not_make_the_simplest_look_outdone():
    """One of five rules leads by a difference that would be significant if it were the only one."""
    near = [
        (rule(f"tree_{n}", 6), around(0.82 + step / 100, *OTHER))
        for n, step in enumerate((0.15, 0.0, 0.01, -0.01, 0.02))
    ]
    record = confirmation([CONSTANT, *near, (rule("threshold", 3), around(0.82, *THIRD))])
    pair = confirmation([CONSTANT, near[0], (rule("threshold", 3), around(0.82, *THIRD))])
    alone, among = chosen(pair), chosen(record)
    assert alone.winner == "tree_0"
    assert among.winner == "threshold"
