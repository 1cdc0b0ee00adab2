"""Tests what moves the best λ, and whether the literature's claims about it hold here.

The best λ of a probe is the one whose step lets a held-out loss fall furthest. Along a training the best λ, the angle
and the norm ratio all move, so any two of them are correlated. Time alone may be the cause. Claims are therefore judged
between seeds at the same step, where the batch makes the difference:

    best λ = step's own level + seed's own level + α·reading + noise.

The reading is the cosine, the log norm ratio, or whether the angle is large. A rule that looks at this reading alone
could use α. `beside` is α with the other reading held fixed. It may differ much from α if the two readings are
correlated.

Standard errors are jackknifed over seeds: each seed is left out in turn (CR3 of MacKinnon, Nielsen and Webb 2023, doi
10.1016/j.jeconom.2022.04.001). Student's t has one degree of freedom fewer than there are seeds. So nothing that the
probes of one training share counts as evidence. p-values are Holm-corrected over the claims about a loss.
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from search.analysis.tables import Floats, Numbers, changes, lowest, places
from search.evidence import holm
from search.records import AnalysisRecord
from trainables.records import Loss

ClaimName = Literal["similar", "large_angle", "longer"]
Answer = Literal["supported", "opposite", "not supported", "cannot be told"]

LEVEL = 0.05
MARGIN = 0.1
"""Two λ that differ by less are called the same."""
_FEWEST_SEEDS = 3
_STILL = 1e-6
"""The spread below which a value counts as not moving."""

_SIGN: dict[ClaimName, int] = {"similar": 1, "large_angle": -1, "longer": -1}


class Effect(Numbers):
    """A coefficient with its jackknifed interval."""

    value: float
    low: float
    high: float
    p_value: float

    def times(self, unit: float) -> Effect:
        """Return the effect of `unit` units of the reading."""
        return Effect(value=unit * self.value, low=unit * self.low, high=unit * self.high, p_value=self.p_value)


class Claim(Numbers):
    """One claim about one loss.

    `similar`: a larger cosine goes with a larger best λ. `large_angle`: the third of the probes with the largest angle
    has a smaller best λ than the others. `longer`: a longer distillation gradient goes with a smaller best λ. Each
    claim is judged at the same step, with each seed's own level removed.
    """

    name: ClaimName
    loss: Loss
    effect: Effect | None
    """The effect on the best λ; None if it cannot be estimated. For `similar` and `longer` it is the difference between
    probes that lie two standard deviations of the reading apart. For `large_angle` it is the difference between the
    third and the other probes."""
    reach: float
    """Those two standard deviations, with step and seed taken out; 0 for `large_angle`."""
    beside: Effect | None = None
    """The same effect, between the same readings, with the other reading (log norm ratio or cosine) held fixed too."""
    p_corrected: float
    answer: Answer
    reason: str = ""
    """The reason why the effect cannot be estimated; empty if it can."""


class BestWeight(Numbers):
    """The place of the best λ over the probes."""

    loss: Loss
    mean: float
    low: float
    """Lower end of the mean's 95 % interval over the seeds, within [0, 1]; NaN with one seed."""
    high: float
    at_zero: float
    """Share of the probes at which the lowest λ tried is the best."""
    at_one: float
    clear: float
    """Share of the probes at which the worst λ is behind the best by more than three standard errors of the difference
    over the pictures. At the other probes the best λ is a guess."""
    along: dict[str, float]
    """Correlation, over the steps of probes, of the seeds' mean best λ with their mean cosine, log norm ratio, and with
    progress. A training has only one course, so time may be the cause of all three. NaN if one does not move."""


def best_weights(record: AnalysisRecord, loss: Loss) -> Floats:
    """Return the best λ of each probe for a held-out loss, [P]."""
    return lowest(record.weights, changes(record, loss).true)


