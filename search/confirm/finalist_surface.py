"""Chooses the constants λ to confirm from the surface that the search's constants lie on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from search.confirm.finalist_constants import CONSTANT, Candidate, Constants, add_candidate, of_other_settings
from search.constants import (
    ConstantPoint,
    ConstantScore,
    SurfaceDomain,
    fit_surface,
    level_sides,
    point_of,
    surface_domain,
)
from search.evidence import scores_by_seed
from search.records import ConstantFacts, SearchRecord, TrialRecord
from search.settings import SearchConfig

_FEWEST = 5
"""The fewest constants with scores by seed that a surface is fitted to; with fewer it would be mostly prior."""


def constants_of_surface(
    search: SearchRecord, config: SearchConfig, rules: Sequence[TrialRecord], more: int
) -> Constants | None:
    """Return the chosen constant and its rivals, both extremes at their own best settings, and constants at the rules'.

    Args:
        search: the trials of one student.
        config: its settings.
        rules: the best trial of each family that is confirmed, best first.
        more: the most constants at the settings of the rules: the best λ at each, by the surface.

    Returns:
        The constants; None if too few have scores to fit a surface to.
    """
    domain = surface_domain(config)
    trials = sorted((t for t in search.raced if t.family == CONSTANT), key=lambda trial: trial.number)
    observed = [score for trial in trials if (score := _score(search, domain, trial)) is not None]
    surface = fit_surface(observed, domain) if len(observed) >= _FEWEST else None
    if surface is None:
        return None
    like = trials[0].shared
    found = [_candidate(surface.chosen, like)]
    for rival in surface.rivals:
        add_candidate(found, _candidate(rival, like))
    rivals = len(found) - 1
    for extreme in (0.0, 1.0):
        if surface.chosen.weight == extreme:
            continue
        # A verdict should compare with a constant that was tried; the surface alone may be wrong at an end.
        add_candidate(found, _candidate(surface.best_tried(extreme) or surface.best_for(extreme), like))
    if not surface.certificate.knows_labels_alone and surface.chosen.weight > 0.0:
        # Else a gain may be that of a learning rate at which the labels alone were not tried.
        add_candidate(found, Candidate(0.0, found[0].shared, "-at-best"))
    for rule in of_other_settings(rules)[:more]:
        weight = surface.best_at(point_of(domain, 0.5, rule.shared))
        add_candidate(found, Candidate(weight, rule.shared, f"-at-{rule.family}"))
    chosen, *others = (candidate.key for candidate in found)
    certificate = surface.certificate
    facts = ConstantFacts(
        chosen=chosen,
        rivals=tuple(others[:rivals]),
        bracketed=certificate.holds,
        reason=certificate.reason,
        expected_loss=certificate.expected_loss,
        labels_loss=certificate.labels_loss,
    )
    return Constants(tuple(found), facts, level_sides(surface))


def _score(search: SearchRecord, domain: SurfaceDomain, trial: TrialRecord) -> ConstantScore | None:
    scores = scores_by_seed(trial, search.objective)
    if not scores:
        return None
    return ConstantScore(point=point_of(domain, float(trial.parameters["weight"]), trial.shared), scores=scores)


def _candidate(point: ConstantPoint, like: Mapping[str, float | int]) -> Candidate:
    return Candidate(point.weight, {name: point.shared.get(name, value) for name, value in like.items()})
