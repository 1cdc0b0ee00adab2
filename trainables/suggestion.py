"""Turns what a searcher suggests into the settings of one trial.

A suggestion is a flat mapping. `family` and `<family>.<parameter>` give the policy. `learning_rate`, `temperature` and
`student` (`base` or a name in `TrialSettings.students`) are searched alike for every family, and so are the options
of a task of the user's own, `options.<name>`. `seeds` are those that this part of the trial trains. A setting that the
suggestion does not name keeps the value of the base settings.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from policies.parameter import Value
from policies.registry import create_policy
from trainables.config import ModelSettings, PolicySettings, TrialSettings

SHARED = ("learning_rate", "temperature")
OPTIONS = "options."
"""The prefix of the user's own options in a suggestion. No family of rules may be called `options`."""
BASE_STUDENT = "base"
"""The name of the base settings' own student."""


def policy_parameters(suggestion: Mapping[str, Any]) -> dict[str, Value]:
    """Return the policy's parameters in a suggestion, without the family's prefix."""
    prefix = f"{suggestion['family']}."
    return {key.removeprefix(prefix): value for key, value in suggestion.items() if key.startswith(prefix)}


def shared_settings(suggestion: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a suggestion has in common with those of other families, by its name in the suggestion."""
    options = (name for name in suggestion if name.startswith(OPTIONS))
    return {name: suggestion[name] for name in (*SHARED, *options) if name in suggestion}


def options_of(suggestion: Mapping[str, Any]) -> dict[str, float]:
    """Return the user's own options in a suggestion, by their own names."""
    return {name.removeprefix(OPTIONS): value for name, value in suggestion.items() if name.startswith(OPTIONS)}


def student_of(base: TrialSettings, name: str) -> ModelSettings:
    """Return the student that a suggestion calls `name`."""
    return base.student if name == BASE_STUDENT else base.students[name]


def apply_suggestion(base: TrialSettings, suggestion: Mapping[str, Any]) -> TrialSettings:
    """Return the settings of the trial that a suggestion describes.

    Raises:
        PolicyError: the family or a parameter is unknown, or a value is invalid.
    """
    family, student = str(suggestion["family"]), str(suggestion.get("student", BASE_STUDENT))
    parameters = policy_parameters(suggestion)
    create_policy(family, dict(parameters))
    training = base.training
    if "learning_rate" in suggestion:
        training = training.model_copy(update={"learning_rate": float(suggestion["learning_rate"])})
    return base.model_copy(
        update={
            "student": student_of(base, student),
            "training": training,
            "policy": PolicySettings(family=family, parameters=parameters),
            "temperature": float(suggestion.get("temperature", base.temperature)),
            "options": {**base.options, **options_of(suggestion)},
            "seeds": tuple(suggestion.get("seeds", base.seeds)),
        }
    )
