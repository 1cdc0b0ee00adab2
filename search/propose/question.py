"""Defines what one proposal is asked for and knows, and rebuilds the Optuna study that answers it."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Mapping, Sequence

import optuna
from optuna.trial import TrialState, create_trial

from policies.parameter import Value
from search.propose.cube import Cube
from trainables.records import Direction


@dataclasses.dataclass(frozen=True)
class Observation:
    """One trial of a family, as a sampler sees it.

    Attributes:
        parameters: the family's own varying parameters, by name in the suggestion, for example `norm_balance.balance`.
        context: what the trials of its round share, for example `learning_rate` and `temperature`.
        values: (score,) or (score, complexity); None when the trial failed, or when its score is not used yet.
    """

    parameters: Mapping[str, Value]
    context: Mapping[str, Value]
    values: tuple[float, ...] | None = None


@dataclasses.dataclass(frozen=True)
class Question:
    """One proposal that is asked for.

    Attributes:
        own: the parameters that are proposed.
        shared: what the trials of a round have in common.
        context: the values of `shared` in the proposal's round.
        design_seed: the same for all rounds, so that their designs are parts of one.
        seed: different in each round.
        place: how many rounds came before.
        directions: of the objectives.
    """

    own: Cube
    shared: Cube
    context: Mapping[str, Value]
    design_seed: int
    seed: int
    place: int
    directions: tuple[Direction, ...]

    @property
    def both(self) -> Cube:
        """The parameters that are proposed, then what is shared."""
        return Cube(self.own.axes + self.shared.axes)


def rebuild(question: Question, observed: Sequence[Observation]) -> optuna.Study:
    """Rebuild a study from the known trials; those without values count as running in it.

    A trial outside of the domains is dropped: no sampler could propose it, and Optuna refuses it.
    """
    study = optuna.create_study(directions=question.directions)
    distributions = question.both.distributions()
    for observation in observed:
        known = {**observation.context, **observation.parameters}
        with contextlib.suppress(ValueError):
            trial = create_trial(
                state=TrialState.RUNNING if observation.values is None else TrialState.COMPLETE,
                params={name: value for name, value in known.items() if name in distributions},
                distributions=distributions,
                values=observation.values,
            )
            study.add_trial(trial)
    return study
