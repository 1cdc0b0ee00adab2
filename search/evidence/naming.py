"""How a verdict writes finalists, figures and intervals."""

from __future__ import annotations

from search.confirmation import ConfirmationRecord, Finalist
from search.evidence.paired import PairedTest
from search.wording import family_title, number, percent, points
from trainables.objective import ACCURACY

_SHARED = {"learning_rate": "learning rate", "temperature": "temperature"}


def finalist_of(record: ConfirmationRecord, key: str) -> Finalist:
    """The finalist of that key; `KeyError` if there is none."""
    for finalist in record.finalists:
        if finalist.key == key:
            return finalist
    raise KeyError(key)


def title(record: ConfirmationRecord, key: str) -> str:
    """A rule by its family, a constant by its λ; by what else tells it from another of that name, if there is one."""
    finalist = finalist_of(record, key)
    name = _name(finalist)
    alike = [f for f in record.finalists if _name(f) == name]
    if len(alike) == 1:
        return name
    told = [
        f"{words} {number(finalist.shared[setting])}"
        for setting, words in _SHARED.items()
        if setting in finalist.shared and len({f.shared.get(setting) for f in alike}) > 1
    ]
    return f"{name} ({', '.join(told) or key})"


def _name(finalist: Finalist) -> str:
    if finalist.role == "rule":
        return family_title(finalist.family)
    weight = {"labels_alone": 0.0, "teacher_alone": 1.0}.get(finalist.role, finalist.parameters.get("weight"))
    return finalist.key if weight is None else f"λ = {number(weight)}"


def p_text(p_value: float) -> str:
    """`p = 0.012`, `p < 0.001`."""
    return "p < 0.001" if p_value < 0.001 else f"p = {p_value:.2g}"


def quantity(record: ConfirmationRecord) -> str:
    """What is compared: accuracy, or the name of the user's KPI."""
    return record.objective.name


def level(record: ConfirmationRecord, score: float | None) -> str:
    """A score as the quantity that it stands for: `86.00 %`, or the KPI's own value."""
    if record.objective.name == ACCURACY:
        return percent(score)
    return number(None if score is None else record.objective.value(score))


def gain(record: ConfirmationRecord, difference: float | None) -> str:
    """A difference of scores, signed, where more is better: `+1.20` points of accuracy, or in the KPI's own unit."""
    if record.objective.name == ACCURACY:
        return points(difference)
    return "–" if difference is None else f"{difference:+.3g}".replace("-", "−")


def amount(record: ConfirmationRecord, difference: float) -> str:
    """The size of a difference with its unit: `1.20 points`; a KPI's unit is not known."""
    return gain(record, difference).lstrip("+±−") + _unit(record)


def interval(record: ConfirmationRecord, test: PairedTest) -> str:
    """`+1.20 points (95 % interval +0.80 to +1.60)`."""
    lead = gain(record, test.mean) + _unit(record)
    if test.low is None:
        return f"{lead} (noise not known)"
    return f"{lead} (95 % interval {gain(record, test.low)} to {gain(record, test.high)})"


def _unit(record: ConfirmationRecord) -> str:
    return " points" if record.objective.name == ACCURACY else ""


def sentence_case(text: str) -> str:
    """The first letter capital, unless it is Greek: λ stays λ."""
    return text if text.startswith("λ") else text[:1].upper() + text[1:]
