"""What moves the best λ, and whether the literature's claims about it hold here.

The best λ of a probe is the one whose step lets a held-out loss fall furthest. Along a training it moves, the angle
moves and the norm ratio moves, so that any two of them go together; time alone may be why. Claims are therefore judged
between seeds at the same step, where the batch makes the difference:

    best λ = step's own level + seed's own level + α·cosine + β·log norm ratio + noise.

Standard errors are jackknifed over seeds (each seed left out in turn; CR3 of MacKinnon, Nielsen and Webb 2023,
doi 10.1016/j.jeconom.2022.04.001), with Student's t of one degree of freedom fewer than seeds: what the probes of one
training share, whatever it is, is no evidence. p-values are Holm-corrected over the claims about a loss.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import numpy.typing as npt

from search.analysis.record import AnalysisRecord
from search.analysis.tables import Floats, Numbers, changes, lowest, places
from search.evidence.paired import holm
from trainables.probes import Loss

ClaimName = Literal["similar", "large_angle", "longer"]
Answer = Literal["supported", "opposite", "not supported", "cannot be told"]

LEVEL = 0.05
MARGIN = 0.1
"""A λ that differs by less is called the same."""
_FEWEST_SEEDS = 3
_STILL = 1e-6
"""Spread below which nothing is said to move."""

_SIGN: dict[ClaimName, int] = {"similar": 1, "large_angle": -1, "longer": -1}


class Effect(Numbers):
    """A coefficient with its jackknifed interval."""

    value: float
    low: float
    high: float
    p_value: float


class Claim(Numbers):
    """One claim about one loss.

    `similar`: a larger cosine goes with a larger best λ. `large_angle`: the third of the probes with the largest angle
    has a smaller best λ than the others. `longer`: a longer distillation gradient goes with a smaller best λ. Each with
    the other reading (norm ratio or cosine), the step and the seed held fixed.
    """

    name: ClaimName
    loss: Loss
    effect: Effect | None
    """Of `similar` and `longer`: how the best λ differs between probes that lie two standard deviations of the reading
    apart. Of `large_angle`: by how much the third differs. None where something does not move."""
    reach: float
    """Those two standard deviations, given step, seed and the other reading; 0 for `large_angle`."""
    p_corrected: float
    answer: Answer
    reason: str = ""
    """Why it cannot be told, where that is not only noise."""


class BestWeight(Numbers):
    """Where the best λ lies."""

    loss: Loss
    mean: float
    low: float
    """Of the mean's 95 % interval over the seeds; NaN with one seed."""
    high: float
    at_zero: float
    """Share of the probes at which it is the lowest of those tried."""
    at_one: float
    clear: float
    """Share of the probes at which the worst λ is behind the best by more than three standard errors of the difference
    over the pictures; where it is not, the best λ is a guess."""
    along: dict[str, float]
    """Correlation, over the steps of probes, of the seeds' mean best λ with their mean cosine, log norm ratio, and with
    progress. A training has but one course, so that these may all be time's doing; NaN where one does not move."""


def best_weights(record: AnalysisRecord, loss: Loss) -> Floats:
    """The best λ of each probe for a held-out loss, [P]."""
    return lowest(record.weights, changes(record, loss).true)


def where_best(record: AnalysisRecord, loss: Loss) -> BestWeight:
    """Where the best λ of the probes lies."""
    best, found = best_weights(record, loss), places(record)
    known = np.isfinite(best)
    by_seed = [
        best[known & (found.seed == seed)].mean() for seed in record.seeds if (known & (found.seed == seed)).any()
    ]
    spread = (
        np.std(by_seed, ddof=1) / math.sqrt(len(by_seed)) * _student(len(by_seed)) if len(by_seed) > 1 else math.nan
    )
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
        low=mean - spread,
        high=mean + spread,
        at_zero=_share(best[known] <= lam[0]),
        at_one=_share(best[known] >= lam[-1]),
        clear=_share(gaps > 3.0 * errors[rows, worst]),
        along=along_training(record, best),
    )


def along_training(record: AnalysisRecord, best: Floats) -> dict[str, float]:
    """`BestWeight.along` of some best λ, [P]."""
    found, known = places(record), np.isfinite(best)
    readings = {"cosine": found.cosine, "norm ratio": found.log_ratio, "progress": found.progress}
    return {name: _along(found.step[known], best[known], values[known]) for name, values in readings.items()}


