"""Samplers by name: each runs a whole search's studies, and a mistake is told."""

import typing

import pytest

from search.config import SamplerName, load_config
from search.samplers import SAMPLERS, STARTUP_TRIALS
from search.searcher import FairSearch
from trainables.errors import ConfigError

FAMILIES = 'families=["fixed", "norm_balance"]'


def weights(sampler, trials=STARTUP_TRIALS + 2, interrupted=None):
    """What is proposed for `fixed` where 0.3 is best; if asked for, with a stop in the middle that is kept there."""
    config = load_config(
        "digits-quick", [f"sampler={sampler}", FAMILIES, f"trials_per_family={trials}", "baselines=[]"]
    )
    searcher, proposed = FairSearch(config), []
    for number in range(config.total_trials):
        if interrupted is not None and number == config.total_trials - 2:
            searcher.save(str(interrupted))
            searcher = FairSearch(config)
            searcher.restore(str(interrupted))
        suggestion = searcher.suggest(str(number))
        weight = suggestion.get("fixed.weight", 0.0)
        proposed += [weight] if suggestion["family"] == "fixed" else []
        searcher.on_trial_complete(str(number), {"score": 1.0 - (weight - 0.3) ** 2})
    return proposed


def test_what_a_search_file_may_name_is_what_there_is():
    assert set(typing.get_args(SamplerName)) == set(SAMPLERS)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_sampler_proposes_the_same_again_after_a_stop_and_nothing_twice(sampler, tmp_path):
    proposed = weights(sampler)
    assert proposed == weights(sampler, interrupted=tmp_path / "state")
    assert len(set(proposed)) == len(proposed)
    assert all(0.0 <= weight <= 1.0 for weight in proposed)


def test_samplers_differ():
    assert len({tuple(weights(sampler)) for sampler in SAMPLERS}) == len(SAMPLERS)


def test_tpe_learns_and_random_does_not():
    def late(sampler):
        return sum(abs(weight - 0.3) < 0.15 for weight in weights(sampler, trials=30)[-12:])

    assert late("tpe") >= 6 > late("random")


def test_an_unknown_sampler_is_told():
    with pytest.raises(ConfigError, match="`sampler` should be 'tpe', 'gp', 'qmc' or 'random', but got 'cma'"):
        load_config("digits-quick", ["sampler=cma"])
