"""A proposal is a pure function of what is known: the same arguments give the same values, to the last bit."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from policies.parameter import Value
from search.propose.cube import Cube
from search.propose.engines import ENGINES
from search.propose.question import Observation, Question, rebuild
from search.propose.quiet import quiet_optuna
from search.propose.seeds import seed_of
from search.propose.space import Variable
from trainables.records import Direction


def propose(
    variables: Mapping[str, Variable],
    *,
    context: Mapping[str, Value],
    contexts: Mapping[str, Variable],
    observed: Sequence[Observation],
    pending: Sequence[Observation] = (),
    sampler: str,
    seed: int,
    round_number: int,
    directions: Sequence[Direction] = ("maximize",),
) -> dict[str, Value]:
    """Propose a family's parameters for one round, given the round's context.

    Args:
        variables: the family's own, by name in the suggestion; those that do not vary are ignored.
        context: what the trials of the round share, by name; it may hold more than `contexts`.
        contexts: the variables that the context's values come from; those that do not vary are ignored.
        observed: the family's trials of the rounds up to r − lag, in their order; failed ones have no values.
        pending: the family's trials of the rounds since, ended or not. They mark points not to try again; their values
            are ignored, so that it does not matter which of them have ended.
        sampler: one of `ENGINES`.
        seed: of the family, from `seed_of`; the same in all rounds, since a design continues from round to round.
        round_number: from 0.
        directions: one for each of an observation's values.

    Returns:
        A value for each variable that varies, by name. The first round has the defaults, which the caller knows.
    """
    own = Cube.of(variables)
    if not own.axes:
        return {}
    question = Question(
        own=own,
        shared=Cube.of(contexts),
        context=context,
        design_seed=seed_of(seed, "design"),
        seed=seed_of(seed, "round", round_number),
        place=round_number,
        directions=tuple(directions),
    )
    trials = [*observed, *(dataclasses.replace(trial, values=None) for trial in pending)]
    with quiet_optuna():
        study = rebuild(question, trials)
    chosen = ENGINES[sampler](question, study)
    return {axis.name: axis.exact(chosen[axis.name]) for axis in own.axes}
