"""Defines the part that our own samplers share: they propose all parameters at once, from a question."""

from __future__ import annotations

import abc
from typing import Any

from optuna import Study
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial

from policies.parameter import Value
from search.propose.question import Question


class QuestionSampler(BaseSampler, abc.ABC):
    """An Optuna sampler of one proposal, which knows the round that it is for.

    A study calls `sample_relative` once for each trial that it is asked for.
    """

    def __init__(self, question: Question) -> None:
        self.question = question

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:  # noqa: ARG002
        return self.question.own.distributions()

    def sample_relative(
        self,
        study: Study,
        trial: FrozenTrial,
        search_space: dict[str, BaseDistribution],  # noqa: ARG002
    ) -> dict[str, Any]:
        others = [other for other in study.get_trials(deepcopy=False) if other.number != trial.number]
        return dict(self.answer(others, study))

    def sample_independent(
        self,
        study: Study,  # noqa: ARG002
        trial: FrozenTrial,  # noqa: ARG002
        param_name: str,
        param_distribution: BaseDistribution,  # noqa: ARG002
    ) -> Any:
        raise KeyError(f"`{param_name}` is no parameter of this proposal")

    @abc.abstractmethod
    def answer(self, trials: list[FrozenTrial], study: Study) -> dict[str, Value]:
        """Propose a value for each of the question's own parameters.

        Args:
            trials: the study's, without the one that is asked for: complete, failed or running.
            study: has the directions.
        """
