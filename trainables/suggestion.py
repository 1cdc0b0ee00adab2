"""From what a searcher suggests to the settings of one trial.

A suggestion is a flat mapping: `family`, `<family>.<parameter>` for the policy, `learning_rate`, `temperature` and
`student` (`base` or a name in `TrialSettings.students`), which are searched alike for every family, and `seeds`, those
that this part of the trial trains. What it does not name stays as the base settings say.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from policies.parameter import Value
from policies.registry import create_policy
from trainables.config import ModelSettings, PolicySettings, TrialSettings

SHARED = ("learning_rate", "temperature")
BASE_STUDENT = "base"
"""The name of the base settings' own student."""


def policy_parameters(suggestion: Mapping[str, Any]) -> dict[str, Value]:
    """The policy's parameters in a suggestion, without the family's prefix."""
    prefix = f"{suggestion['family']}."
    return {key.removeprefix(prefix): value for key, value in suggestion.items() if key.startswith(prefix)}


def student_of(base: TrialSettings, name: str) -> ModelSettings:
    """The student that a suggestion calls `name`."""
    return base.student if name == BASE_STUDENT else base.students[name]


def apply_suggestion(base: TrialSettings, suggestion: Mapping[str, Any]) -> TrialSettings:
    """The trial that a suggestion describes.

    Raises:
        PolicyError: an unknown family or parameter, or an invalid value.
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
            "seeds": tuple(suggestion.get("seeds", base.seeds)),
        }
    )
