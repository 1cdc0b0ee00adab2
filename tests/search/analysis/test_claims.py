"""Claims: what is planted is found with its sign; what is absent is claimed no more often than promised."""

import numpy as np
import pytest

from search.analysis.claims import judge, judge_claims, where_best
from tests.search.analysis_record import planted_record


def answers(claims):
    return {claim.name: claim.answer for claim in claims}


def test_a_best_weight_that_rises_with_the_cosine_is_found():
    record = planted_record(lambda cosine, ratio, progress: 0.4 + 0.5 * cosine, noise=0.05)
    similar, large_angle, longer = judge_claims(record, "task")
    assert (similar.answer, large_angle.answer) == ("supported", "supported")
    assert similar.effect.value / similar.reach == pytest.approx(0.5, abs=0.1)
    assert similar.effect.low < 0.5 * similar.reach < similar.effect.high
    assert large_angle.effect.value < 0 < large_angle.p_corrected < 0.05
    assert longer.answer != "supported"


def test_the_opposite_is_found_as_well():
    record = planted_record(lambda cosine, ratio, progress: 0.6 - 0.5 * cosine, noise=0.05)
    found = answers(judge_claims(record, "task"))
    assert (found["similar"], found["large_angle"]) == ("opposite", "opposite")


def test_a_norm_ratio_is_not_taken_for_an_angle():
    record = planted_record(lambda cosine, ratio, progress: 0.8 - 0.3 * ratio, noise=0.05)
    found = answers(judge_claims(record, "task"))
    assert found["longer"] == "supported"
    assert found["similar"] in ("not supported", "cannot be told")


def test_where_angle_and_norm_ratio_go_together_both_numbers_are_told():
    draws = np.random.default_rng(0)
    step, seed = np.tile(np.arange(15), 8), np.repeat(np.arange(8), 15)
    ratio = draws.normal(size=120)
    cosine = 0.3 * ratio + 0.1 * draws.normal(size=120)
    similar, _, longer = judge("task", 0.5 - 0.2 * ratio + 0.05 * draws.normal(size=120), cosine, ratio, step, seed)
    assert (similar.answer, longer.answer) == ("opposite", "supported")  # a rule on the cosine alone could use this
    assert similar.beside.low < 0.0 < similar.beside.high
    assert longer.beside.value == pytest.approx(longer.effect.value, abs=0.1)


def test_what_does_not_move_is_told_so():
    claims = judge_claims(planted_record(lambda *_: 1.0), "task")
    assert {claim.answer for claim in claims} == {"cannot be told"}
    assert all("at every probe" in claim.reason for claim in claims)


def test_a_small_effect_known_well_is_not_supported():
    record = planted_record(lambda cosine, ratio, progress: 0.5 + 0.01 * cosine, noise=0.002, seeds=8)
    similar, *_ = judge_claims(record, "task")
    assert similar.effect.high < 0.1
    assert similar.answer in ("not supported", "supported")
    blank = judge_claims(planted_record(lambda *_: 0.5, noise=0.01, seeds=8), "task")
    assert answers(blank)["similar"] == "not supported"


def test_two_seeds_are_too_few():
    similar, *_ = judge_claims(planted_record(lambda cosine, *_: cosine, seeds=2), "task")
    assert (similar.answer, similar.effect) == ("cannot be told", None)
    assert "3 seeds" in similar.reason


def courses(draws, seeds, probes, *, memory=0.7):
    """Return noise with a memory along each training, [seeds, probes]."""
    noise = draws.normal(size=(seeds, probes))
    for place in range(1, probes):
        noise[:, place] = memory * noise[:, place - 1] + np.sqrt(1 - memory**2) * noise[:, place]
    return noise


@pytest.mark.parametrize("seeds", [4, 10])
def test_what_is_not_there_is_claimed_at_most_as_often_as_promised(seeds):
    """Best λ, cosine and norm ratio share a trend along the training, but are otherwise independent."""
    draws, probes, simulations = np.random.default_rng(0), 12, 500
    progress = np.linspace(0, 1, probes)
    step, seed = np.tile(np.arange(probes), seeds), np.repeat(np.arange(seeds), probes)
    claimed = 0
    for _ in range(simulations):
        level = draws.normal(size=(3, seeds, 1))
        best, cosine, ratio = (
            trend + 0.3 * own + 0.3 * courses(draws, seeds, probes)
            for trend, own in zip((np.sqrt(progress), progress**3, -progress), level, strict=True)
        )
        best = np.clip(best, 0, 1)
        found = judge("task", *(x.ravel() for x in (best, cosine, ratio)), step, seed)
        claimed += any(claim.answer in ("supported", "opposite") for claim in found)
    assert claimed / simulations <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / simulations)


def test_where_the_best_weight_lies_and_what_it_goes_with():
    record = planted_record(lambda cosine, ratio, progress: 0.2 + 0.5 * progress, noise=0.02)
    found = where_best(record, "mean")
    assert found.low < found.mean < found.high
    assert found.mean == pytest.approx(0.2 + 0.5 * 7 / 15, abs=0.02)
    assert found.along["progress"] > 0.95
    assert found.clear == 1.0
    assert (found.at_zero, found.at_one) == (0.0, 0.0)
