"""Fits the score against the constant λ, over all constants that were tried, and says how sure its best is."""

from __future__ import annotations

from search.evidence.ranking import scores_by_seed
from search.records import SearchRecord
from search.settings import CONSTANT_FAMILY, RangeSide
from trainables.settings import Settings
from trainables.suggestion import options_of

_LEAST_WEIGHTS = 3
"""The fewest different λ that make a curve."""


class CurveRow(Settings):
    """The fitted score of one λ at the learning rate and temperature that are best for it."""

    weight: float
    mean: float
    low: float
    """The mean less two standard deviations of the fit."""
    high: float
    learning_rate: float | None
    temperature: float | None
    options: tuple[tuple[str, float], ...] = ()
    """Searched options of the user's own, by name."""


class TriedConstant(Settings):
    """One constant that was trained; `mean` is over its seeds."""

    trial: int
    weight: float
    mean: float
    seeds: int
    learning_rate: float | None
    temperature: float | None
    options: tuple[tuple[str, float], ...] = ()


class ConstantCurve(Settings):
    """The constant's curve with its certificate; scores are the search's, on the validation pictures."""

    rows: tuple[CurveRow, ...]
    tried: tuple[TriedConstant, ...]
    chosen: float
    """The tried λ with the highest expected score."""
    rivals: tuple[float, ...]
    """Other tried λ that the fit cannot tell from the chosen one."""
    noise: float
    """Standard deviation of one training's score."""
    holds: bool
    """True if the best constant is known well enough to be the one that rules must beat."""
    reason: str
    """The reason why the certificate does not hold, as the second half of a sentence; empty if it does."""
    expected_loss: float
    """The amount by which the best point of the surface is expected to exceed the chosen one."""
    allowed_loss: float
    trainings: int
    """Trainings of constants, one a seed."""
    share: float
    """The share of these in all trainings of the search, in [0, 1]."""
    level_sides: tuple[RangeSide, ...] = ()
    """Ends of the ranges that all families share beyond which the constants have nothing to gain."""


def constant_curve(search: SearchRecord) -> ConstantCurve | None:
    """Fit the curve of a search; None while it runs, since the fit takes a moment, or with too few constants.

    Args:
        search: the search, with the trials of one student.
    """
    trials = sorted((t for t in search.trials if t.family == CONSTANT_FAMILY and t.seeds), key=lambda t: t.number)
    if search.status == "running" or len({trial.parameters.get("weight") for trial in trials}) < _LEAST_WEIGHTS:
        return None
    from search.constants import ConstantScore, fit_surface, level_sides, point_of, surface_domain

    domain = surface_domain(search.config)
    scored = [(trial, scores_by_seed(trial, search.objective)) for trial in trials]
    scored = [(trial, scores) for trial, scores in scored if scores]
    surface = fit_surface(
        [
            ConstantScore(point=point_of(domain, float(trial.parameters["weight"]), trial.shared), scores=scores)
            for trial, scores in scored
        ],
        domain,
    )
    if surface is None:
        return None
    certificate, total = surface.certificate, sum(len(trial.seeds) for trial in search.trials)
    return ConstantCurve(
        rows=tuple(CurveRow.model_validate_json(row.model_dump_json()) for row in surface.curve()),
        tried=tuple(
            TriedConstant(
                trial=trial.number,
                weight=float(trial.parameters["weight"]),
                mean=sum(scores.values()) / len(scores),
                seeds=len(scores),
                learning_rate=trial.shared.get("learning_rate"),
                temperature=trial.shared.get("temperature"),
                options=tuple(options_of(trial.shared).items()),
            )
            for trial, scores in scored
        ),
        chosen=surface.chosen.weight,
        rivals=tuple(point.weight for point in surface.rivals),
        noise=float(surface.noise),
        holds=certificate.holds,
        reason=certificate.reason,
        expected_loss=certificate.expected_loss,
        allowed_loss=float(certificate.allowed_loss),
        trainings=certificate.trainings,
        share=certificate.trainings / total,
        level_sides=level_sides(surface),
    )
