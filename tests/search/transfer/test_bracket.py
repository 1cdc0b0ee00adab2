"""The constant that is tuned at scale, without any training."""

import pytest

from search.records import Finalist
from search.settings import Choices, Interval
from search.transfer.bracket import AT_A_TIME, TUNED, domain_of, next_constants, scores_of, tuned_of
from tests.search.evidence_record import confirmation, constant

RATES = Interval(low=1e-3, high=1e-2, log=True)
SHARED = {"learning_rate": RATES}


def tried(domain, score, most):
    """Return the record of constants that were tried one after the other, with made-up scores."""
    record = confirmation([(constant(0.5), [0.5, 0.5])]).model_copy(update={"finalists": (), "results": ()})
    while more := next_constants(domain, 0, record, most):
        scored = [
            *((finalist, list(record.scores(finalist.key).values())) for finalist in record.finalists),
            *((finalist, [score(finalist), score(finalist) + 0.001]) for finalist in more),
        ]
        record = confirmation(scored)
    return record


def peaked(finalist: Finalist):
    """Return a score that is highest at λ = 0.35."""
    return 0.8 - (float(finalist.parameters["weight"]) - 0.35) ** 2


def test_the_first_constant_is_the_pilots_at_the_nearest_allowed_settings():
    begin = constant(0.7, learning_rate=0.05)
    first, *_ = next_constants(domain_of(SHARED, begin), 0, tried(domain_of(SHARED, begin), peaked, 0), 12)
    assert (first.parameters["weight"], first.shared) == (0.7, {"learning_rate": 0.01})


def test_constants_are_proposed_in_pairs_up_to_the_most_and_always_the_same():
    domain = domain_of(SHARED, None)
    record = tried(domain, peaked, 7)
    assert len(record.finalists) == 7
    assert [f.key for f in record.finalists] == [f"constant-{index}" for index in range(7)]
    assert tried(domain, peaked, 7) == record
    assert len(next_constants(domain, 0, record, 20)) == AT_A_TIME


def test_the_best_constant_and_how_well_it_is_known_come_from_the_surface():
    domain = domain_of({}, constant(0.9))
    tuned = tuned_of(domain, tried(domain, peaked, 16))
    assert tuned.finalists[0].key == tuned.facts.chosen == TUNED
    assert float(tuned.finalists[0].parameters["weight"]) == pytest.approx(0.35, abs=0.06)
    assert tuned.facts.bracketed


def test_of_a_few_constants_the_best_one_is_taken_and_nothing_is_promised():
    domain = domain_of(SHARED, None)
    record = tried(domain, peaked, 3)
    tuned = tuned_of(domain, record)
    best = max(record.finalists, key=peaked)
    assert (tuned.finalists[0].parameters, tuned.finalists[0].shared) == (best.parameters, best.shared)
    assert not tuned.facts.bracketed
    assert tuned_of(domain, tried(domain, peaked, 0)) is None


def test_a_constant_without_a_finite_score_is_left_out():
    domain = domain_of(SHARED, None)
    record = confirmation([(constant(0.5, 0.002), [float("nan"), 0.5]), (constant(0.4, 0.002), [0.5, 0.5])])
    assert [score is None for score in scores_of(domain, record)] == [True, False]


def test_a_setting_that_is_kept_at_a_number_is_that_number_of_every_constant():
    domain = domain_of({**SHARED, "temperature": 4.0}, None)
    assert {f.shared["temperature"] for f in tried(domain, peaked, 4).finalists} == {4.0}
    listed = domain_of({"temperature": Choices(choices=(2.0, 8.0))}, None)
    assert {f.shared["temperature"] for f in tried(listed, peaked, 8).finalists} <= {2.0, 8.0}