def judge_claims(record: AnalysisRecord, loss: Loss) -> tuple[Claim, ...]:
    """The three claims about one loss."""
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
    """As `judge_claims`, from the probes' best λ, readings, steps and seeds, all [P]."""
    known = np.isfinite(best) & np.isfinite(cosine) & np.isfinite(log_ratio)
    best, cosine, log_ratio = (values[known] for values in (best, cosine, log_ratio))
    step, seed = step[known], seed[known]
    order = np.argsort(cosine, kind="stable")
    large_angle = np.zeros(len(order))
    large_angle[order[: len(order) // 3]] = 1.0
    tried = {
        "similar": (cosine, log_ratio, True),
        "large_angle": (large_angle, log_ratio, False),
        "longer": (log_ratio, cosine, True),
    }
    tests: dict[ClaimName, tuple[Effect | None, float, str]] = {
        name: _effect(best, reading, other, step, seed, scaled=scaled)  # type: ignore[misc]  # the claims' names
        for name, (reading, other, scaled) in tried.items()
    }
    p_values = [1.0 if effect is None else effect.p_value for effect, _, _ in tests.values()]
    return tuple(
        Claim(
            name=name,
            loss=loss,
            effect=effect,
            reach=reach,
            p_corrected=p,
            answer=_answer(effect, p, _SIGN[name]),
            reason=reason,
        )
        for (name, (effect, reach, reason)), p in zip(tests.items(), holm(p_values), strict=True)
    )


def _answer(effect: Effect | None, p_corrected: float, sign: int) -> Answer:
    if effect is None:
        return "cannot be told"
    if p_corrected <= LEVEL:
        return "supported" if sign * effect.value > 0.0 else "opposite"
    # Even the end of the interval that favours the claim is next to nothing.
    favourable = effect.high if sign > 0 else -effect.low
    return "not supported" if favourable < MARGIN else "cannot be told"


def _effect(
    best: Floats,
    reading: Floats,
    other: Floats,
    step: npt.NDArray[np.int64],
    seed: npt.NDArray[np.int64],
    *,
    scaled: bool,
) -> tuple[Effect | None, float, str]:
    """(effect, reach, why there is none)."""
    seeds = np.unique(seed)
    if len(seeds) < _FEWEST_SEEDS:
        return None, 0.0, f"it takes {_FEWEST_SEEDS} seeds at least"
    if np.ptp(best) < _STILL:
        return None, 0.0, f"the best λ is {best[0]:.2g} at every probe"
    whole = _slope(best, reading, other, step, seed)
    if whole is None:
        return None, 0.0, "at a given step the seeds do not differ enough"
    value, reach = whole
    unit = reach if scaled else 1.0
    left = [_slope(*(x[seed != out] for x in (best, reading, other, step, seed))) for out in seeds]
    slopes = np.array([one[0] for one in left if one is not None])
    if len(slopes) < len(seeds):
        return None, 0.0, "without one of the seeds the others do not differ enough"
    count = len(seeds)
    error = math.sqrt((count - 1) / count * float(((slopes - value) ** 2).sum()))
    if error * unit < _STILL:
        # A relation without noise; rounding is all that is left of its error.
        error = _STILL / unit
    from scipy import special

    half = _student(count) * error
    effect = Effect(
        value=value * unit,
        low=(value - half) * unit,
        high=(value + half) * unit,
        p_value=float(2.0 * special.stdtr(count - 1, -abs(value) / error)),
    )
    return effect, reach if scaled else 0.0, ""


def _slope(
    best: Floats, reading: Floats, other: Floats, step: npt.NDArray[np.int64], seed: npt.NDArray[np.int64]
) -> tuple[float, float] | None:
    """(slope of `best` on `reading`, two standard deviations of `reading`), what step, seed and `other` tell taken out.

    By Frisch, Waugh and Lovell both are first rid of all the rest. None where nothing is left of the reading.
    """
    levels = np.concatenate([np.unique(step)[:, None] == step, np.unique(seed)[:, None] == seed]).astype(float).T
    rest = np.column_stack([levels, other])
    outcome, left = (x - rest @ np.linalg.lstsq(rest, x, rcond=None)[0] for x in (best, reading))
    freedom = len(best) - np.linalg.matrix_rank(rest)
    if freedom < 2 or left.std() < _STILL:
        return None
    return float(left @ outcome / (left @ left)), 2.0 * math.sqrt(float(left @ left) / freedom)


def _student(count: int) -> float:
    from scipy import special

    return float(special.stdtrit(count - 1, 1.0 - LEVEL / 2.0))


def _share(which: npt.NDArray[np.bool_]) -> float:
    return float(which.mean()) if len(which) else math.nan


def _along(step: npt.NDArray[np.int64], best: Floats, values: Floats) -> float:
    """Pearson's correlation of the two courses, each the mean over the seeds."""
    finite = np.isfinite(values)
    step, best, values = step[finite], best[finite], values[finite]
    steps = np.unique(step)
    if len(steps) < 3:
        return math.nan
    ours, theirs = (np.array([x[step == at].mean() for at in steps]) for x in (best, values))
    if ours.std() < _STILL or theirs.std() < _STILL:
        return math.nan
    return float(np.corrcoef(ours, theirs)[0, 1])
