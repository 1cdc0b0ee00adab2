"""A proposal is a pure function of what is known: the same arguments give the same values, to the last bit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from policies.parameter import Value
from search.propose.cube import Cube
from search.propose.engines import ENGINES
from search.propose.observation import Observation
from search.propose.question import Question, rebuild
from search.propose.seeds import seed_of
from search.quiet import quiet_optuna
from search.space import Variable
from trainables.objective import Direction


def propose(
    variables: Mapping[str, Variable],
    *,
    context: Mapping[str, Value],
    contexts: Mapping[str, Variable],
    observed: Sequence[Observation],
    sampler: str,
    seed: int,
    directions: Sequence[Direction] = ("maximize",),
) -> dict[str, Value]:
    """Propose a family's parameters for one round, given the round's context.

    Args:
        variables: the family's own, by name in the suggestion; those that do not vary are ignored.
        context: what the trials of the round share, by name; it may hold more than `contexts`.
        contexts: the variables that the context's values come from; those that do not vary are ignored.
        observed: the family's trials of all earlier rounds, in their order. Those that failed, and those of rounds
            within the lag, have no values: they say where not to look again.
        sampler: one of `ENGINES`.
        seed: of the family, from `seed_of`; best the same in all rounds, since designs continue from round to round.
        directions: one for each of an observation's values.

    Returns:
        A value for each variable that varies, by name. The first round has the defaults, which the caller knows.
    """
    return _ask(variables, context, contexts, observed, sampler, seed, directions, len(observed))


def propose_context(
    contexts: Mapping[str, Variable],
    *,
    observed: Sequence[tuple[Mapping[str, Value], float | None]],
    sampler: str,
    seed: int,
    round: int,  # noqa: A002
) -> dict[str, Value]:
    """Propose what the trials of one round share.

    Args:
        contexts: the shared variables by name; those that do not vary are ignored.
        observed: earlier rounds in their order, each with the median score of its trials; None when all failed, or
            when the round lies within the lag.
        sampler: one of `ENGINES`.
        seed: of the student, from `seed_of`; best the same in all rounds.
        round: from 0. The first round has the recipe's own values, which the caller knows.

    Returns:
        A value for each variable that varies, by name.
    """
    rounds = [Observation(values, {}, None if score is None else (score,)) for values, score in observed]
    return _ask(contexts, {}, {}, rounds, sampler, seed_of(seed, "context"), ("maximize",), round)


def _ask(
    variables: Mapping[str, Variable],
    context: Mapping[str, Value],
    contexts: Mapping[str, Variable],
    observed: Sequence[Observation],
    sampler: str,
    seed: int,
    directions: Sequence[Direction],
    place: int,
) -> dict[str, Value]:
    own = Cube.of(variables)
    if not own.axes:
        return {}
    question = Question(
        own=own,
        shared=Cube.of(contexts),
        context=context,
        design_seed=seed_of(seed, "design"),
        seed=seed_of(seed, "round", place),
        place=place,
        directions=tuple(directions),
    )
    with quiet_optuna():
        study = rebuild(question, observed, ENGINES[sampler](question))
    study.enqueue_trial({axis.name: context[axis.name] for axis in question.shared.axes})
    trial = study.ask(question.both.distributions())
    return {axis.name: axis.exact(trial.params[axis.name]) for axis in own.axes}
