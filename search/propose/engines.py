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


def _random(question: Question) -> BaseSampler:
    return RandomSampler(seed=question.seed)


ENGINES: dict[str, Engine] = {
    "gp": ContextualSampler,
    "tpe": _tpe,
    "qmc": DesignSampler,
    "random": _random,
}
"""The names are those of `search.config.SamplerName`."""
