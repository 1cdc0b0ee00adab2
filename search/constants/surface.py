"""Fits the constant's surface: the best point tried, its rivals, the curve, and how certain all this is."""

from __future__ import annotations

import dataclasses
import functools
import math
import statistics
from collections.abc import Sequence
from typing import Literal

import numpy as np

from search.constants.model import Posterior, fit
from search.constants.points import Array, ConstantPoint, ConstantScore, SurfaceDomain
from search.constants.squeeze import Squeeze
from search.constants.weights import unwarp, warp
from search.propose import even_points
from trainables.settings import Settings

CLOSE = 0.05
"""Neighbours of the best λ must lie this close, in units of the stretched λ axis."""
ALIKE = 0.25
"""Points are neighbours in λ if their other settings lie this close."""
AIMED_LOSS, AIMED_LOSS_OF_LINE = 0.7, 0.35
"""The expected loss at which no further constant is tried, and the same if λ alone is searched. The unit is the
standard error of a difference over ten seeds. A gain must exceed the loss, so it decides how much power is left."""
ALLOWED_LOSS, ALLOWED_LOSS_OF_LINE = 1.0, 0.7
"""The expected loss up to which the certificate holds, in the same unit."""
_STANDARD_ERROR = math.sqrt(2.0 / 10.0)
RIVALS = 2
_DRAWS = 64
_SPREAD, _LIKELY = 256, 48
_LINE = 33


class Certificate(Settings):
    """The evidence that the best constant is known well enough to be the one that rules must beat."""

    holds: bool
    expected_loss: float
    """The expected gain of the surface's best point over the chosen one, in the score's unit."""
    allowed_loss: float
    aimed_loss: float
    """The expected loss at which no further constant is tried. It is below `allowed_loss`, so that a promoted point's
    further seeds seldom undo it."""
    trainings: int
    """The trainings of the points with a score, one for each seed."""
    labels_loss: float | None
    """The expected gain of the labels alone (λ = 0) at their best settings over the best one tried, in the score's
    unit; 0 where λ = 0 or nothing but the temperature is searched, None where λ = 0 was not tried."""
    reason: str
    """The reason why it does not hold, as the second half of a sentence; empty if it does."""

    @property
    def enough(self) -> bool:
        """True if no further constant need be tried to find the best one."""
        return self.holds and self.expected_loss <= self.aimed_loss

    @property
    def knows_labels_alone(self) -> bool:
        """True if the labels alone are tuned well enough to be compared with the best constant."""
        return self.labels_loss is not None and self.labels_loss <= self.allowed_loss


class CurvePoint(Settings):
    """The accuracy at one constant λ, at the learning rate and temperature that are best for it."""

    weight: float
    mean: float
    low: float
    """The mean less two standard deviations, without the noise of a training."""
    high: float
    learning_rate: float | None
    temperature: float | None
    options: tuple[tuple[str, float], ...] = ()


