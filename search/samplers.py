"""How Optuna proposes what is tried next, by the name that a search file gives it."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import optuna
from optuna.samplers import BaseSampler, GPSampler, QMCSampler, RandomSampler, TPESampler

STARTUP_TRIALS = 4
"""Of a study, drawn at random before there is enough to model."""


def create_sampler(name: str, seed: int) -> BaseSampler:
    """The sampler of one study."""
    return SAMPLERS[name](seed)


def _tpe(seed: int) -> BaseSampler:
    return TPESampler(seed=seed, multivariate=True, constant_liar=True, n_startup_trials=STARTUP_TRIALS)


def _gp(seed: int) -> BaseSampler:
    return GPSampler(seed=seed, n_startup_trials=STARTUP_TRIALS, warn_independent_sampling=False)


def _qmc(seed: int) -> BaseSampler:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return QMCSampler(seed=seed, scramble=True, warn_independent_sampling=False, warn_asynchronous_seeding=False)


SAMPLERS: dict[str, Callable[[int], BaseSampler]] = {
    "tpe": _tpe,
    "gp": _gp,
    "qmc": _qmc,
    "random": lambda seed: RandomSampler(seed=seed),
}
"""As `search.config.SamplerName` lists them."""
