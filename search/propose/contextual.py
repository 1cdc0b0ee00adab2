"""A Gaussian process over a family's parameters and the round's context, asked at the context of the round."""

from __future__ import annotations

import numpy as np
from optuna import Study
from optuna.trial import TrialState

from policies.parameter import Value
from search.propose.acquisition import candidates, expected_improvement
from search.propose.cube import Array
from search.propose.design import design_point
from search.propose.gaussian import fit
from search.propose.question import Question

STARTUP_TRIALS = 3
"""The number of trials with a score that a model needs; until then a design is followed."""
CENTRES = 4
"""The number of a family's best points whose neighbourhoods are searched more closely."""


def contextual_point(question: Question, study: Study) -> dict[str, Value]:
    """Return the point of the highest expected improvement, under a model that has the round's context as an input.

    A family's best parameters often depend on the learning rate and the temperature. So the model learns from trials
    of all contexts, and the improvement is judged at the context of the proposal's round. Pending and failed trials
    make their neighbourhoods less uncertain, whatever they score.
    """
    trials = study.get_trials(deepcopy=False)
    complete = [trial for trial in trials if trial.state is TrialState.COMPLETE]
    if len(complete) < STARTUP_TRIALS:
        return design_point(question, study)
    cube, both = question.own, question.both
    random = np.random.default_rng(question.seed)
    others = [trial for trial in trials if trial.state is not TrialState.COMPLETE]
    known = np.array([both.encode(trial.params) for trial in complete])
    unknown = np.array([both.encode(trial.params) for trial in others]).reshape(-1, len(both.axes))
    scores = np.array([trial.value for trial in complete], dtype=float)
    posterior = fit(known, scores, both.nominal, pending=unknown)

    context = question.shared.encode(question.context)
    tried = np.unique(known[:, : len(cube.axes)], axis=0)
    here = _at_context(tried, context)
    order = np.argsort(-posterior.mean(here), kind="stable")
    points = _at_context(candidates(cube, tried[order[:CENTRES]], random), context)
    values = expected_improvement(posterior, points, here)
    taken = np.concatenate([known, unknown])
    new = ~np.isclose(points[:, None, :], taken[None, :, :]).all(2).any(1)
    # With few options everything may have been tried; then the best point is proposed again.
    values = np.where(new, values, -1.0) if new.any() else posterior.mean(points)
    return cube.decode(points[int(values.argmax()), : len(cube.axes)])


def _at_context(points: Array, context: Array) -> Array:
    return np.hstack([points, np.broadcast_to(context, (len(points), len(context)))])