@dataclasses.dataclass(frozen=True)
class Surface:
    """The scores of constants as a smooth function of λ, learning rate and temperature."""

    domain: SurfaceDomain
    observed: tuple[ConstantScore, ...]
    posterior: Posterior
    squeeze: Squeeze
    """The function that compressed low scores before the fit."""

    @property
    def noise(self) -> float:
        """The standard deviation of one training's score, beyond the effect that its seed has on all points."""
        return self.posterior.noise

    @functools.cached_property
    def rivals(self) -> tuple[ConstantPoint, ...]:
        """Tried points that may be better than the chosen one.

        These are points elsewhere whose expected score lies within two standard errors of the chosen one's. The point
        with the highest score of its own is one too, in case the curve has a sharper peak than the surface.
        """
        highest = self.observed[int(np.argmax(seed_free_means(self.observed)))].point
        means, covariances = self.posterior.joint(self.places)
        apart = means[:, self.best, None] - means
        variances = np.diagonal(covariances, axis1=1, axis2=2)
        variance = covariances[:, self.best, self.best, None] + variances - 2 * covariances[:, self.best]
        mean = self.posterior.weights @ apart
        deviation = np.sqrt(np.maximum(self.posterior.weights @ (variance + (apart - mean) ** 2), 0.0))
        found = [self.best]
        for place in np.argsort(mean, kind="stable"):
            elsewhere = all(np.abs(self.places[place] - self.places[other]).max() > CLOSE for other in found)
            if elsewhere and mean[place] <= 2.0 * deviation[place] and len(found) <= RIVALS:
                found.append(int(place))
        near = (self.observed[place].point for place in found[1:])
        return tuple(point for point in dict.fromkeys((highest, *near)) if point != self.chosen)

    @functools.cached_property
    def certificate(self) -> Certificate:
        """The evidence that the chosen point is nearly the best of the surface."""
        loss = self._expected_loss()
        unit = _STANDARD_ERROR * self.noise
        is_line = self.domain.axes == 1
        allowed = (ALLOWED_LOSS_OF_LINE if is_line else ALLOWED_LOSS) * unit
        aimed = (AIMED_LOSS_OF_LINE if is_line else AIMED_LOSS) * unit
        reasons = []
        if max(gaps(self.domain, self.places, self.places[self.best])) > CLOSE:
            reasons.append("the λ beside the best one were not tried closely enough")
        if loss > allowed:
            reasons.append("a constant that was not tried may be better by more than the noise of a confirmation")
        return Certificate(
            holds=not reasons,
            expected_loss=loss,
            allowed_loss=allowed,
            aimed_loss=aimed,
            trainings=sum(len(entry.scores) for entry in self.observed),
            labels_loss=self._labels_loss(),
            reason=" and ".join(reasons),
        )

    @functools.cached_property
    def places(self) -> Array:
        """The observed points in the unit cube, [N, axes]."""
        return np.array([self.domain.encode(entry.point) for entry in self.observed])

    @functools.cached_property
    def best(self) -> int:
        """The index of the chosen point among the observed ones."""
        return int(np.argmax(self.posterior.mean(self.places)))

    @property
    def chosen(self) -> ConstantPoint:
        """The tried point with the highest expected score."""
        return self.observed[self.best].point

    def mean(self, points: Sequence[ConstantPoint]) -> Array:
        """Return the expected scores of points, [M]; low ones are squeezed, which keeps their order."""
        return self.posterior.mean(np.array([self.domain.encode(point) for point in points]))

    def best_at(self, point: ConstantPoint) -> float:
        """Return the λ with the highest expected score at another point's learning rate and temperature."""
        line = [self.domain.moved(point, weight) for weight in self._weights()]
        return line[int(np.argmax(self.mean(line)))].weight

    def best_for(self, weight: float) -> ConstantPoint:
        """Return the learning rate and temperature with the highest expected score for a λ."""
        even = even_points(self.domain.axes - 1, _SPREAD if self.domain.settings else 1)
        others = [self.domain.decode([0.0, *place]) for place in even] + [entry.point for entry in self.observed]
        candidates = [self.domain.moved(point, weight) for point in others]
        return candidates[int(np.argmax(self.mean(candidates)))]

    def best_tried(self, weight: float) -> ConstantPoint | None:
        """Return the tried point of a λ with the highest expected score; None if the λ was not tried."""
        tried = [entry.point for entry in self.observed if entry.point.weight == weight]
        return tried[int(np.argmax(self.mean(tried)))] if tried else None

    def curve(self) -> tuple[CurvePoint, ...]:
        """Return the accuracy by constant λ, each at its own best settings."""
        rows = []
        for weight in self._weights():
            point = self.best_for(weight)
            mean, deviation = moments(self.posterior, self.domain.encode(point)[None])
            middle, low, high = self.squeeze.undo(mean[0] + deviation[0] * np.array([0.0, -2.0, 2.0]))
            rows.append(CurvePoint(**point.model_dump(), mean=middle, low=low, high=high))
        return tuple(rows)

    def is_level_at(self, setting: str, end: Literal["lower", "upper"]) -> bool:
        """Tell whether a learning rate or temperature has nothing to gain beyond an end of its range.

        The best score at the end, over all else, must not exceed the best one further inside by more than the
        certificate's `allowed_loss`. Further inside is the next listed value, or a quarter of an interval.
        """
        axis, inner = 1 + self.domain.settings.index(setting), self.domain.beside(setting, end)
        places = np.concatenate([even_points(self.domain.axes, _SPREAD), self.places])
        low, high = self.domain.limits
        places[:, 0] = np.clip(places[:, 0], low, high)
        best = []
        for place in (0.0 if end == "lower" else 1.0, inner):
            places[:, axis] = place
            best.append(float(self.posterior.mean(places).max()))
        return best[0] - best[1] <= self.certificate.allowed_loss

    def _weights(self) -> list[float]:
        places = np.linspace(*self.domain.limits, _LINE)
        return list(dict.fromkeys(self.domain.nearest_weight(unwarp(place)) for place in places))

    def _expected_loss(self) -> float:
        """Return the mean of max(surface) − surface(best tried point) over the posterior, in the score's unit."""
        best, (low, high) = self.places[self.best][None], self.domain.limits
        line = np.repeat(best, _LINE, axis=0)
        line[:, 0] = np.linspace(low, high, _LINE)
        parts = [best, line, self.places]
        if self.domain.axes > 1:
            even = even_points(self.domain.axes, _SPREAD)
            even[:, 0] = low + even[:, 0] * (high - low)
            likely = np.argsort(-self.posterior.mean(even), kind="stable")[:_LIKELY]
            parts.append(even[likely])
        return _loss_of_first(self.posterior, np.concatenate(parts))

    def _labels_loss(self) -> float | None:
        """Return the same as `_expected_loss` at λ = 0; None if λ = 0 was not tried."""
        if not _settings_of_labels(self.domain) or self.domain.limits_of_weight[0] > 0.0:
            return 0.0
        tried = self.places[self.places[:, 0] <= warp(0.0)]
        if not len(tried):
            return None
        best = tried[int(np.argmax(self.posterior.mean(tried)))]
        return _loss_of_first(self.posterior, np.concatenate([best[None], labels_line(self.domain), tried]))


