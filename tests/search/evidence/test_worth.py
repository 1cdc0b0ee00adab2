import pytest

from search.evidence import judge_confirmation
from search.evidence.answer import worth_answer
from search.records.facts import ConstantFacts
from search.records.search import SearchRecord, TrialRecord
from tests.search.evidence_record import around, confirmation, constant, rule
from tests.search.tiny import tiny_config
from trainables.records.trial import ReplicateResult, TrialHistory

OURS = (0.2, -0.2, 0.1, -0.1, 0.1, 0.0, -0.1, 0.1, -0.2, 0.1)
LABELS = (0.1, -0.1, 0.2, -0.2, 0.0, 0.1, -0.1, 0.2, -0.2, 0.0)
ALONE = (constant(0.0), around(0.75, *LABELS))


def worth_it(record):
    return judge_confirmation(record).worth


def test_distillation_pays_where_the_best_of_everything_beats_the_labels_alone():
    worth = worth_it(confirmation([(rule("a"), around(0.82, *OURS)), (constant(0.9), around(0.80, *OURS)), ALONE]))
    assert (worth.kind, worth.best, worth.labels) == ("pays", "a", "fixed-0")
    assert worth.text.startswith("Distillation pays here: +7.0")


def test_it_pays_by_a_constant_alone():
    worth = worth_it(confirmation([(constant(0.9), around(0.80, *OURS)), ALONE]))
    assert (worth.kind, worth.best) == ("pays", "fixed-0.9")
    assert worth.gain.low > 0.049


def test_it_does_not_pay_where_everything_gains_too_little():
    worth = worth_it(confirmation([(rule("a"), around(0.751, *OURS)), (constant(0.9), around(0.7505, *OURS)), ALONE]))
    assert worth.kind == "does_not_pay"
    assert "over the labels alone at most, less than the 0.50 points that would be worth it." in worth.text


def test_one_finalist_that_may_gain_enough_is_reason_not_to_tell():
    wild = (3.5, -3.5, 3.0, -3.0, 4.0, -4.0, 2.5, -2.5, 1.0, -1.0)
    worth = worth_it(confirmation([(rule("a"), around(0.751, *wild)), (constant(0.9), around(0.7505, *OURS)), ALONE]))
    assert worth.kind == "cannot_tell"
    assert worth.text.startswith("Cannot tell whether distillation pays here: ")
    assert worth.settling.text


def test_more_seeds_that_would_settle_it_are_told_with_their_command():
    noisy = tuple(4.0 * step for step in OURS)
    worth = worth_it(confirmation([(constant(0.9), around(0.753, *noisy)), ALONE]))
    assert worth.kind == "cannot_tell"
    assert worth.settling.seeds > len(OURS)
    assert worth.settling.command == f"kd-search confirm made-up --seeds {worth.settling.seeds}"


def test_where_the_labels_alone_are_the_choice_the_level_is_shared_by_all_others():
    few = confirmation([(rule("a"), around(0.74, *OURS)), ALONE])
    many = confirmation([*((rule(f"r{n}"), around(0.74 - n / 1000, *OURS)) for n in range(9)), ALONE])
    one, shared = worth_it(few), worth_it(many)
    assert (one.best, shared.best) == ("a", "r0")
    assert one.gain.mean == shared.gain.mean
    assert shared.gain.low < one.gain.low


def test_without_labels_alone_or_before_the_end_nothing_is_said():
    assert worth_it(confirmation([(rule("a"), around(0.82, *OURS)), (constant(0.9), around(0.80, *OURS))])) is None
    assert worth_it(confirmation([(rule("a"), [0.8, None]), (constant(0.0), [0.7, 0.7])])) is None


def test_distillation_must_gain_more_than_labels_alone_at_another_learning_rate_may():
    entries = [(constant(0.9), around(0.80, *OURS)), ALONE]
    known = ConstantFacts(bracketed=True, chosen="fixed-0.9", labels_loss=0.02)
    guessed = known.model_copy(update={"labels_loss": 0.08})
    assert worth_it(confirmation(entries, constant=known)).kind == "pays"
    worth = worth_it(confirmation(entries, constant=guessed))
    assert worth.kind == "cannot_tell"
    assert worth.text.endswith("These may do better at a learning rate that was not tried, by 8.00 points.")
    assert worth.settling.seeds is None
    untried = known.model_copy(update={"labels_loss": None})
    assert worth_it(confirmation(entries, constant=untried)).kind == "cannot_tell"


@pytest.mark.parametrize(
    ("seeds", "said"),
    [(0, "has no training on the labels alone"), (2, "under 2 of 3 seeds only, at 49.00 %, and were behind")],
)
def test_an_unconfirmed_search_tells_of_labels_alone_that_left_the_race(seeds, said):
    replicates = tuple(ReplicateResult.model_construct(seed=seed) for seed in range(seeds))
    alone = TrialRecord.model_construct(
        number=1,
        family="fixed",
        parameters={"weight": 0.0},
        status="eliminated",
        history=TrialHistory.model_construct(replicates=replicates, score=0.49 if seeds else None),
    )
    config = tiny_config("racing=true", "replicates=3")
    search = SearchRecord(name="tiny", config=config, teacher_accuracy=0.99).model_copy(update={"trials": (alone,)})
    assert said in worth_answer(search, None, None).text
