"""The families by name. A new family is one file, one line here and one test file."""

from __future__ import annotations

from typing import Any

from policies.aliases import ALIASES, meaning
from policies.errors import PolicyError, nearest
from policies.families.gradients.cagrad import CAGrad
from policies.families.gradients.cosine_gate import CosineGate
from policies.families.gradients.cosine_ramp import CosineRamp
from policies.families.gradients.cosine_threshold import CosineThreshold
from policies.families.gradients.gradnorm import GradNorm
from policies.families.gradients.gradvac import GradVac
from policies.families.gradients.mgda import MGDA
from policies.families.gradients.norm_balance import NormBalance
from policies.families.gradients.norm_ratio_threshold import NormRatioThreshold
from policies.families.gradients.safe_interval import SafeInterval
from policies.families.gradients.taylor import Taylor
from policies.families.gradients.taylor_curvature import TaylorCurvature
from policies.families.gradients.tree import Tree
from policies.families.gradients.upgrad import UPGrad
from policies.families.losses.dwa import DynamicWeightAverage
from policies.families.losses.famo import Famo
from policies.families.losses.loss_ratio import LossRatio
from policies.families.losses.uncertainty import Uncertainty
from policies.families.reliability.class_reliability import ClassReliability
from policies.families.reliability.confidence_reliability import ConfidenceReliability
from policies.families.samples.sample_agreement_threshold import SampleAgreementThreshold
from policies.families.samples.sample_class_reliability import SampleClassReliability
from policies.families.samples.sample_confidence_reliability import SampleConfidenceReliability
from policies.families.samples.sample_cosine_ramp import SampleCosineRamp
from policies.families.samples.sample_cosine_threshold import SampleCosineThreshold
from policies.families.samples.sample_norm_balance import SampleNormBalance
from policies.families.samples.sample_norm_ratio_threshold import SampleNormRatioThreshold
from policies.families.samples.sample_tree import SampleTree
from policies.families.schedules.cosine_schedule import CosineSchedule
from policies.families.schedules.fixed import Fixed
from policies.families.schedules.linear_schedule import LinearSchedule
from policies.families.schedules.step_schedule import StepSchedule
from policies.families.schedules.warm_up import WarmUp
from policies.policy import Policy

FAMILIES: dict[str, type[Policy]] = {
    policy.family: policy
    for policy in (
        Fixed,
        LinearSchedule,
        CosineSchedule,
        StepSchedule,
        WarmUp,
        CosineThreshold,
        NormRatioThreshold,
        NormBalance,
        CosineGate,
        CosineRamp,
        Taylor,
        TaylorCurvature,
        SafeInterval,
        MGDA,
        UPGrad,
        CAGrad,
        GradVac,
        GradNorm,
        LossRatio,
        DynamicWeightAverage,
        Uncertainty,
        Famo,
        ClassReliability,
        ConfidenceReliability,
        Tree,
        SampleCosineThreshold,
        SampleCosineRamp,
        SampleNormRatioThreshold,
        SampleNormBalance,
        SampleAgreementThreshold,
        SampleClassReliability,
        SampleConfidenceReliability,
        SampleTree,
    )
}


def policy_class(family: str) -> type[Policy]:
    """The class of a family, also by a name that `policies.aliases` gives it.

    A name that is not known here is looked for among the entry points of installed packages.

    Raises:
        PolicyError: no family has this name; the message names the nearest one.
    """
    target = ALIASES[family][0] if family in ALIASES else family
    if target in FAMILIES:
        return FAMILIES[target]
    from policies.extensions import installed_families, load_installed

    installed = installed_families()
    if target in installed:
        return load_installed(target)
    known = list(dict.fromkeys([*FAMILIES, *installed]))
    hint = nearest(family, [*known, *ALIASES])
    raise PolicyError(f"there is no policy family {family!r}; known: {', '.join(known)}.{hint}")


def create_policy(family: str, parameters: dict[str, Any] | None = None) -> Policy:
    """A new policy of a family; parameters not named take their defaults.

    An alias gives a policy of the family that it stands for, with the parameters that make it so.

    Raises:
        PolicyError: an unknown family or parameter, an invalid value, or another value for what an alias fixes.
    """
    values = dict(parameters or {})
    if family in ALIASES:
        for name, fixed in ALIASES[family][1].items():
            if values.setdefault(name, fixed) != fixed:
                raise PolicyError(
                    f"`{family}` stands for {meaning(family)}, but got {name}={values[name]!r}; leave it out, or use"
                    f" `{ALIASES[family][0]}` for another value."
                )
    return policy_class(family).from_parameters(values)
