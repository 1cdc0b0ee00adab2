"""Defines what one proposal is asked for, and rebuilds the Optuna study that answers it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import optuna
from optuna.samplers import BaseSampler
from optuna.trial import TrialState, create_trial

from policies.parameter import Value
from search.propose.cube import Cube
from search.propose.observation import Observation
from trainables.records import Direction


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


def rebuild(question: Question, observed: Sequence[Observation], sampler: BaseSampler) -> optuna.Study:
    """Rebuild a study from the known trials; those without values count as running in it.

    A trial outside of the domains is dropped: no sampler could propose it, and Optuna refuses it.
    """
    study = optuna.create_study(directions=list(question.directions), sampler=sampler)
    cube = question.both
    for observation in observed:
        parameters = {**observation.context, **observation.parameters}
        if not cube.allows(parameters):
            continue
        trial = create_trial(
            state=TrialState.RUNNING if observation.values is None else TrialState.COMPLETE,
            params={axis.name: parameters[axis.name] for axis in cube.axes},
            distributions=cube.distributions(),
            values=None if observation.values is None else list(observation.values),
        )
        study.add_trial(trial)
    return study