def where_best(record: AnalysisRecord, loss: Loss) -> BestWeight:
    """Return where the best λ of the probes lies."""
    best, found = best_weights(record, loss), places(record)
    known = np.isfinite(best)
    by_seed = [best[known & (found.seed == seed)].mean() for seed in np.unique(found.seed[known])]
    seeds = len(by_seed)
    spread = np.std(by_seed, ddof=1) / math.sqrt(seeds) * _student(seeds) if seeds > 1 else math.nan
    mean = float(np.mean(by_seed)) if by_seed else math.nan
    true = changes(record, loss).true
    errors = np.array([probe.steps["optimizer"].held_out[loss].gap_error for probe in record.probes], float)
    rows = np.arange(len(true))[known]
    worst = true[known].argmax(1)
    gaps = true[rows, worst] - true[known].min(1)
    lam = np.asarray(record.weights)
    return BestWeight(
        loss=loss,
        mean=mean,
        low=max(mean - spread, 0.0),
        high=min(mean + spread, 1.0),
        at_zero=_share(best[known] <= lam[0]),
        at_one=_share(best[known] >= lam[-1]),
        clear=_share(gaps > 3.0 * errors[rows, worst]),
        along=along_training(record, best),
    )


def along_training(record: AnalysisRecord, best: Floats) -> dict[str, float]:
    """Return `BestWeight.along` of the best λ `best`, [P]."""
    found, known = places(record), np.isfinite(best)
    readings = {"cosine": found.cosine, "norm ratio": found.log_ratio, "progress": found.progress}
    return {name: _along(found.step[known], best[known], values[known]) for name, values in readings.items()}


def judge_claims(record: AnalysisRecord, loss: Loss) -> tuple[Claim, ...]:
    """Judge the three claims about one loss."""
    found = places(record)
    return judge(loss, best_weights(record, loss), found.cosine, found.log_ratio, found.step, found.seed)


