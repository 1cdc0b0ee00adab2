"""Writes scores as values of the objective: an accuracy or a KPI of the user's own."""

from __future__ import annotations

import dataclasses
import math

from search.metrics import Metric, metric_of_objective
from search.wording.numbers import percent, points
from trainables.records import Objective


@dataclasses.dataclass(frozen=True)
class Scale:
    """Turns scores, of which more is always better, back into values that people know.

    Accuracies are written in percent, their differences in percentage points, and a KPI's value as it is. A difference
    says how much better something is. So it is positive for the better one, even if less of the KPI is better.
    """

    objective: Objective

    @property
    def is_accuracy(self) -> bool:
        """True if scores are accuracies in [0, 1], in steps of one picture."""
        return self.metric.unit == "%"

    @property
    def metric(self) -> Metric:
        """The metric that scores stand for."""
        return metric_of_objective(self.objective.name, self.objective.direction)

    @property
    def title(self) -> str:
        """`accuracy`, or the KPI's name, followed by `(less is better)` if it is minimised."""
        return f"{self.objective.name}{'' if self.objective.direction == 'maximize' else ' (less is better)'}"

    def on(self, part: str) -> str:
        """`validation accuracy`, or `my_kpi on the validation set`."""
        return f"{part} accuracy" if self.is_accuracy else f"{self.title} on the {part} set"

    def value(self, score: float | None, digits: int = 2) -> str:
        """A score as the value that it stands for; `–` where there is none. `digits` are those of a percentage."""
        if self.is_accuracy or score is None or not math.isfinite(score):
            return percent(score, digits)
        return f"{self.objective.value(score):.4g}".replace("-", "−")

    def difference(self, difference: float | None) -> str:
        """A difference of scores, signed, without a unit; `–` where there is none."""
        if self.is_accuracy or difference is None or not math.isfinite(difference):
            return points(difference)
        text = f"{difference:+.3g}"
        return f"±{text[1:]}" if float(text) == 0.0 else text.replace("-", "−")

    def margin(self, difference: float | None) -> str:
        """A difference of scores with its unit, if it has one: `+1.20 points`."""
        return f"{self.difference(difference)} points" if self.is_accuracy else self.difference(difference)

    def size(self, difference: float | None) -> str:
        """A difference of scores with its unit, if it has one, and without a sign."""
        return self.margin(difference).lstrip("+±−")

    def deviation(self, deviation: float) -> str:
        """A standard deviation or error, without a sign or a unit."""
        return f"{100 * deviation:.2f}" if self.is_accuracy else f"{deviation:.3g}"

    def spread(self, deviation: float | None) -> str:
        """`± 0.40`; empty where there is none."""
        return "" if deviation is None or not math.isfinite(deviation) else f"± {self.deviation(deviation)}"

    def interval(self, low: float, high: float) -> str:
        """`+0.80 to +1.60`."""
        return f"{self.difference(low)} to {self.difference(high)}"
