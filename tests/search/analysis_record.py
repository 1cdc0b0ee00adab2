"""Analyses with a planted relation between the best λ and what a batch shows."""

import numpy as np

from search.records.analysis import AnalysisRecord
from trainables.records.probes import LOSSES, STEP_KINDS, Angle, ProbeRecord, ProbeSettings, Response, VirtualSteps

WEIGHTS = tuple(i / 10 for i in range(11))


def planted_record(best_of, *, seeds=6, probes=15, noise=0.0, seed=0, **more):
    """Return an analysis: each loss is a parabola in λ around `best_of(cosine, log_ratio, progress)`, plus noise.

    Predictions are exact, except `first`, which is twice too large and has a slope of the wrong sign.
    """
    draws = np.random.default_rng(seed)
    lam = np.array(WEIGHTS)
    found = []
    for one in range(seeds):
        for place in range(probes):
            progress = place / probes
            cosine, log_ratio = float(np.clip(draws.normal(0.2, 0.3), -1, 1)), float(draws.normal(0.5, 0.5))
            best = best_of(cosine, log_ratio, progress) + noise * draws.normal()
            true = 0.1 * ((lam - best) ** 2 - 1.0)
            found.append(_probe(one, place, progress, cosine, log_ratio, true))
    values = {
        "name": "planted",
        "family": "norm_ratio_threshold",
        "parameters": {"threshold": 2.0, "above": 0.1, "below": 0.9, "measure_every": 1, "smoothing": 0.0},
        "rule": "λ = 0.1 where r > 2",
        "seeds": tuple(range(seeds)),
        "total_steps": probes,
        "temperature": 4.0,
        "learning_rate": 0.01,
        "optimizer": "adam",
        "student": "mlp",
        "dataset": "digits",
        "device": "CPU",
        "held_out": 100,
        "settings": ProbeSettings(probes=probes, weights=WEIGHTS, horizons=(1, 5)),
        "seconds": 1.0,
        "probes": tuple(found),
    }
    return AnalysisRecord(**{**values, **more})


def _probe(seed, place, progress, cosine, log_ratio, true):
    exact = tuple(true.tolist())
    response = Response(
        true=exact,
        first=tuple((-2.0 * true).tolist()),
        plain=exact,
        second=exact,
        halfway=exact,
        error=(0.001,) * len(exact),
        gap_error=(0.001,) * len(exact),
    )
    responses = dict.fromkeys(LOSSES, response)
    angle = Angle(cosine=cosine, norm_ratio=float(np.exp(log_ratio)), task_norm=1.0)
    return ProbeRecord(
        seed=seed,
        step=place,
        progress=progress,
        learning_rate=0.01,
        weight=0.9,
        batch=angle,
        held_out=angle,
        task_alignment=0.5,
        distill_alignment=0.5,
        cross_alignment=0.2,
        task_loss=1.0,
        distill_loss=1.0,
        plain_rate=0.1,
        task_curvature=0.2,
        steps={
            kind: VirtualSteps(lengths=(0.1,) * len(exact), batch=responses, held_out=responses) for kind in STEP_KINDS
        },
        horizons={1: dict.fromkeys(LOSSES, exact), 5: dict.fromkeys(LOSSES, exact)},
    )
