"""The families by name. A new family is one file, one line here and one test file."""

from __future__ import annotations

from typing import Any

from policies.cosine_schedule import CosineSchedule
from policies.cosine_threshold import CosineThreshold
from policies.errors import PolicyError, nearest
from policies.fixed import Fixed
from policies.linear_schedule import LinearSchedule
from policies.norm_balance import NormBalance
from policies.norm_ratio_threshold import NormRatioThreshold
from policies.policy import Policy
from policies.sample_agreement_threshold import SampleAgreementThreshold
from policies.sample_cosine_ramp import SampleCosineRamp
from policies.sample_cosine_threshold import SampleCosineThreshold
from policies.sample_norm_balance import SampleNormBalance
from policies.sample_norm_ratio_threshold import SampleNormRatioThreshold
from policies.step_schedule import StepSchedule

FAMILIES: dict[str, type[Policy]] = {
    policy.family: policy
    for policy in (
        Fixed,
        LinearSchedule,
        CosineSchedule,
        StepSchedule,
        CosineThreshold,
        NormRatioThreshold,
        NormBalance,
        SampleCosineThreshold,
        SampleCosineRamp,
        SampleNormRatioThreshold,
        SampleNormBalance,
        SampleAgreementThreshold,
    )
}


def policy_class(family: str) -> type[Policy]:
    """The class of a family.

    Raises:
        PolicyError: no family has this name; the message names the nearest one.
    """
    if family not in FAMILIES:
        raise PolicyError(
            f"there is no policy family {family!r}; known: {', '.join(FAMILIES)}.{nearest(family, FAMILIES)}"
        )
    return FAMILIES[family]


def create_policy(family: str, parameters: dict[str, Any] | None = None) -> Policy:
    """A new policy of a family; parameters not named take their defaults.

    Raises:
        PolicyError: an unknown family or parameter, or an invalid value.
    """
    return policy_class(family).from_parameters(parameters or {})
