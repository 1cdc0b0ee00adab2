"""The families of λ rules by name. A new family is a class, three lines here and a test."""

from __future__ import annotations

from policies.families.gradients.cagrad import CAGrad
from policies.families.gradients.cosine_gate import CosineGate
from policies.families.gradients.cosine_ramp import CosineRamp
from policies.families.gradients.gradnorm import GradNorm
from policies.families.gradients.gradvac import GradVac
from policies.families.gradients.mgda import MGDA
from policies.families.gradients.norm_balance import NormBalance
from policies.families.gradients.safe_interval import SafeInterval
from policies.families.gradients.taylor import Taylor, TaylorCurvature
from policies.families.gradients.thresholds import CosineThreshold, NormRatioThreshold
from policies.families.gradients.tree import Tree
from policies.families.gradients.upgrad import UPGrad
from policies.families.losses.dwa import DynamicWeightAverage
from policies.families.losses.famo import Famo
from policies.families.losses.loss_ratio import LossRatio
from policies.families.losses.uncertainty import Uncertainty
from policies.families.reliability.means import ClassReliability, ConfidenceReliability
from policies.families.samples.reliability import SampleClassReliability, SampleConfidenceReliability
from policies.families.samples.sample_cosine_ramp import SampleCosineRamp
from policies.families.samples.sample_norm_balance import SampleNormBalance
from policies.families.samples.sample_tree import SampleTree
from policies.families.samples.thresholds import (
    SampleAgreementThreshold,
    SampleCosineThreshold,
    SampleNormRatioThreshold,
)
from policies.families.schedules.fixed import Fixed
from policies.families.schedules.from_start_to_end import CosineSchedule, LinearSchedule
from policies.families.schedules.step_schedule import StepSchedule
from policies.families.schedules.warm_up import WarmUp
from policies.policy import Policy

__all__ = [
    "FAMILIES",
    "MGDA",
    "CAGrad",
    "ClassReliability",
    "ConfidenceReliability",
    "CosineGate",
    "CosineRamp",
    "CosineSchedule",
    "CosineThreshold",
    "DynamicWeightAverage",
    "Famo",
    "Fixed",
    "GradNorm",
    "GradVac",
    "LinearSchedule",
    "LossRatio",
    "NormBalance",
    "NormRatioThreshold",
    "SafeInterval",
    "SampleAgreementThreshold",
    "SampleClassReliability",
    "SampleConfidenceReliability",
    "SampleCosineRamp",
    "SampleCosineThreshold",
    "SampleNormBalance",
    "SampleNormRatioThreshold",
    "SampleTree",
    "StepSchedule",
    "Taylor",
    "TaylorCurvature",
    "Tree",
    "UPGrad",
    "Uncertainty",
    "WarmUp",
]

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
