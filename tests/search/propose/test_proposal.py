"""Proposals are pure functions: they depend on what is known and on nothing else."""

import numpy as np
import pytest

from search.propose import ENGINES, Observation, propose, seed_of
from search.propose.space import Variable
from search.settings.domains import Choices, Interval

OWN = {
    "rule.share": Variable(Interval(low=0.0, high=1.0), 0.5),
    "rule.rate": Variable(Interval(low=1e-3, high=1.0, log=True), 0.1),
    "rule.steps": Variable(Interval(low=1, high=9), 3, whole=True),
    "rule.signal": Variable(Choices(choices=("loss", "norm", "cosine")), "loss"),
    "rule.fixed": Variable(2.0, 2.0),
}
SHARED = {
    "learning_rate": Variable(Interval(low=1e-3, high=1e-1, log=True), 1e-2),
    "temperature": Variable(Choices(choices=(2.0, 4.0, 8.0)), 4.0),
}


def random_trials(count, objectives=1, seed=0):
    random = np.random.default_rng(seed)
    trials = []
    for place in range(count):
        parameters = propose(OWN, context={}, contexts={}, observed=[], sampler="random", seed=seed, round_number=place)
        context = propose(SHARED, context={}, contexts={}, observed=[], sampler="random", seed=-1, round_number=place)
        trials.append(Observation(parameters, context, tuple(random.normal(size=objectives))))
    return trials


def ask(sampler, observed, seed=1, **others):
    context = {"learning_rate": 3e-3, "temperature": 2.0}
    others = {"round_number": len(observed), **others}
    return propose(OWN, context=context, contexts=SHARED, observed=observed, sampler=sampler, seed=seed, **others)


@pytest.mark.parametrize("sampler", ENGINES)
@pytest.mark.parametrize("known", [0, 1, 4, 20])
def test_the_same_arguments_give_the_same_values(sampler, known):
    assert ask(sampler, random_trials(known)) == ask(sampler, random_trials(known))


@pytest.mark.parametrize("sampler", ENGINES)
@pytest.mark.parametrize("known", [0, 3, 12])
def test_a_value_of_its_kind_is_proposed_for_each_parameter_that_varies(sampler, known):
    proposed = ask(sampler, random_trials(known))
    assert set(proposed) == set(OWN) - {"rule.fixed"}
    assert isinstance(proposed["rule.steps"], int)
    assert all(variable.domain.low <= proposed[name] <= variable.domain.high for name, variable in intervals().items())
    assert proposed["rule.signal"] in ("loss", "norm", "cosine")


def intervals():
    return {name: variable for name, variable in OWN.items() if isinstance(variable.domain, Interval)}


@pytest.mark.parametrize("sampler", ENGINES)
def test_a_family_without_parameters_is_asked_for_nothing(sampler):
    fixed = {"rule.fixed": OWN["rule.fixed"]}
    assert propose(fixed, context={}, contexts=SHARED, observed=[], sampler=sampler, seed=0, round_number=1) == {}


@pytest.mark.parametrize("sampler", ENGINES)
def test_rounds_and_seeds_differ(sampler):
    trials = random_trials(8)
    proposals = [ask(sampler, trials[:7]), ask(sampler, trials), ask(sampler, trials, seed=2)]
    assert len({tuple(proposal.values()) for proposal in proposals}) == 3


@pytest.mark.parametrize("sampler", ENGINES)
def test_failed_trials_are_taken(sampler):
    failed = [Observation(trial.parameters, trial.context) for trial in random_trials(5)]
    assert ask(sampler, failed)
    assert ask(sampler, [*failed, *random_trials(6)])


@pytest.mark.parametrize("sampler", ENGINES)
def test_two_objectives_are_taken(sampler):
    assert ask(sampler, random_trials(9, objectives=2), directions=("maximize", "minimize"))


@pytest.mark.parametrize("sampler", ENGINES)
@pytest.mark.parametrize("outside", [{}, {"rule.share": 2.0}, {"rule.share": "loss"}, {"rule.signal": "none"}])
def test_a_trial_outside_of_the_domains_is_ignored(sampler, outside):
    trials = random_trials(6)
    parameters = {**trials[0].parameters, **outside} if outside else {}
    more = [*trials, Observation(parameters, trials[0].context, (9.0,))]
    assert ask(sampler, more, round_number=6) == ask(sampler, trials)


@pytest.mark.parametrize("sampler", ENGINES)
def test_equal_scores_are_no_reason_to_fail(sampler):
    assert ask(sampler, [Observation(trial.parameters, trial.context, (0.1,)) for trial in random_trials(6)])


@pytest.mark.parametrize("sampler", ENGINES)
def test_contexts_of_rounds_are_proposed_in_their_domains(sampler):
    observed = [
        Observation({"learning_rate": 1e-2, "temperature": 4.0}, {}, (0.5,)),
        Observation({"learning_rate": 2e-2, "temperature": 8.0}, {}),
    ]
    contexts = [
        propose(SHARED, context={}, contexts={}, observed=observed, sampler=sampler, seed=0, round_number=r)
        for r in range(2, 8)
    ]
    assert all(1e-3 <= context["learning_rate"] <= 1e-1 for context in contexts)
    assert {context["temperature"] for context in contexts} <= {2.0, 4.0, 8.0}
    assert len({context["learning_rate"] for context in contexts}) == 6


def test_seeds_go_by_name():
    assert seed_of(0, "mlp", "fixed") == 4064144351
    assert len({seed_of(0, "mlp", "fixed"), seed_of(1, "mlp", "fixed"), seed_of(0, "mlp", "tree")}) == 3
    assert seed_of(0, "a", "bc") != seed_of(0, "ab", "c")


@pytest.mark.parametrize("sampler", ENGINES)
def test_it_does_not_matter_which_pending_trials_have_ended(sampler):
    trials = random_trials(10)
    running = [Observation(trial.parameters, trial.context) for trial in trials[8:]]
    proposals = [ask(sampler, trials[:8], pending=pending, round_number=10) for pending in (trials[8:], running)]
    assert proposals[0] == proposals[1]
