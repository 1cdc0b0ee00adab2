"""Measures which settings moved the score most, and how sure that is: functional ANOVA with a bootstrap over trials.

fANOVA is used instead of Optuna's default PED-ANOVA because a family has few trials. Both were compared on searches
of 12 random trials of six parameters, one of which had an effect of about twice the noise. fANOVA named that one first
in 9 of 10 searches, PED-ANOVA at its default quantile in 1 of 3. All is seeded, so a report says the same each time.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

import numpy as np

from policies.families import FAMILIES
from policies.parameter import Value
from search.evidence.importance.fanova import Axis, bootstrap_shares
from search.records import SearchRecord, TrialRecord
from search.wording import family_title, setting_title
from trainables.settings import Settings

MINIMUM_TRIALS = 8
"""The fewest trials for which there are shares."""
INTERVAL_TRIALS = 12
"""The fewest trials for which there are intervals and a leader. With fewer there are shares only: a resample holds
hardly more than half of the trials."""
RESAMPLES = 100
SURE = 0.9
"""A setting is called the most important if it is so in this share of the resamples. In simulated searches where
nothing has an effect, that happened in at most 3.5 % (docs/importance.md, docs/LOG.md)."""
_CONFIDENCE = 0.95
_TREES = 32


class Share(Settings):
    """A setting's share of the score's explained variance, in [0, 1], with its 95 % bootstrap interval if there is one.

    The interval is that of a single tree's share. `share` is the mean of all trees, which varies less, so the interval
    is rather wide.
    """

    name: str
    share: float
    low: float | None = None
    high: float | None = None


class Importance(Settings):
    """The shares of one family, or of all trials together (`family` None), largest first.

    `shares` is None if they cannot be computed; `reason` then says why.
    """

    family: str | None
    trials: int
    shares: tuple[Share, ...] | None
    first_in: float | None = None
    """The share of the resamples in which the first setting has the largest share; None without a bootstrap."""
    reason: str = ""

    @property
    def clear(self) -> bool:
        """True if the first setting stands out from the others by more than other trials might change."""
        return self.first_in is not None and self.first_in >= SURE

    @property
    def sentence(self) -> str:
        """The result in one sentence; empty if there are no shares."""
        if not self.shares:
            return ""
        first, second = self.shares[0], self.shares[1]
        of = "Over all trials together" if self.family is None else f"Within {family_title(self.family)}"
        name = setting_title(first.name)
        if self.first_in is None or first.low is None or first.high is None:
            return (
                f"{of}, {name} has the largest share ({first.share:.2f}), but {self.trials} trials are too few for"
                f" an interval (at least {INTERVAL_TRIALS} are needed)."
            )
        interval = f"95 % interval {first.low:.2f} to {first.high:.2f}"
        if self.clear:
            return f"{of}, {name} mattered most (share {first.share:.2f}, {interval})."
        return (
            f"{of}, the settings cannot be told apart: {name} has a share of {first.share:.2f} ({interval}),"
            f" {setting_title(second.name)} {second.share:.2f}, and the first is the largest in"
            f" {100 * self.first_in:.0f} % of the resamples."
        )


def importances(search: SearchRecord) -> tuple[Importance, ...]:
    """Compute the shares of all trials together, then of each family, best first.

    The settings of all trials together are family, student, and what is searched alike for all families. If policies
    were raced over seeds, scores are those of the first heat: all trials have them, on the same seeds.
    """
    families = list(dict.fromkeys(trial.family for trial in search.raced))
    # Sorted by number, so that the resamples do not depend on the scores.
    scored = sorted((trial for trial in search.raced if _score(trial) is not None), key=lambda trial: trial.number)
    log = search.config.space.logarithmic
    return (
        _of_trials(None, scored, lambda trial: {"family": trial.family, **_shared(trial)}, log),
        *(
            _of_trials(family, [t for t in scored if t.family == family], lambda t: {**_shared(t), **t.parameters}, log)
            for family in families
        ),
    )


def _score(trial: TrialRecord) -> float | None:
    return (trial.opening or trial.history).score


def _shared(trial: TrialRecord) -> dict[str, Value]:
    return {"student": trial.student, **trial.shared}


def _of_trials(
    family: str | None,
    trials: Sequence[TrialRecord],
    settings: Callable[[TrialRecord], dict[str, Value]],
    log: frozenset[str],
) -> Importance:
    told = tuple(tuple(settings(trial).items()) for trial in trials)
    return _importance(family, told, tuple(_score(trial) or 0.0 for trial in trials), log)


@functools.lru_cache(maxsize=256)  # page, numbers and terminal ask for the same, which takes a second
def _importance(
    family: str | None, told: tuple[tuple[tuple[str, Value], ...], ...], scores: tuple[float, ...], log: frozenset[str]
) -> Importance:
    """Compute the importance from trials with these settings and scores; `log` names shared logarithmic settings."""
    settings = [dict(trial) for trial in told]

    def without(reason: str) -> Importance:
        return Importance(family=family, trials=len(scores), shares=None, reason=reason)

    if len(scores) < MINIMUM_TRIALS:
        return without(f"needs {MINIMUM_TRIALS} finished trials, has {len(scores)}")
    common = set.intersection(*(set(values) for values in settings))
    varied = [n for n in settings[0] if n in common and len({values[n] for values in settings}) > 1]
    if len(varied) < 2:
        return without("fewer than two settings were varied")
    if max(scores) == min(scores):
        return without("all scores are equal")
    axes = {name: _axis(family, name, [values[name] for values in settings], log) for name in varied}
    resampled = len(scores) >= INTERVAL_TRIALS
    resamples, trees = (RESAMPLES, 1) if resampled else (1, _TREES)
    rows = bootstrap_shares(axes, scores, resamples=resamples, trees=trees)
    if rows is None:
        return without("the scores do not follow the settings")
    means = rows.mean(axis=0)
    tail = (1.0 - _CONFIDENCE) / 2.0
    low, high = np.quantile(rows, (tail, 1.0 - tail), axis=0)
    order = np.argsort(-means, kind="stable")
    return Importance(
        family=family,
        trials=len(scores),
        shares=tuple(
            Share(
                name=varied[place],
                share=float(means[place]),
                low=float(low[place]) if resampled else None,
                high=float(high[place]) if resampled else None,
            )
            for place in order
        ),
        first_in=float(np.mean(rows.argmax(axis=1) == order[0])) if resampled else None,
    )


def _axis(family: str | None, name: str, values: Sequence[Value], log: frozenset[str]) -> Axis:
    declared = FAMILIES[family].parameters().get(name) if family in FAMILIES else None
    if declared is None:
        return Axis(values, log=name in log)
    return Axis(values, declared.search if declared.kind != "choice" else None, log=declared.log)
