"""Writes what `verdicts` found as tables in Markdown."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

import scaffold
import step

from noise.estimators import Estimator
from noise.study import Study
from noise.summary import Mean, Setting, Verdicts, stratified, summary

DEFAULT = Estimator("full", False, 10, 0.9)
WAYS = ("full", "last block", "logit", "full, halves", "last block, halves")
PACES = ((1, 0.0), (1, 0.9), (10, 0.0), (10, 0.9))
CANDIDATES = (
    *(Estimator(way, True, 10, 0.9) for way in ("full", "last block", "logit", "full, halves")),
    Estimator("full, unbiased", True, 3, 0.9),
)
SHOWN = (*(Estimator(way, False, *pace) for way in WAYS for pace in PACES), *CANDIDATES)
CHOSEN = (
    DEFAULT,
    DEFAULT._replace(smoothing=0.0),
    DEFAULT._replace(way="last block"),
    DEFAULT._replace(way="logit"),
    DEFAULT._replace(way="full, halves"),
)
COLUMNS = ("cosine alike", "cosine κ", "norm ratio κ", "same numbers κ", "conflict κ", "λ off", "switches")
OWN = ("cosine own", "ratio own")


def in_full(found: Study, costs: dict[str, dict[str, step.Cost]]) -> list[str]:
    """Return a row for each estimator: cost and agreement by task, over all shares of wrong labels and batches."""
    settings = sorted({setting for setting, _ in found.verdicts})
    tasks = sorted({setting.task for setting in settings})
    head = ["way", "every", "smoothing", "cost", *(f"{task}: {c}" for task in tasks for c in COLUMNS)]
    rows = []
    for estimator in SHOWN:
        way = estimator.way + (", products" if estimator.products else "")
        cost = " / ".join(f"{cost:.2f}" for cost in costs_of(estimator, costs))
        row = [way, str(estimator.every), f"{estimator.smoothing:g}", cost]
        for task in tasks:
            row += _cells(found.verdicts, [setting for setting in settings if setting.task == task], estimator)
        rows.append(row)
    return scaffold.table(head, rows)


def by_noise(found: Study) -> list[str]:
    """Return a row for each task, share of wrong labels and batch: κ of cosine and norm ratio for a few ways."""
    head = ["task", "labels wrong", "batch", "switches without noise", "one switch", "right labels", *map(str, CHOSEN)]
    rows = []
    for setting in sorted({setting for setting, _ in found.verdicts}):
        truth = summary(found.verdicts, [setting], DEFAULT, "cosine own", "noise_free_switches").value
        others = [_two(by_rule, setting) for by_rule in (found.one_switch, found.right_labels)]
        row = [setting.task, f"{setting.wrong:.0%}", str(setting.batch), f"{truth:.0f}", *others]
        row += [
            ", ".join(f"{summary(found.verdicts, [setting], one, name, 'kappa').value:.2f}" for name in OWN)
            for one in CHOSEN
        ]
        rows.append(row)
    return scaffold.table(head, rows)


def costs_of(estimator: Estimator, costs: dict[str, dict[str, step.Cost]]) -> list[float]:
    """Return the median cost on each student; unbiased norms take the same four passes as halves."""
    later = {1: "", 3: ", every 3rd"}.get(estimator.every, f", every {estimator.every}th")
    kind = estimator.way.replace("unbiased", "halves") + later
    return [statistics.median(of_student[kind].ratios) for of_student in costs.values()]


def _two(kappas: dict[tuple[Setting, int], dict[str, float]], setting: Setting) -> str:
    of_setting = [by_rule for (each, _), by_rule in kappas.items() if each == setting]
    return ", ".join(f"{stratified([[by_rule[name] for by_rule in of_setting]]).value:.2f}" for name in OWN)


def _cells(verdicts: Verdicts, settings: Sequence[Setting], estimator: Estimator) -> list[str]:
    def of(name: str, field: str) -> Mean:
        return summary(verdicts, settings, estimator, name, field)

    same = [of(name, "kappa").value for name in ("cosine same", "ratio same")]
    return [
        f"{of('cosine own', 'agreement').value:.2f}",
        str(of("cosine own", "kappa")),
        str(of("ratio own", "kappa")),
        ", ".join("–" if math.isnan(value) else f"{value:.2f}" for value in same),
        f"{of('conflict', 'kappa').value:.2f}",
        f"{of('norm balance', 'error').value:.2f}",
        f"{of('cosine own', 'switches').value:.1f}",
    ]
