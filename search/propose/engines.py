"""Samplers of one proposal, by the name that a search file gives them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from optuna.samplers import BaseSampler, RandomSampler, TPESampler

from search.propose.contextual import ContextualSampler
from search.propose.design import DesignSampler
from search.propose.question import Question

TPE_STARTUP_TRIALS = 4

Engine: TypeAlias = Callable[[Question], BaseSampler]


def _tpe(question: Question) -> BaseSampler:
    return TPESampler(seed=question.seed, multivariate=True, constant_liar=True, n_startup_trials=TPE_STARTUP_TRIALS)


def _gp(question: Question) -> BaseSampler:
    # A weighted sum of score and complexity under a Gaussian process did worse than random on planted trees.
    return ContextualSampler(question) if len(question.directions) == 1 else _tpe(question)


def _random(question: Question) -> BaseSampler:
    return RandomSampler(seed=question.seed)


ENGINES: dict[str, Engine] = {
    "gp": _gp,
    "tpe": _tpe,
    "qmc": DesignSampler,
    "random": _random,
}
"""The names are those of `search.settings.search_file.SamplerName`."""
