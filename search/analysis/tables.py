"""Turns an analysis's probes into arrays. P: probes; W: λ that were tried."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt
import pydantic

from search.records import AnalysisRecord
from trainables.records import Loss, StepKind
from trainables.settings import Settings

Floats = npt.NDArray[np.float64]

BOTH: tuple[Loss, ...] = ("task", "distill")
GOALS: tuple[Loss, ...] = ("task", "mean")
"""The losses that the claims are about: the held-out task loss, and the mean of both losses."""


class Numbers(Settings):
    """The base of what is computed from an analysis: frozen; a value that is not defined is NaN."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid", allow_inf_nan=True)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Changes:
    """The true changes and predictions of one loss on one set under one kind of step, [P, W]; NaN if not known."""

    loss: Loss
    where: str
    kind: StepKind
    true: Floats
    predictions: dict[str, Floats]


def changes(record: AnalysisRecord, loss: Loss, kind: StepKind = "optimizer", where: str = "held_out") -> Changes:
    """Return the changes of a loss on the set `where`, `held_out` or `batch`.

    The predictions are the expansions of `trainables.records.probes.Response`. Held-out pictures also have
    `from_batch`: ⟨g, Δ⟩ with the gradient of the training batch, which is what a rule could know.
    """
    responses = [getattr(probe.steps[kind], where)[loss] for probe in record.probes]
    predictions = {
        name: np.array([getattr(response, name) for response in responses], float)
        for name in ("plain", "first", "second", "halfway")
        if getattr(responses[0], name) is not None
    }
    if where == "held_out":
        predictions["from_batch"] = np.array([probe.steps[kind].batch[loss].first for probe in record.probes], float)
    true = np.array([response.true for response in responses], float)
    return Changes(loss=loss, where=where, kind=kind, true=true, predictions=predictions)


def lowest(weights: npt.ArrayLike, values: Floats) -> Floats:
    """Return the λ of the lowest value in each row of `values` [..., W], refined by a parabola through three points.

    NaN for rows with a value that is not finite; ½ for rows without a difference. At the ends λ is not refined.
    """
    lam = np.asarray(weights, float)
    rows = values.reshape(-1, values.shape[-1])
    found = np.full(len(rows), np.nan)
    for place, row in enumerate(rows):
        if not np.isfinite(row).all():
            continue
        at = int(row.argmin())
        found[place] = lam[at] if np.ptp(row) > 0.0 else 0.5
        if 0 < at < len(lam) - 1:
            x, y = lam[at - 1 : at + 2], row[at - 1 : at + 2]
            bend, slope, _ = np.polyfit(x - x[1], y - y[1], 2)
            if bend > 0.0:
                found[place] = np.clip(x[1] - 0.5 * slope / bend, x[0], x[2])
    return found.reshape(values.shape[:-1])


@dataclasses.dataclass(frozen=True, kw_only=True)
class Places:
    """The places of the probes: seeds, steps and what was measured there, all [P]."""

    seed: npt.NDArray[np.int64]
    step: npt.NDArray[np.int64]
    progress: Floats
    cosine: Floats
    log_ratio: Floats
    weight: Floats
    length: Floats
    """‖Δ‖ of the optimiser's step at λ = ½."""


def places(record: AnalysisRecord) -> Places:
    """Return the probes' seeds, steps and geometries; the geometry is the training batch's, which a rule sees."""
    probes = record.probes
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = np.log(np.array([probe.batch.norm_ratio for probe in probes], float))
    return Places(
        seed=np.array([probe.seed for probe in probes]),
        step=np.array([probe.step for probe in probes]),
        progress=np.array([probe.progress for probe in probes], float),
        cosine=np.array([probe.batch.cosine for probe in probes], float),
        log_ratio=ratios,
        weight=np.array([probe.weight for probe in probes], float),
        length=np.array([probe.steps["optimizer"].lengths[len(record.weights) // 2] for probe in probes], float),
    )
