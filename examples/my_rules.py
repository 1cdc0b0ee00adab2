"""Two rules to copy from: trust the teacher as far as it agrees with the labels.

Try it with `kd-search policies --check examples/my_rules.py:AgreementRamp`, and search it with
`kd-search run digits-quick --set name=mine --policy examples/my_rules.py:AgreementRamp`.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, ClassVar

from policies import Decision, Observation, SampleObservation, SamplePolicy
from policies.measuring import MeasuringPolicy
from policies.parameter import real
from policies.policy import Need

if TYPE_CHECKING:
    from torch import Tensor


@dataclasses.dataclass(kw_only=True, eq=False)
class AgreementRamp(MeasuringPolicy):
    """λ grows with the probability that the teacher gives to the labels of a batch."""

    family: ClassVar[str] = "agreement_ramp"
    source: ClassVar[str] = "an example"

    least: float = real(0.1, low=0.0, high=1.0, meaning="λ where the teacher contradicts every label")
    most: float = real(0.9, low=0.0, high=1.0, meaning="λ where it is sure of every label")

    @property
    def needs(self) -> frozenset[Need]:
        return frozenset({"teacher"})

    def readings(self, observation: Observation) -> tuple[float, ...] | None:
        return None if observation.agreement is None else (observation.agreement,)

    def respond(self, means: tuple[float, ...]) -> Decision:
        (agreement,) = means
        weight = self.least + (self.most - self.least) * agreement
        return Decision(min(1.0, max(0.0, weight)), reason=f"agreement {agreement:.2f}")

    def rule(self) -> str:
        return (
            f"λ moves from {self.least:.3g} to {self.most:.3g} with the probability that the teacher gives to the"
            f" labels ({self._measuring_in_words()})."
        )

    @property
    def complexity(self) -> int:
        return 2 + (self.smoothing > 0.0)


@dataclasses.dataclass(kw_only=True, eq=False)
class SampleAgreement(SamplePolicy):
    """Each sample's λ is the probability that the teacher gives to its label, raised to a power."""

    family: ClassVar[str] = "sample_agreement"
    source: ClassVar[str] = "an example"

    power: float = real(1.0, low=0.01, high=100.0, search=(0.1, 4.0), log=True, meaning="above 1 doubts sooner")

    needs = frozenset({"teacher"})

    def weights(self, samples: SampleObservation) -> Tensor:
        assert samples.agreement is not None  # `needs` names it
        return samples.agreement.pow(self.power)

    def rule(self) -> str:
        return f"λ of a sample is the probability that the teacher gives to its label, to the power {self.power:.3g}."

    @property
    def complexity(self) -> int:
        return 1
