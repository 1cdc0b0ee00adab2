"""Ways to answer a question, by the name that a search file gives them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from optuna import Study
from optuna.samplers import BaseSampler, RandomSampler, TPESampler

from policies.parameter import Value
from search.propose.contextual import contextual_point
from search.propose.design import design_point
from search.propose.question import Question

TPE_STARTUP_TRIALS = 4

Engine: TypeAlias = Callable[[Question, Study], dict[str, Value]]


def _tpe(question: Question, study: Study) -> dict[str, Value]:
    startup = TPE_STARTUP_TRIALS
    sampler = TPESampler(seed=question.seed, multivariate=True, constant_liar=True, n_startup_trials=startup)
    return _sampled(question, study, sampler)


def _gp(question: Question, study: Study) -> dict[str, Value]:
    # A weighted sum of score and complexity under a Gaussian process did worse than random on planted trees.
    return contextual_point(question, study) if len(question.directions) == 1 else _tpe(question, study)


def _random(question: Question, study: Study) -> dict[str, Value]:
    return _sampled(question, study, RandomSampler(seed=question.seed))


def _sampled(question: Question, study: Study, sampler: BaseSampler) -> dict[str, Value]:
    """Ask one of Optuna's own samplers, at the context of the round."""
    study.sampler = sampler
    study.enqueue_trial({axis.name: question.context[axis.name] for axis in question.shared.axes})
    return study.ask(question.both.distributions()).params


ENGINES: dict[str, Engine] = {
    "gp": _gp,
    "tpe": _tpe,
    "qmc": design_point,
    "random": _random,
}
"""The names are those of `search.settings.search_file.SamplerName`."""