def fit_surface(
    observed: Sequence[ConstantScore | None], domain: SurfaceDomain, pending: Sequence[ConstantPoint] = ()
) -> Surface | None:
    """Fit a surface to the scores of constants; None if none has a score.

    Points share their seeds, so the effect of a seed on all of them is subtracted first.

    Args:
        observed: in the order in which they were proposed; None for one that failed.
        domain: the ranges that they come from.
        pending: points that were proposed and have no score yet.
    """
    scored = [entry for entry in observed if entry is not None and entry.scores]
    if not scored:
        return None
    places = np.array([domain.encode(entry.point) for entry in scored])
    means, within = seed_free_means(scored), residual_squares(scored)
    squeeze = Squeeze.of(means, math.sqrt(within[0] / within[1]) if within[1] else 0.0)
    counts = np.array([len(entry.scores) for entry in scored], dtype=float)
    posterior = fit(
        places,
        squeeze.apply(means),
        counts,
        within=within,
        pending=np.array([domain.encode(point) for point in pending]) if pending else None,
    )
    return Surface(domain, tuple(scored), posterior, squeeze)


def seed_free_means(scored: Sequence[ConstantScore]) -> Array:
    """Return each point's mean score, less the mean effect of its further seeds on the points that had them."""
    common = set.intersection(*(set(entry.scores) for entry in scored))
    if not common or all(set(entry.scores) == common for entry in scored):
        return np.array([statistics.fmean(entry.scores.values()) for entry in scored])
    longest = [entry for entry in scored if set(entry.scores) > common]
    level = statistics.fmean(entry.scores[seed] for entry in longest for seed in common)
    effects = {
        seed: statistics.fmean(entry.scores[seed] for entry in longest if seed in entry.scores) - level
        for seed in {seed for entry in longest for seed in entry.scores} - common
    }
    return np.array(
        [statistics.fmean(s - effects.get(seed, 0.0) for seed, s in entry.scores.items()) for entry in scored]
    )


