"""Which settings moved the score most: functional ANOVA over a family's finished trials.

fANOVA (Hutter, Hoos and Leyton-Brown 2014) is chosen over Optuna's default PED-ANOVA because a family has few trials:
with 12 random trials of six parameters, one of which had an effect of about twice the noise, it named that one first in
9 of 10 searches, PED-ANOVA at its default quantile in 1 of 3. It is seeded, so a report says the same each time.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from policies.parameter import Value
from policies.registry import FAMILIES
from search.records import SearchRecord, TrialRecord
from trainables.settings import Settings

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

MINIMUM_TRIALS = 8
ROUGH_BELOW = 20
_TREES = 32
_SHARED_LOG = ("learning_rate", "temperature")


class Share(Settings):
    """A setting's share of the score's explained variance, in [0, 1]."""

    name: str
    share: float


class Importance(Settings):
    """The shares of one family, or of all trials together (`family` None), largest first.

    `shares` is None where they cannot be told; `reason` then says why.
    """

    family: str | None
    trials: int
    shares: tuple[Share, ...] | None
    reason: str = ""

    @property
    def rough(self) -> bool:
        """Whether the trials are so few that only a large difference between shares means anything."""
        return self.trials < ROUGH_BELOW


def importances(search: SearchRecord) -> tuple[Importance, ...]:
    """All trials together first (family, learning rate, temperature), then each family, best first."""
    trials = search.finished
    families = list(dict.fromkeys(t.family for t in trials))
    together = _importance(None, trials, [{"family": t.family, **t.shared} for t in trials])
    single = (_family_importance(family, [t for t in trials if t.family == family]) for family in families)
    return (together, *single)


def _family_importance(family: str, trials: Sequence[TrialRecord]) -> Importance:
    return _importance(family, trials, [{**t.shared, **t.parameters} for t in trials])


def _importance(
    family: str | None, trials: Sequence[TrialRecord], settings: Sequence[Mapping[str, Value]]
) -> Importance:
    def without(reason: str) -> Importance:
        return Importance(family=family, trials=len(trials), shares=None, reason=reason)

    if len(trials) < MINIMUM_TRIALS:
        return without(f"needs {MINIMUM_TRIALS} finished trials, has {len(trials)}")
    common = set.intersection(*(set(values) for values in settings))
    varied = [n for n in settings[0] if n in common and len({values[n] for values in settings}) > 1]
    if len(varied) < 2:
        return without("fewer than two settings were varied")
    scores = [t.score or 0.0 for t in trials]
    if max(scores) == min(scores):
        return without("all scores are equal")
    space = {name: _distribution(family, name, [values[name] for values in settings]) for name in varied}
    shares = _fanova(space, settings, scores)
    if shares is None:
        return without("the scores do not follow the settings")
    return Importance(
        family=family,
        trials=len(trials),
        shares=tuple(Share(name=n, share=s) for n, s in sorted(shares.items(), key=lambda item: -item[1])),
    )


def _distribution(family: str | None, name: str, seen: Sequence[Value]) -> BaseDistribution:
    """The range that was searched, widened to what was seen; names and shared settings have what was seen only."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution

    values = [v for v in seen if isinstance(v, int | float)]
    if len(values) < len(seen):
        return CategoricalDistribution(sorted({str(v) for v in seen}))
    low, high = float(min(values)), float(max(values))
    declared = FAMILIES[family].parameters().get(name) if family in FAMILIES else None
    if declared is not None:
        low, high = min(low, *declared.search), max(high, *declared.search)
    log = (declared.log if declared is not None else name in _SHARED_LOG) and low > 0
    return FloatDistribution(low, high, log=log)


def _fanova(
    space: dict[str, BaseDistribution],
    settings: Sequence[Mapping[str, Value]],
    scores: Sequence[float],
) -> dict[str, float] | None:
    import optuna
    from optuna.importance import FanovaImportanceEvaluator, get_param_importances

    with _quiet(optuna.logging):
        study = optuna.create_study(direction="maximize", storage=optuna.storages.InMemoryStorage())
        study.add_trials(
            [
                optuna.create_trial(
                    params={name: _value(values[name]) for name in space}, distributions=space, value=score
                )
                for values, score in zip(settings, scores, strict=True)
            ]
        )
        try:
            shares = get_param_importances(study, evaluator=FanovaImportanceEvaluator(n_trees=_TREES, seed=0))
        except RuntimeError:  # every tree is a single leaf: no variance to divide
            return None
    return shares if all(math.isfinite(share) for share in shares.values()) else None


def _value(value: Value) -> float | str:
    return value if isinstance(value, str) else float(value)


@contextlib.contextmanager
def _quiet(logging: Any) -> Iterator[None]:
    """Without Optuna's line about every new study."""
    before = logging.get_verbosity()
    logging.set_verbosity(logging.WARNING)
    try:
        yield
    finally:
        logging.set_verbosity(before)