def judge(
    loss: Loss,
    best: Floats,
    cosine: Floats,
    log_ratio: Floats,
    step: npt.NDArray[np.int64],
    seed: npt.NDArray[np.int64],
) -> tuple[Claim, ...]:
    """Judge the three claims from the probes' best λ, readings, steps and seeds, all [P]."""
    best, cosine, log_ratio = _panels(step, seed, best, cosine, log_ratio)
    large_angle = np.zeros(cosine.size)
    large_angle[np.argsort(cosine, axis=None, kind="stable")[: cosine.size // 3]] = 1.0
    readings: dict[ClaimName, tuple[Floats, Floats]] = {
        "similar": (cosine, log_ratio),
        "large_angle": (large_angle.reshape(cosine.shape), log_ratio),
        "longer": (log_ratio, cosine),
    }
    nothing = np.zeros_like(best)
    tests = {name: _effect(best, reading, nothing) for name, (reading, _) in readings.items()}
    p_values = holm(1.0 if test.effect is None else test.effect.p_value for test in tests.values())
    found = []
    for (name, test), p in zip(tests.items(), p_values, strict=True):
        unit, reach = (1.0, 0.0) if name == "large_angle" else (test.spread, test.spread)
        effect = test.effect and test.effect.times(unit)
        beside = _effect(best, *readings[name]).effect
        found.append(
            Claim(
                name=name,
                loss=loss,
                effect=effect,
                reach=reach,
                beside=beside and beside.times(unit),
                p_corrected=p,
                answer=_answer(effect, p, _SIGN[name]),
                reason=test.reason,
            )
        )
    return tuple(found)


def _panels(step: npt.NDArray[np.int64], seed: npt.NDArray[np.int64], *values: Floats) -> list[Floats]:
    """Return the values as [seeds, steps] without gaps.

    Seeds that are not finite at half of the steps or more are dropped, then steps at which any other seed is not.
    """
    seeds, steps = np.unique(seed), np.unique(step)
    whole = [np.full((len(seeds), len(steps)), np.nan) for _ in values]
    for panel, column in zip(whole, values, strict=True):
        panel[np.searchsorted(seeds, seed), np.searchsorted(steps, step)] = column
    known = np.isfinite(np.stack(whole)).all(axis=0)
    rows = known.mean(axis=1) > 0.5
    columns = known[rows].all(axis=0)
    return [panel[rows][:, columns] for panel in whole]


def _answer(effect: Effect | None, p_corrected: float, sign: int) -> Answer:
    if effect is None:
        return "cannot be told"
    if p_corrected <= LEVEL:
        return "supported" if sign * effect.value > 0.0 else "opposite"
    # "Not supported" means that even the end of the interval that favours the claim is below the margin.
    favourable = effect.high if sign > 0 else -effect.low
    return "not supported" if favourable < MARGIN else "cannot be told"


class _Test(NamedTuple):
    """The effect of one unit of a reading, two standard deviations of the reading, and the reason if no effect."""

    effect: Effect | None
    spread: float = 0.0
    reason: str = ""


def _effect(best: Floats, reading: Floats, other: Floats) -> _Test:
    """Estimate the effect of a reading with `other` held fixed, all [seeds, steps]."""
    seeds = len(best)
    if seeds < _FEWEST_SEEDS:
        return _Test(None, reason=f"at least {_FEWEST_SEEDS} seeds are needed")
    if best.size == 0 or np.ptp(best) < _STILL:
        flat = f"the best λ is {best.flat[0]:.2g} at every probe" if best.size else "no step is known under every seed"
        return _Test(None, reason=flat)
    whole = _slope(best, reading, other)
    if whole is None:
        return _Test(None, reason="at a given step the seeds do not differ enough")
    value, spread = whole
    left = [_slope(*(np.delete(panel, out, axis=0) for panel in (best, reading, other))) for out in range(seeds)]
    slopes = np.array([one[0] for one in left if one is not None])
    if len(slopes) < seeds:
        return _Test(None, reason="without one of the seeds the others do not differ enough")
    # A relation without noise leaves only rounding errors, so the error has a floor.
    error = max(math.sqrt((seeds - 1) / seeds * float(((slopes - value) ** 2).sum())), _STILL / spread)
    half = _student(seeds) * error
    from scipy import special

    effect = Effect(
        value=value,
        low=value - half,
        high=value + half,
        p_value=float(2.0 * special.stdtr(seeds - 1, -abs(value) / error)),
    )
    return _Test(effect, spread)


def _slope(best: Floats, reading: Floats, other: Floats) -> tuple[float, float] | None:
    """Return (slope of `best` on `reading`, two standard deviations of `reading`); None if too little is left.

    Both are first freed of what step, seed and `other` explain (Frisch, Waugh and Lovell). Too little is left if the
    reading no longer varies, or with fewer than two degrees of freedom.
    """
    outcome, left, rest = (_levelled(panel) for panel in (best, reading, other))
    size = float((rest**2).sum())
    freedom = (best.shape[0] - 1) * (best.shape[1] - 1)
    if size > _STILL**2 * rest.size:
        freedom -= 1
        outcome, left = (panel - rest * float((rest * panel).sum()) / size for panel in (outcome, left))
    size = float((left**2).sum())
    if freedom < 2 or size < _STILL**2 * left.size:
        return None
    return float((left * outcome).sum()) / size, 2.0 * math.sqrt(size / freedom)


def _levelled(panel: Floats) -> Floats:
    """Return [seeds, steps] without each seed's and each step's own level."""
    found: Floats = panel - panel.mean(axis=0) - panel.mean(axis=1, keepdims=True) + panel.mean()
    return found


def _student(count: int) -> float:
    from scipy import special

    return float(special.stdtrit(count - 1, 1.0 - LEVEL / 2.0))


def _share(which: npt.NDArray[np.bool_]) -> float:
    return float(which.mean()) if len(which) else math.nan


def _along(step: npt.NDArray[np.int64], best: Floats, values: Floats) -> float:
    """Return Pearson's correlation of the two courses, each the mean over the seeds."""
    finite = np.isfinite(values)
    step, best, values = step[finite], best[finite], values[finite]
    steps = np.unique(step)
    if len(steps) < 3:
        return math.nan
    ours, theirs = (np.array([x[step == at].mean() for at in steps]) for x in (best, values))
    if ours.std() < _STILL or theirs.std() < _STILL:
        return math.nan
    return float(np.corrcoef(ours, theirs)[0, 1])
