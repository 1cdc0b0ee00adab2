"""Finds the best constant λ under the scaled settings: a short search over λ and the shared settings.

Its seeds are not those of the finalists, so the constant that is chosen here is judged on seeds that did not choose it.
"""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections.abc import Mapping, Sequence

from policies.registry import create_policy
from search.constants import (
    ConstantPoint,
    ConstantScore,
    Enough,
    Surface,
    SurfaceDomain,
    fit_surface,
    next_point,
)
from search.records import ConfirmationRecord, ConstantFacts, Finalist
from search.settings import CONSTANT_FAMILY, Domain, ends, middle
from trainables.suggestion import OPTIONS

AT_A_TIME = 2
"""Constants that are proposed together, whatever the number of workers, so that the same ones are tried everywhere."""
TUNED, LABELS = "constant-at-scale", "labels-at-scale"
"""Keys of the constants at scale among the finalists."""
_FEWEST = 5
"""The fewest constants that a surface is fitted to; with fewer it would be mostly prior."""


@dataclasses.dataclass(frozen=True)
class Tuned:
    """The best constants at scale, and how well they are known."""

    finalists: tuple[Finalist, ...]
    """The best constant, and the labels alone at their own best settings if they were tried; the best is first."""
    facts: ConstantFacts


def domain_of(shared: Mapping[str, Domain], begin: Finalist | None) -> SurfaceDomain:
    """Return the ranges to search, beginning at the pilot's best constant.

    Args:
        shared: the ranges of the settings beside λ, by their names in a suggestion.
        begin: the pilot's best constant; None if it had none.
    """
    named = {name: domain for name, domain in shared.items() if not name.startswith(OPTIONS)}
    options = {name.removeprefix(OPTIONS): domain for name, domain in shared.items() if name.startswith(OPTIONS)}
    domain = SurfaceDomain(**named, options=options)
    if begin is None:
        return domain
    settings = {name: float(begin.shared.get(name, middle(shared[name]))) for name in domain.settings}
    home = ConstantPoint.at(float(begin.parameters["weight"]), settings)
    # The pilot's numbers may lie outside of the scaled ranges, and then begin at their ends.
    place = domain.encode(home).clip(0.0, 1.0)
    return domain.model_copy(update={"home": domain.moved(domain.decode(place.tolist()), home.weight)})


def next_constants(domain: SurfaceDomain, seed: int, record: ConfirmationRecord, most: int) -> tuple[Finalist, ...]:
    """Return the next constants to try; none if the best one is known well enough, or if `most` were tried.

    Args:
        domain: the ranges.
        seed: of the proposals.
        record: the constants so far, all of them trained.
        most: the most constants to try.
    """
    observed = scores_of(domain, record)
    found: list[ConstantPoint] = []
    for index in range(len(observed), min(len(observed) + AT_A_TIME, most)):
        point = next_point(domain, seed, index, observed, found)
        if isinstance(point, Enough):
            break
        found.append(point)
    first = len(observed)
    return tuple(finalist_of_point(f"constant-{first + turn}", point, domain) for turn, point in enumerate(found))


def scores_of(domain: SurfaceDomain, record: ConfirmationRecord) -> list[ConstantScore | None]:
    """Return the scores of the constants in their order; None for one that has no finite score under every seed."""
    found: list[ConstantScore | None] = []
    for finalist in record.finalists:
        scores = record.scores(finalist.key)
        whole = len(scores) == len(record.seeds) and all(map(math.isfinite, scores.values()))
        point = ConstantPoint.at(
            float(finalist.parameters["weight"]), {name: float(finalist.shared[name]) for name in domain.settings}
        )
        found.append(ConstantScore(point=point, scores=scores) if whole else None)
    return found


def tuned_of(domain: SurfaceDomain, record: ConfirmationRecord) -> Tuned | None:
    """Return the best of the constants that were tried at scale; None if none has a score."""
    observed = [score for score in scores_of(domain, record) if score is not None]
    if not observed:
        return None
    surface = fit_surface(observed, domain) if len(observed) >= _FEWEST else None
    if surface is None:
        best = max(observed, key=lambda entry: statistics.fmean(entry.scores.values())).point
        facts = ConstantFacts(chosen=TUNED, reason="only a few constants were tried at scale")
        return Tuned((finalist_of_point(TUNED, best, domain),), facts)
    finalists = [finalist_of_point(TUNED, surface.chosen, domain)]
    labels = surface.best_tried(0.0)
    if labels is not None and surface.chosen.weight > 0.0:
        finalists.append(finalist_of_point(LABELS, labels, domain))
    return Tuned(tuple(finalists), _facts(surface))


def finalist_of_point(key: str, point: ConstantPoint, domain: SurfaceDomain) -> Finalist:
    """Return a constant as a finalist."""
    policy = create_policy(CONSTANT_FAMILY, {"weight": point.weight})
    fixed = {name: float(_only(values)) for name, values in domain.shared.items() if name not in domain.settings}
    return Finalist(
        key=key,
        role="labels_alone" if point.weight == 0.0 else "teacher_alone" if point.weight == 1.0 else "constant",
        family=CONSTANT_FAMILY,
        parameters=policy.values(),
        shared={**fixed, **point.shared},
        rule=policy.rule(),
        short_rule=policy.short_rule(),
        complexity=policy.complexity,
        trial=None,
        search_score=None,
    )


def _facts(surface: Surface) -> ConstantFacts:
    certificate = surface.certificate
    return ConstantFacts(
        chosen=TUNED,
        bracketed=certificate.holds,
        reason=certificate.reason,
        expected_loss=certificate.expected_loss,
        labels_loss=certificate.labels_loss,
    )


def _only(domain: Domain) -> float:
    values: Sequence[object] = ends(domain)
    return float(str(values[0]))
