"""Trusts the teacher on a sample in proportion to how often it has been right on samples like it."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, ClassVar

from policies.parameter import brief, choice, real
from policies.sample import SampleObservation, SamplePolicy

if TYPE_CHECKING:
    from torch import Tensor


@dataclasses.dataclass(kw_only=True, eq=False)
class SampleClassReliability(SamplePolicy):
    """λ_n = min(1, κ·a_n), a_n = how often teacher and label have agreed so far on samples of this class.

    The class is the label's or the teacher's. With the label's, classes that the teacher has never seen are left to the
    labels. Labels that are wrong at random lower all a_n alike; κ makes up for this.

    Source: the confusion matrix of teacher and labels, as loss correction uses it (Patrini et al. 2017, arXiv
    1609.03683), by its agreement only.
    """

    family: ClassVar[str] = "sample_class_reliability"
    source: ClassVar[str] = "agreement of teacher and labels by class, after loss correction, arXiv 1609.03683"

    trust: float = real(
        1.0, low=0.0, high=100.0, search=(0.01, 2.0), log=True, meaning="κ: λ of a class on which they always agree"
    )
    of: str = choice("label", options=("label", "teacher"), meaning="whose class is looked up")

    needs = frozenset({"reliability"})

    def weights(self, samples: SampleObservation) -> Tensor:
        rates = samples.class_reliability if self.of == "label" else samples.answer_reliability
        assert rates is not None  # `needs` names it
        return (rates * self.trust).clamp_max(1.0)

    def rule(self) -> str:
        whose = "labelled like the sample" if self.of == "label" else "which the teacher takes for the sample's class"
        return (
            f"λ = {self.trust:.3g} times how often teacher and label have agreed so far on samples {whose}, for each"
            " sample, 1 at most."
        )

    def short_rule(self) -> str:
        whose = "label" if self.of == "label" else "answer"
        return f"{brief(self.trust)} × reliability of the sample's {whose}"


@dataclasses.dataclass(kw_only=True, eq=False)
class SampleConfidenceReliability(SamplePolicy):
    """λ_n = min(1, κ·a_n), a_n = how often teacher and label have agreed so far where the teacher was as confident.

    Confidences are compared in ten bins of equal width.

    Source: the reliability diagram (Guo et al. 2017, arXiv 1706.04599), with the labels that the student is trained on.
    """

    family: ClassVar[str] = "sample_confidence_reliability"
    source: ClassVar[str] = "reliability diagram, arXiv 1706.04599, as a weight of each sample"

    trust: float = real(
        1.0, low=0.0, high=100.0, search=(0.01, 2.0), log=True, meaning="κ: λ where they have always agreed"
    )

    needs = frozenset({"reliability"})

    def weights(self, samples: SampleObservation) -> Tensor:
        assert samples.confidence_reliability is not None  # `needs` names it
        return (samples.confidence_reliability * self.trust).clamp_max(1.0)

    def rule(self) -> str:
        return (
            f"λ = {self.trust:.3g} times how often teacher and label have agreed so far where the teacher was about as"
            " sure as on the sample, for each sample, 1 at most."
        )

    def short_rule(self) -> str:
        return f"{brief(self.trust)} × reliability at the sample's confidence"
