"""The families of λ rules by name. A new family is one file, one line here and one test file."""

from __future__ import annotations

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
