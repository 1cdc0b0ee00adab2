"""Chooses the best trial of a family, as far as a noisy score tells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from search.propose.cube import Array, Cube
from search.propose.gaussian import fit
from search.propose.observation import Observation
from search.propose.space import Variable


def expected_scores(
    variables: Mapping[str, Variable],
    *,
    contexts: Mapping[str, Variable],
    observed: Sequence[Observation],
    seeds: Sequence[int] | None = None,
) -> list[float | None]:
    """Estimate each trial's score without its noise, from its own score and those of the trials near it.

    The highest score of many is a lucky one. A Gaussian process over the family's parameters and the context moves it
    towards its neighbours' scores: the fewer seeds it has, the further.

    Args:
        variables: the family's own, by name in the suggestion; those that do not vary are ignored.
        contexts: the variables that the rounds' contexts come from.
        observed: the family's trials; the first of an observation's values counts, higher is better.
        seeds: the number of seeds that each trial's score is a mean over; 1 each when not given.

    Returns:
        One score for each trial; None for trials without a score, or outside of the domains.
    """
    cube = Cube.of({**variables, **contexts})
    positions: list[Array | None] = []
    for trial in observed:
        point = {**trial.context, **trial.parameters}
        positions.append(cube.encode(point) if trial.values is not None and cube.allows(point) else None)
    known = [place for place, position in enumerate(positions) if position is not None]
    if not known or not cube.axes:
        return [None if trial.values is None else trial.values[0] for trial in observed]
    points = np.array([positions[place] for place in known])
    scores = np.array([(observed[place].values or ())[0] for place in known])
    noise = None if seeds is None else np.array([1.0 / seeds[place] for place in known])
    means = fit(points, scores, cube.nominal, noise=noise).mean(points)
    expected: list[float | None] = [None] * len(observed)
    for place, mean in zip(known, means, strict=True):
        expected[place] = float(mean)
    return expected


def best_by_model(
    variables: Mapping[str, Variable],
    *,
    contexts: Mapping[str, Variable],
    observed: Sequence[Observation],
    seeds: Sequence[int] | None = None,
) -> int | None:
    """Return the index of the trial with the highest expected score (see `expected_scores`); None if none has one."""
    expected = expected_scores(variables, contexts=contexts, observed=observed, seeds=seeds)
    scored = [place for place, score in enumerate(expected) if score is not None]
    return max(scored, key=lambda place: (expected[place], -place), default=None)