def moments(posterior: Posterior, places: Array) -> tuple[Array, Array]:
    """Return mean and standard deviation of the scores without noise over all draws, each [M]."""
    means, covariances = posterior.joint(places)
    mean = posterior.weights @ means
    variances = np.maximum(np.diagonal(covariances, axis1=1, axis2=2), 0.0)
    return mean, np.sqrt(posterior.weights @ (variances + (means - mean) ** 2))


def residual_squares(scored: Sequence[ConstantScore]) -> tuple[float, int]:
    """Return the variation that point and seed do not explain, as a sum of squares and its degrees of freedom.

    Only the better half of the points counts, since trainings at too high a learning rate vary more than any that
    could be chosen. Only seeds that all points have count.
    """
    common = sorted(set.intersection(*(set(entry.scores) for entry in scored)))
    table = np.array([[entry.scores[seed] for seed in common] for entry in scored])
    if len(common) < 2 or len(table) < 4:
        return 0.0, 0
    means = table.mean(axis=1)
    better = table[means >= np.median(means)]
    residuals = better - better.mean(axis=1, keepdims=True) - better.mean(axis=0) + better.mean()
    return float(np.square(residuals).sum()), (len(better) - 1) * (len(common) - 1)


def gaps(domain: SurfaceDomain, places: Array, best: Array) -> tuple[float, float]:
    """Return the distances to the neighbours in λ, below and above, among like settings; 0 at an end of the range."""
    if not hasattr(domain.weight, "low"):  # a list has nothing between its values
        return 0.0, 0.0
    like = places[domain.apart(places, best) <= ALIKE, 0]
    low, high = domain.limits
    below = [best[0] - place for place in like if place < best[0] - 1e-9]
    above = [place - best[0] for place in like if place > best[0] + 1e-9]
    return (
        0.0 if best[0] <= low + 1e-9 else float(min(below, default=best[0] - low + 1.0)),
        0.0 if best[0] >= high - 1e-9 else float(min(above, default=high - best[0] + 1.0)),
    )


def labels_line(domain: SurfaceDomain) -> Array:
    """Return places of the labels alone over the whole range of what they depend on, [33, axes].

    That is the learning rate, and the user's own options: some may belong to the loss on the labels.
    """
    settings = _settings_of_labels(domain)
    axes = [1 + domain.settings.index(name) for name in settings]
    line = np.full((_LINE, domain.axes), 0.5)
    line[:, 0] = domain.limits[0]
    line[:, axes] = np.linspace(0.0, 1.0, _LINE)[:, None] if len(axes) == 1 else even_points(len(axes), _LINE)
    return line


def _settings_of_labels(domain: SurfaceDomain) -> list[str]:
    return [name for name in domain.settings if name != "temperature"]


def _loss_of_first(posterior: Posterior, grid: Array) -> float:
    """Compute by how much the best of some places is expected to exceed the first of them."""
    means, covariances = posterior.joint(grid)
    scale = np.trace(covariances, axis1=1, axis2=2)[:, None, None] / len(grid)
    roots = np.linalg.cholesky(covariances + (1e-6 * scale + 1e-18) * np.eye(len(grid)))
    draws = means[:, :, None] + roots @ np.random.default_rng(0).standard_normal((len(grid), _DRAWS))
    return float(posterior.weights @ (draws.max(axis=1) - draws[:, 0]).mean(axis=1))
