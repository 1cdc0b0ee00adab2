"""Proposals find what is planted."""

import typing

import numpy as np
import pytest

from search.propose import ENGINES, Observation, propose, seed_of
from search.propose.space import Variable
from search.settings.domains import Choices, Interval
from search.settings.search_file import SamplerName

LAG = 2
TEMPERATURE = {"temperature": Variable(Choices(choices=(2.0, 4.0, 8.0)), 4.0)}
REALS = {
    "a.x": Variable(Interval(low=0.0, high=1.0), 0.5),
    "a.y": Variable(Interval(low=0.1, high=10.0, log=True), 1.0),
}


def searched(sampler, variables, value, rounds, seed, noise, contexts=None):
    """Return one family's trials, and the value of each without noise."""
    contexts = contexts or {}
    random = np.random.default_rng(seed)
    trials, values = [], []
    for turn in range(rounds):
        context = {name: variable.domain.choices[turn % 3] for name, variable in contexts.items()}
        parameters = {name: variable.start() for name, variable in variables.items()}
        if turn:
            parameters = propose(
                variables,
                context=context,
                contexts=contexts,
                observed=trials[: max(0, turn - LAG + 1)],
                pending=trials[max(0, turn - LAG + 1) :],
                sampler=sampler,
                seed=seed_of(seed, "mlp", "a"),
                round_number=turn,
            )
        values.append(value({**parameters, **context}))
        trials.append(Observation(parameters, context, (values[-1] + noise * random.normal(),)))
    return trials, np.array(values)


def test_a_search_file_may_name_all_engines():
    assert set(typing.get_args(SamplerName)) == set(ENGINES)


def test_the_gaussian_process_finds_the_optimum_of_each_context():
    best = {2.0: 0.2, 4.0: 0.5, 8.0: 0.8}
    own = {"a.x": REALS["a.x"]}

    def value(point):
        return -(((point["a.x"] - best[point["temperature"]]) / 0.2) ** 2)

    def late(sampler, temperature):
        found = []
        for seed in range(3):
            trials, _ = searched(sampler, own, value, 48, seed, 1.0, TEMPERATURE)
            late = [trial for trial in trials[24:] if trial.context["temperature"] == temperature]
            found += [trial.parameters["a.x"] for trial in late]
        return np.mean(found)

    assert late("gp", 2.0) == pytest.approx(0.2, abs=0.12)
    assert late("gp", 8.0) == pytest.approx(0.8, abs=0.12)
    assert late("random", 8.0) == pytest.approx(0.5, abs=0.12)


def test_the_gaussian_process_regrets_less_than_random_on_average():
    def regret(sampler):
        lost = []
        for seed in range(25):
            best = np.random.default_rng(seed).uniform(size=2)

            def value(point, best=best):
                return (
                    -(((point["a.x"] - best[0]) / 0.3) ** 2) - ((np.log10(point["a.y"]) / 2 + 0.5 - best[1]) / 0.3) ** 2
                )

            trials, values = searched(sampler, REALS, value, 16, seed, 1.0)
            lost.append(-values[np.argmax([trial.values[0] for trial in trials])])
        return np.mean(lost)

    assert regret("gp") < regret("random") - 0.1


def test_nothing_is_proposed_twice_while_there_is_something_new():
    own = {
        "a.steps": Variable(Interval(low=1, high=4), 2, whole=True),
        "a.signal": Variable(Choices(choices=("loss", "norm", "cosine")), "loss"),
    }
    for sampler in ("gp", "qmc"):
        trials, _ = searched(sampler, own, lambda point: float(point["a.steps"]), 12, 0, 0.1)
        assert len({tuple(trial.parameters.values()) for trial in trials}) == 12
